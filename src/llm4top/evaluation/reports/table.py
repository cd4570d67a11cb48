"""One table of a report: several forecasters on the same rows, with curves and differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llm4top.errors import EvaluationError
from llm4top.evaluation.metrics.curves import curve_set
from llm4top.evaluation.metrics.differences import compare_pairs
from llm4top.evaluation.metrics.metrics import Measured, measure
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores, same_rows
from llm4top.evaluation.reports import report

Check = Literal["valid", "test", "newest"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One forecaster of a table.

    Attributes:
        scores: Its probabilities with the true labels.
        kind: The group of the table that it belongs to.
        learnt_from: What it was trained on, in words.
        decisions: Label indices ``[n]`` at the threshold chosen on validation data; None decides
            at .5, or for the most probable label.
        identity: The bundle, or the hash of its settings.
        note: A sentence about it.
    """

    scores: Scores
    kind: report.Kind
    learnt_from: str
    decisions: IntArray | None = None
    identity: str = ""
    note: str = ""


class Measurements(report.Part):
    """A table with all that was measured on its rows; ``curves`` of binary tasks only."""

    table: report.Table
    curves: report.CurveSet | None
    differences: tuple[report.Difference, ...]
    slices: report.SliceTable | None = None


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
    """Measure forecasters on the same rows; the table's rows keep the order given.

    Args:
        entries: The forecasters. The leak oracle ("cheating") is in the table and not compared.
        title: The table's title; ``note`` is a sentence about it.
        phase: "I", "II" ... or "pooled"; ``check`` is the kind of rows.
        against: The name of the entry that all others are compared with.
        reference: Base-rate probabilities ``[n, K]`` for the Brier skill; None gives no skill.
        draws: Number of bootstrap draws; ``seed`` is theirs.

    Raises:
        ScoreError: The entries are not about the same rows.
        EvaluationError: Two entries share a name, or ``against`` names none.
    """
    scores = [entry.scores for entry in entries]
    _check_entries(scores, against)
    shared: dict[str, Any] = {"reference": reference, "draws": draws, "seed": seed}
    measured = [measure(e.scores, decisions=e.decisions, **shared) for e in entries]
    honest = [i for i, entry in enumerate(entries) if entry.kind != "cheating"]
    pairs = [measured[i] for i in honest], [scores[i] for i in honest]
    differences = compare_pairs(*pairs, against=against, phase=phase, check=check)
    table = report.Table(
        title=title,
        phase=phase,
        check=check,
        n=measured[0].n,
        counts=measured[0].counts,
        rows=_rows(entries, measured),
        note=note,
    )
    curves = None
    if len(scores[0].labels) == 2:
        curves = curve_set(scores, [e.kind for e in entries], phase=phase, check=check)
    return Measurements(table=table, curves=curves, differences=differences)


def _check_entries(scores: Sequence[Scores], against: str) -> None:
    names = [one.forecaster for one in scores]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EvaluationError(
            f"two forecasters are called {twice[0]!r}.", hint="Give each a different name."
        )
    if against not in names:
        raise EvaluationError(
            f"{against!r} is none of the forecasters.", hint=f"There are: {', '.join(names)}."
        )
    same_rows(scores)


def _rows(
    entries: Sequence[Entry], measured: Sequence[Measured]
) -> tuple[report.ForecasterRow, ...]:
    return tuple(
        report.ForecasterRow(
            forecaster=entry.scores.forecaster,
            kind=entry.kind,
            learnt_from=entry.learnt_from,
            figures=one.figures,
            identity=entry.identity,
            note=entry.note,
        )
        for entry, one in zip(entries, measured, strict=True)
    )
