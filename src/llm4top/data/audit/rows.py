"""The learning rows that an audit reads closely, field by field, as text."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llm4top.data.audit.findings import LIMITS
from llm4top.data.dataset import Dataset
from llm4top.data.parquet import trial_texts
from llm4top.registry.trial import TRIAL_FIELDS

WORDS = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class AuditRows:
    """A sample of the train rows.

    ``fields`` holds the text of each row by field, empty where the row has none; only fields that
    the task shows and that some row has. ``y`` are label indices, ``labels`` the label names.
    """

    fields: dict[str, list[str]]
    y: np.ndarray[Any, np.dtype[np.int64]]
    labels: tuple[str, ...]
    statuses: tuple[str | None, ...]
    why_stopped: tuple[str | None, ...]
    nct_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    def tested_labels(self) -> list[int]:
        """Labels that enough rows have; of a binary task only the event."""
        counts = np.bincount(self.y, minlength=len(self.labels))
        if len(self.labels) == 2:
            return [1]
        return [k for k, n in enumerate(counts) if n >= LIMITS.label_rows]


def sample_rows(dataset: Dataset, seed: int) -> AuditRows:
    """A sample of the train rows, stratified by label, the same for the same seed."""
    learning = dataset.select("train")
    chosen = _sample(np.array(learning.label_indices), np.random.default_rng(seed))
    learning = learning.take(chosen)
    shown = shown_fields(dataset)
    fields: dict[str, list[str]] = {name: [] for name in shown}
    for values in map(json.loads, trial_texts(learning.trials)):
        for name, texts in fields.items():
            texts.append(flat_text(values.get(name)))
    return AuditRows(
        {name: texts for name, texts in fields.items() if any(texts)},
        np.array(learning.label_indices),
        dataset.task.labels,
        learning.statuses,
        learning.why_stopped,
        learning.nct_ids,
    )


def shown_fields(dataset: Dataset) -> tuple[str, ...]:
    """The fields of a trial that the task shows to a model."""
    return tuple(name for name in TRIAL_FIELDS if name not in dataset.task.hidden_fields)


def flat_text(value: Any) -> str:
    """All text of a field's stored value, one part a line."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(flat_text, value))
    if isinstance(value, dict):
        return "\n".join(flat_text(value[key]) for key in sorted(value))
    return "" if value is None else str(value)


def spaced_words(text: str) -> str:
    """The words of a text in lower case between single blanks, one before and one behind."""
    return f" {' '.join(WORDS.findall(text.lower()))} "


def _sample(y: np.ndarray[Any, np.dtype[np.int64]], rng: np.random.Generator) -> Sequence[int]:
    if len(y) <= LIMITS.rows:
        return range(len(y))
    share = LIMITS.rows / len(y)
    chosen: list[int] = []
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        wanted = min(len(own), max(round(share * len(own)), LIMITS.rows // 20))
        chosen += rng.choice(own, wanted, replace=False).tolist()
    return sorted(chosen)
