"""Slices of a table's rows: where a forecaster is good, and where there are too few to know."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import ScoreError
from llm4top.evaluation.metrics.metrics import measure
from llm4top.evaluation.predictions import IntArray, Scores, same_rows
from llm4top.evaluation.reports.report import Figure, SliceRow, SliceTable
from llm4top.registry.areas import therapeutic_area

LEAST_ROWS = 20
LEAST_ROWS_OF_A_LABEL = 5
YEARS = 5
UNKNOWN = "unknown"

SLICE_METRICS = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier"),
    "several": ("balanced_accuracy", "macro_f1", "log_loss", "brier"),
}
"""What is measured on a slice, by the kind of task."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Some of the rows: ``rows`` are their positions; ``by`` and ``value`` as in ``SliceRow``."""

    by: str
    value: str
    rows: IntArray


def slice_table(
    rows: Dataset,
    scores: Sequence[Scores],
    *,
    phase: str,
    check: str,
    draws: int = 1000,
    seed: int = 0,
) -> SliceTable:
    """Every forecaster on every slice of ``rows``, which ``scores`` are about, in their order.

    A slice with fewer than 20 rows, or fewer than 5 of a label, has no figures and says so.
    There are many slices: a single remarkable one may be chance.

    Raises ``ScoreError`` where the scores are not about these rows.
    """
    same_rows(scores)
    if scores and scores[0].ids != rows.nct_ids:
        raise ScoreError("the scores are not about these rows.", where=scores[0].where)
    y = np.asarray(rows.label_indices, dtype=np.int64)
    found: list[SliceRow] = []
    for part in slices_of(rows):
        sizes = np.bincount(y[part.rows], minlength=len(rows.task.labels))
        counts = {label: int(n) for label, n in zip(rows.task.labels, sizes, strict=True)}
        note = too_small(counts)
        for one in scores:
            figures = {} if note else _figures(one.take(part.rows), draws, seed)
            found.append(
                SliceRow(
                    by=part.by,
                    value=part.value,
                    forecaster=one.forecaster,
                    n=len(part.rows),
                    counts=counts,
                    figures=figures,
                    note=note,
                )
            )
    return SliceTable(phase=phase, check=check, rows=tuple(found))


def too_small(counts: dict[str, int]) -> str:
    """Why a slice with so many rows by label is not measured; empty where it is."""
    n, rarest = sum(counts.values()), min(counts, key=lambda label: counts[label])
    if n >= LEAST_ROWS and counts[rarest] >= LEAST_ROWS_OF_A_LABEL:
        return ""
    return (
        f"too small to measure: {n} rows, {counts[rarest]} of them {rarest} "
        f"({LEAST_ROWS} and {LEAST_ROWS_OF_A_LABEL} are the least)."
    )


def slices_of(rows: Dataset) -> tuple[Slice, ...]:
    """Completed trials alone, then the slices by phase, start year, therapeutic area and sponsor.

    Phases are those registered, "Phase 1/Phase 2" apart. What only one value is known of is no
    slice. Start years are taken together by five, and by more where five hold too few rows.
    """
    trials = list(rows.trials)
    by: dict[str, Sequence[str]] = {
        "phase": [trial.phase or UNKNOWN for trial in trials],
        "start year": _year_bins(rows),
        "therapeutic area": [therapeutic_area(trial) for trial in trials],
        "sponsor class": [trial.sponsor_class or UNKNOWN for trial in trials],
    }
    parts = list(_completed(rows))
    for name, values in by.items():
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for row, value in enumerate(values):
            groups[value].append(row)
        if len(groups) > 1:
            parts += [Slice(name, v, _indices(groups[v])) for v in sorted(groups, key=_last)]
    return tuple(parts)


def _completed(rows: Dataset) -> list[Slice]:
    completed = [i for i, s in enumerate(rows.statuses) if (s or "").casefold() == "completed"]
    if not completed or len(completed) == len(rows):
        return []
    return [Slice("registry status", "completed only", _indices(completed))]


def _year_bins(rows: Dataset) -> list[str]:
    """Each row's span of start years, such as "2000-2004"; "unknown" without a start date."""
    years = [int(date[:4]) if date else None for date in rows.start_dates]
    first_of: dict[int, int] = {}
    spans: list[list[int]] = []  # first year of the span's first and of its last five years
    held: list[dict[str, int]] = []
    for start in sorted({year - year % YEARS for year in years if year is not None}):
        if not spans or not too_small(held[-1]):
            spans.append([start, start])
            held.append(dict.fromkeys(rows.task.labels, 0))
        spans[-1][1] = start
        first_of[start] = len(spans) - 1
        for year, label in zip(years, rows.labels, strict=True):
            if year is not None and year - year % YEARS == start:
                held[-1][label] += 1
    if len(spans) > 1 and too_small(held[-1]):
        last = spans.pop()
        spans[-1][1] = last[1]
    names = [f"{first}-{last + YEARS - 1}" for first, last in spans]
    return [
        UNKNOWN if year is None else names[min(first_of[year - year % YEARS], len(names) - 1)]
        for year in years
    ]


def _figures(scores: Scores, draws: int, seed: int) -> dict[str, Figure]:
    wanted = SLICE_METRICS["binary" if len(scores.labels) == 2 else "several"]
    figures = measure(scores, draws=draws, seed=seed, keep_draws=False).figures
    return {name: figures[name] for name in wanted}


def _indices(rows: Sequence[int]) -> IntArray:
    return np.asarray(rows, dtype=np.int64)


def _last(value: str) -> tuple[bool, str]:
    """Orders by name, what is unknown at the end."""
    return value == UNKNOWN, value
