"""Counting the rows of a data set for its card, one row at a time."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from llm4top.data.card import TimeSpan
from llm4top.data.parquet import SPLITS, ContentHash, Row
from llm4top.registry.trial import TRIAL_FIELDS
from llm4top.tasks.task import Task
from llm4top.text import percent

_QUANTILES = {"p5": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}
# A field whose share differs this much between labels is worth a person's look; in fewer rows
# such a difference is chance.
_TELLING_GAP = 0.15
_TELLING_ROWS = 50


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
        self._by_phase[row.phase or "unknown", row.split, row.label] += 1
        values = json.loads(row.trial)
        self._present.update((name, row.label) for name in values)
        self._lengths["trial"].append(sum(map(_characters, values.values())))
        self._lengths["criteria"].append(len(values.get("criteria", "")))
        if row.start_date is None:
            self._unknown_starts[row.split] += 1
        else:
            self._starts[row.split].append(row.start_date)

    def measured(self) -> dict[str, Any]:
        """The fields of ``DatasetCard`` that follow from the rows."""
        return {
            "task": json.loads(json.dumps(self._task.to_dict())),
            "sha256": self._hash.hexdigest(),
            "rows": sum(self._balance.values()),
            "balance": self._split_balance(),
            "balance_by_phase": self._phase_balance(),
            "time_span": {split: self._span(split) for split in self._splits()},
            "text_lengths": {n: _quantiles(values) for n, values in self._lengths.items()},
            "presence": self._presence(),
        }

    def warnings(self) -> tuple[str, ...]:
        """What a person should know before learning from these rows."""
        found = []
        for split in SPLITS:
            counts = {label: self._balance[split, label] for label in self._task.labels}
            if not any(counts.values()):
                found.append(f"The {split} split is empty.")
                continue
            missing = [label for label, n in counts.items() if not n]
            if missing:
                found.append(f"The {split} split has no row with label {', '.join(missing)}.")
        found += self._telling_fields()
        return tuple(found)

    def _telling_fields(self) -> list[str]:
        found = []
        shown = set(TRIAL_FIELDS) - set(self._task.hidden_fields)
        rows = self._label_totals()
        for name, every in self._presence().items():
            shares = {label: s for label, s in every.items() if rows[label] >= _TELLING_ROWS}
            gap = max(shares.values(), default=0) - min(shares.values(), default=0)
            if name in shown and gap >= _TELLING_GAP:
                by_label = ", ".join(
                    f"{percent(share)} of {label}" for label, share in shares.items()
                )
                found.append(f"{name} ({by_label})")
        if not found:
            return []
        return [
            f"The mere presence of a field may reveal the label: {'; '.join(found)}. Hide such a "
            "field in the task unless it was there as often before the outcome was known."
        ]

    def _label_totals(self) -> Counter[str]:
        totals: Counter[str] = Counter()
        for (_, label), count in self._balance.items():
            totals[label] += count
        return totals

    def _splits(self) -> list[str]:
        return [s for s in SPLITS if any(split == s for split, _ in self._balance)]

    def _split_balance(self) -> dict[str, dict[str, int]]:
        return {
            split: {label: self._balance[split, label] for label in self._task.labels}
            for split in self._splits()
        }

    def _phase_balance(self) -> dict[str, dict[str, dict[str, int]]]:
        table: dict[str, dict[str, dict[str, int]]] = {}
        for (phase, split, label), count in sorted(self._by_phase.items()):
            table.setdefault(phase, {}).setdefault(split, {})[label] = count
        return table

    def _span(self, split: str) -> TimeSpan:
        starts = self._starts[split]
        return TimeSpan(
            first=min(starts, default=None),
            last=max(starts, default=None),
            unknown=self._unknown_starts[split],
        )

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
