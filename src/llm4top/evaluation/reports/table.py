"""One table of a report: several forecasters on the same rows, with curves and differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llm4top.errors import EvaluationError
from llm4top.evaluation.metrics.curves import curve_set
from llm4top.evaluation.metrics.differences import compare_pairs
from llm4top.evaluation.metrics.metrics import Measured, measure
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores, same_rows
from llm4top.evaluation.reports.report import CurveSet, Difference, ForecasterRow, Kind, Table

Check = Literal["valid", "test", "newest"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One forecaster of a table.

    ``decisions`` ``[n]`` are label indices at the threshold that was chosen on validation data
    (None: at .5, or the most probable label). ``learnt_from`` says what it was fitted on,
    ``identity`` which bundle or settings it is.
    """

    scores: Scores
    kind: Kind
    learnt_from: str
    decisions: IntArray | None = None
    identity: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measurements:
    """A table with what belongs to it; ``curves`` is None unless the task is binary."""

    table: Table
    curves: CurveSet | None
    differences: tuple[Difference, ...]


def measure_table(
    entries: Sequence[Entry],
    *,
    title: str,
    phase: str,
    check: Check,
    against: str,
    reference: FloatArray | None,
    draws: int = 1000,
    seed: int = 0,
    note: str = "",
) -> Measurements:
    """Measure forecasters on the same rows; rows of the table stand in the order given.

    ``against`` names the entry that all others are compared with; the leak oracle ("cheating") is
    in the table and in no comparison. ``reference`` ``[n, K]`` are base-rate probabilities, which
    the Brier skill is measured against (None: there is no skill).

    Raises ``ScoreError`` where the entries are not about the same rows and ``EvaluationError``
    where two share a name or ``against`` names none.
    """
    scores = [entry.scores for entry in entries]
    names = [one.forecaster for one in scores]
    _check_names(names, against)
    same_rows(scores)
    measured = [
        measure(
            entry.scores, decisions=entry.decisions, reference=reference, draws=draws, seed=seed
        )
        for entry in entries
    ]
    honest = [i for i, entry in enumerate(entries) if entry.kind != "cheating"]
    differences = compare_pairs(
        [measured[i] for i in honest],
        [scores[i] for i in honest],
        against=against,
        phase=phase,
        check=check,
    )
    table = Table(
        title=title,
        phase=phase,
        check=check,
        n=len(scores[0]),
        counts=_counts(scores[0]),
        rows=tuple(_row(e, m) for e, m in zip(entries, measured, strict=True)),
        note=note,
    )
    kinds = [entry.kind for entry in entries]
    binary = len(scores[0].labels) == 2
    curves = curve_set(scores, kinds, phase=phase, check=check) if binary else None
    return Measurements(table, curves, differences)


def _check_names(names: Sequence[str], against: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EvaluationError(
            f"two forecasters are called {twice[0]!r}.", hint="Give each a name of its own."
        )
    if against not in names:
        raise EvaluationError(
            f"{against!r} is none of the forecasters.", hint=f"There are: {', '.join(names)}."
        )


def _counts(scores: Scores) -> dict[str, int]:
    counts = np.bincount(scores.y, minlength=len(scores.labels))
    return {label: int(n) for label, n in zip(scores.labels, counts, strict=True)}


def _row(entry: Entry, measured: Measured) -> ForecasterRow:
    return ForecasterRow(
        forecaster=entry.scores.forecaster,
        kind=entry.kind,
        learnt_from=entry.learnt_from,
        figures=measured.figures,
        identity=entry.identity,
        note=entry.note,
    )
