"""A run's report as a page shows it: one of its tables at a time, with differences and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.errors import EvaluationError
from llm4top.text import thousands
from llm4top.workspace.views.wording import metric, metric_interval

if TYPE_CHECKING:
    from llm4top.evaluation.reports.drawing import Drawing, Series
    from llm4top.evaluation.reports.report import Difference, Figure, ForecasterRow, Report
    from llm4top.evaluation.reports.view import Section


FEW = 20
"""Trials of a label below which a report cautions."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric in words: what it is called, which way it is good, and what it is."""

    label: str
    better: str
    definition: str


@dataclass(frozen=True, slots=True)
class Line:
    """A forecaster in the table; ``cells`` are value and interval, metric by metric."""

    forecaster: str
    note: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two forecasters in one metric: the first minus the second, and what that tells."""

    first: str
    second: str
    difference: str
    p_adjusted: str
    reading: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of a report with all that was measured on its rows, in words and drawings.

    ``groups`` are lines by kind of forecaster, ``differences`` pairs by metric, ``series`` the
    forecasters that the figures draw. Every text is plain; an ``svg`` is ready to be shown.
    """

    heading: str
    rows: str
    notes: tuple[str, ...]
    metrics: tuple[Metric, ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]
    differences: tuple[tuple[str, tuple[Pair, ...]], ...]
    series: tuple[Series, ...]
    figures: tuple[Drawing, ...]


def read_run_report(folder: Path) -> Report:
    """The report in a run's report folder; ``EvaluationError`` without the machine's paths."""
    from llm4top.evaluation.reports.render import JSON_FILE, read_report

    try:
        return read_report(folder / JSON_FILE)
    except EvaluationError as error:
        raise EvaluationError(error.message, where=JSON_FILE, hint=error.hint) from error


def lead(report: Report) -> tuple[str, ...]:
    """What stands above the tables: of its summary only what they do not say themselves."""
    if report.kind == "benchmark":
        return report.summary
    return (report.looks_note,) if report.looks_note else ()


def sheet_names(report: Report) -> dict[str, str]:
    """What each table is called, all phases first, by the key that ``sheet`` takes."""
    from llm4top.evaluation.reports.view import sections

    parts = sorted(sections(report), key=lambda part: part.table.phase != "pooled")
    return {part.anchor: part.heading for part in parts}


def sheet(report: Report, key: str) -> Sheet:
    """The table that ``sheet_names`` has under ``key``; drawing its figures takes a second."""
    from llm4top.evaluation.reports.drawing import choose_series, drawn_curves
    from llm4top.evaluation.reports.formatting import CHECK_NOTES, KINDS, counts_text
    from llm4top.evaluation.reports.view import sections

    part = next(one for one in sections(report) if one.anchor == key)
    table = part.table
    series = choose_series(report.tables)
    keys = [column.key for column in part.columns]
    return Sheet(
        heading=part.heading,
        rows=f"n = {thousands(table.n)} trials: {counts_text(table.counts)}.",
        notes=tuple(
            note for note in (CHECK_NOTES.get(table.check), table.note, few(table.counts)) if note
        ),
        metrics=tuple(_metric(key) for key in keys),
        groups=tuple(
            (KINDS[kind], tuple(_line(row, keys) for row in rows)) for kind, rows in part.groups
        ),
        differences=tuple(
            (_metric(key).label, tuple(_pair(one) for one in pairs))
            for key, pairs in part.differences
        ),
        series=tuple(s for s, _ in drawn_curves(part.curves, series)) if part.curves else (),
        figures=tuple(_figures(report, part, series)),
    )


def few(counts: Mapping[str, int]) -> str:
    """A caution where a label has so few trials that curves and intervals are rough; else ""."""
    rare = [f"{n} {label}" for label, n in counts.items() if 0 < n < FEW]
    if not rare:
        return ""
    return (
        f"Only {' and '.join(rare)} among {sum(counts.values())} trials: read the curves and "
        "intervals with caution."
    )


def _metric(key: str) -> Metric:
    from llm4top.evaluation.metrics.metrics import METRICS
    from llm4top.evaluation.reports.formatting import BETTER
    from llm4top.evaluation.reports.view import metric_label

    known = METRICS.get(key)
    return Metric(
        metric_label(key), BETTER[known.better] if known else "", known.definition if known else ""
    )


def _line(row: ForecasterRow, keys: Sequence[str]) -> Line:
    from llm4top.evaluation.reports.formatting import CHEATING

    figures = [row.figures.get(key) for key in keys]
    notes = (CHEATING if row.kind == "cheating" else "", row.note)
    return Line(
        forecaster=row.forecaster,
        note="; ".join(filter(None, notes)),
        cells=tuple((metric(f.value), _bounds(f)) if f else ("-", "") for f in figures),
    )


def _bounds(figure: Figure) -> str:
    inside = metric_interval(figure.lower, figure.upper)
    return f"({inside})" if inside else ""


def _pair(one: Difference) -> Pair:
    from llm4top.evaluation.reports.formatting import p_value, reading
    from llm4top.evaluation.reports.view import better

    return Pair(
        first=one.first,
        second=one.second,
        difference=f"{metric(one.figure.value, signed=True)} {_bounds(one.figure)}".rstrip(),
        p_adjusted=p_value(one.p_adjusted),
        reading=reading(one, better(one.metric)),
    )


def _figures(report: Report, part: Section, series: Sequence[Series]) -> list[Drawing]:
    from llm4top.evaluation.reports.figures import forest
    from llm4top.evaluation.reports.html import curve_drawings

    ranking = forest(part.table, series, name=f"{part.anchor}-intervals")
    return [*([ranking] if ranking else []), *curve_drawings(report, part, series)]
