"""Old home of what is in ``llm4top.schema``."""

from llm4top.schema import FAULT_MARK as FAULT_MARK
from llm4top.schema import did_you_mean as did_you_mean
from llm4top.schema import setting_faults as setting_faults
