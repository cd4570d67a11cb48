"""A record that the question does not apply to: what it is, and what a model would have read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from llm4top.registry import Record
from llm4top.workspace._forecast_result import title_of


def not_asked(record: Record, read: Collection[str] | None) -> dict[str, Any]:
    """JSON-able values of the record; ``read`` names the sections of the model's prompts."""
    from llm4top.prompts import trial_sections

    sections = trial_sections(record.trial, only=None if read is None else tuple(read))
    return {
        "title": title_of(record.trial),
        "nct_id": record.nct_id,
        "study_type": record.trial.study_type,
        "sections": [{"heading": s.heading, "text": s.text} for s in sections],
        "withheld": [asdict(thing) for thing in record.withheld],
    }
