"""Records and trials alike as what is forecast."""

from __future__ import annotations

from llm4top.registry import Record, RegistryOutcome, Source, Trial


def as_record(item: Record | Trial, position: int) -> Record:
    """``item``, or a record made of a trial, which is named "#1" at position 1.

    Raises ``TypeError`` for anything else, with what to do.
    """
    if isinstance(item, Record):
        return item
    if isinstance(item, Trial):
        source = Source(f"#{position}", None, "trial", None, "")
        return Record(None, item, RegistryOutcome(), (), source)
    raise TypeError(
        f"item {position} is {type(item).__name__}, not Record or Trial. Read files with "
        "read_records(path), and rows of a table with trials_from_frame(rows)."
    )
