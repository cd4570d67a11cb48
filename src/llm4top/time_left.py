"""Old home of what is in ``llm4top.progress``."""

from llm4top.progress import TimeLeft as TimeLeft
