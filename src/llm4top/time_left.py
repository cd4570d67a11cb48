"""Old home of what is in ``llm4top.progress``."""
