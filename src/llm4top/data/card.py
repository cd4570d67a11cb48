"""The card of a data set: what is in it, where it came from and what was left out, and why."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from llm4top import __version__
from llm4top.data.parquet import SPLITS, ContentHash, Row
from llm4top.registry.trial import TRIAL_FIELDS
from llm4top.tasks.task import Task
from llm4top.text import percent

CARD_SCHEMA = 2


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Part):
    """One file (or folder) the rows were read from, and how many rows it gave."""

    name: str
    sha256: str
    rows: int


class DroppedRecord(_Part):
    """One record that was left out."""

    nct_id: str
    reason: str


class TimeSpan(_Part):
    """First and last start date (ISO, as precise as the source) and the rows without one."""

    first: str | None = None
    last: str | None = None
    unknown: int = 0


class DatasetCard(_Part):
    """What ``card.json`` holds.

    ``balance`` counts rows by split and label; ``balance_by_phase`` by phase, split and label.
    ``text_lengths`` are quantiles of characters ("trial": all text of a trial, "criteria": its
    eligibility criteria). ``presence`` is the share of rows that hold each field, by label: a
    field that is present for one label only may tell the outcome by its mere presence.
    ``dropped`` counts records that were left out, by reason; ``dropped_first`` names the first
    hundred. ``notes`` counts what happened to rows that stayed, such as merged copies.
    """

    schema_version: int = CARD_SCHEMA
    name: str
    created: str
    llm4top_version: str
    task: dict[str, object]
    sha256: str
    rows: int
    provenance: tuple[SourceFile, ...] = ()
    split_rule: str = ""
    balance: dict[str, dict[str, int]] = Field(default_factory=dict)
    balance_by_phase: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    time_span: dict[str, TimeSpan] = Field(default_factory=dict)
    text_lengths: dict[str, dict[str, int]] = Field(default_factory=dict)
    presence: dict[str, dict[str, float]] = Field(default_factory=dict)
    dropped: dict[str, int] = Field(default_factory=dict)
    dropped_first: tuple[DroppedRecord, ...] = ()
    notes: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


_QUANTILES = {"p5": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}
# A field whose share differs this much between labels is worth a person's look; in fewer rows
# such a difference is chance.
_GAP = 0.15
_FEWEST_ROWS = 50


class Describer:
    """Counts rows for the card. Holds counts and lengths only, never text."""

    def __init__(self, task: Task):
        self._task = task
        self._hash = ContentHash(task.to_dict())
        self._balance: Counter[tuple[str, str]] = Counter()
        self._by_phase: Counter[tuple[str, str, str]] = Counter()
        self._present: Counter[tuple[str, str]] = Counter()
        self._lengths: dict[str, list[int]] = {"trial": [], "criteria": []}
        self._starts: defaultdict[str, list[str]] = defaultdict(list)
        self._unknown_starts: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Count one row in."""
        self._hash.add(row)
        self._balance[row.split, row.label] += 1
        values = json.loads(row.trial)
        self._by_phase[values.get("phase") or "unknown", row.split, row.label] += 1
        self._present.update((name, row.label) for name in values)
        self._lengths["trial"].append(sum(map(_characters, values.values())))
        self._lengths["criteria"].append(len(values.get("criteria", "")))
        if row.start_date is None:
            self._unknown_starts[row.split] += 1
        else:
            self._starts[row.split].append(row.start_date)

    def measured(self) -> dict[str, Any]:
        """The fields of ``DatasetCard`` that follow from the rows."""
        splits = [s for s in SPLITS if any(split == s for split, _ in self._balance)]
        by_phase: dict[str, dict[str, dict[str, int]]] = {}
        for (phase, split, label), count in sorted(self._by_phase.items()):
            by_phase.setdefault(phase, {}).setdefault(split, {})[label] = count
        return {
            "task": json.loads(json.dumps(self._task.to_dict())),
            "sha256": self._hash.hexdigest(),
            "rows": sum(self._balance.values()),
            "balance": {split: self._labels_of(split) for split in splits},
            "balance_by_phase": by_phase,
            "time_span": {
                split: TimeSpan(
                    first=min(self._starts[split], default=None),
                    last=max(self._starts[split], default=None),
                    unknown=self._unknown_starts[split],
                )
                for split in splits
            },
            "text_lengths": {n: _quantiles(values) for n, values in self._lengths.items()},
            "presence": self._presence(),
        }

    def warnings(self) -> tuple[str, ...]:
        """What a person should know before learning from these rows."""
        found = []
        for split in SPLITS:
            counts = self._labels_of(split)
            if not any(counts.values()):
                found.append(f"The {split} split is empty.")
                continue
            missing = [label for label, n in counts.items() if not n]
            if missing:
                found.append(f"The {split} split has no row with label {', '.join(missing)}.")
        return (*found, *self._revealing_fields())

    def _revealing_fields(self) -> list[str]:
        found = []
        shown = set(TRIAL_FIELDS) - set(self._task.hidden_fields)
        rows = self._label_totals()
        for name, every in self._presence().items():
            shares = {label: s for label, s in every.items() if rows[label] >= _FEWEST_ROWS}
            gap = max(shares.values(), default=0) - min(shares.values(), default=0)
            if name in shown and gap >= _GAP:
                by_label = ", ".join(
                    f"{percent(share)} of {label}" for label, share in shares.items()
                )
                found.append(f"{name} ({by_label})")
        if not found:
            return []
        return [
            f"The mere presence of a field may reveal the label: {'; '.join(found)}. Hide such a "
            "field in the task unless it was present as often before the outcome was known."
        ]

    def _label_totals(self) -> Counter[str]:
        totals: Counter[str] = Counter()
        for (_, label), count in self._balance.items():
            totals[label] += count
        return totals

    def _labels_of(self, split: str) -> dict[str, int]:
        return {label: self._balance[split, label] for label in self._task.labels}

    def _presence(self) -> dict[str, dict[str, float]]:
        totals = self._label_totals()
        names = {name for name, _ in self._present}
        return {
            name: {
                label: round(self._present[name, label] / totals[label], 4)
                for label in self._task.labels
                if totals[label]
            }
            for name in TRIAL_FIELDS
            if name in names
        }


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _quantiles(values: Iterable[int]) -> dict[str, int]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {name: ordered[round(q * (len(ordered) - 1))] for name, q in _QUANTILES.items()}


def described(history: DatasetCard, describer: Describer) -> DatasetCard:
    """The card of the rows that ``describer`` has counted, with the history of another."""
    return DatasetCard(
        **{**history.model_dump(), **describer.measured(), "warnings": describer.warnings()}
    )


def new_card(name: str, task: Task, **history: Any) -> DatasetCard:
    """A card that has a history but no counts yet."""
    return DatasetCard(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        llm4top_version=__version__,
        task=task.to_dict(),
        sha256="",
        rows=0,
        **history,
    )
