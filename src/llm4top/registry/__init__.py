"""Read registry records: legacy XML, API v2 JSON and TOP's CSV, hardened, with a leak guard."""

from llm4top.registry._expected import expected_records
from llm4top.registry._fields import ALLOWED_FIELDS, AllowedField
from llm4top.registry._frame import trials_from_frame
from llm4top.registry._limits import Limits
from llm4top.registry._note import ReadNote
from llm4top.registry._reader import ReadSummary, RecordReader, read_records
from llm4top.registry._trial import (
    TRIAL_FIELDS,
    Arm,
    Collaborator,
    Intervention,
    Outcome,
    Record,
    RegistryOutcome,
    Source,
    Trial,
    Withheld,
)
from llm4top.registry._unknown import UNKNOWN as UNKNOWN_ELEMENT

__all__ = [
    "ALLOWED_FIELDS",
    "TRIAL_FIELDS",
    "UNKNOWN_ELEMENT",
    "AllowedField",
    "Arm",
    "Collaborator",
    "Intervention",
    "Limits",
    "Outcome",
    "ReadNote",
    "ReadSummary",
    "Record",
    "RecordReader",
    "RegistryOutcome",
    "Source",
    "Trial",
    "Withheld",
    "expected_records",
    "read_records",
    "trials_from_frame",
]
