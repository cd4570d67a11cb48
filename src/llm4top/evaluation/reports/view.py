"""A report's content grouped and ordered for its readers, for HTML and Markdown alike."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from llm4top.evaluation.metrics.metrics import METRICS
from llm4top.evaluation.reports import formatting
from llm4top.evaluation.reports.drawing import FEW_OF_A_LABEL, MOST_SERIES, Series
from llm4top.evaluation.reports.formatting import heading
from llm4top.evaluation.reports.report import (
    CurveSet,
    Difference,
    ForecasterRow,
    Kind,
    PublishedRow,
    Report,
    SliceRow,
    SliceTable,
    Table,
    VariantTable,
)
from llm4top.text import thousands

_MAIN = {
    "binary": ("roc_auc", "average_precision", "f1", "f1_at_half", "brier", "log_loss", "ece"),
    "multiclass": (
        "roc_auc",
        "macro_f1",
        "balanced_accuracy",
        "accuracy",
        "brier",
        "log_loss",
        "ece",
    ),
}
_BELOW = {"average_precision": ("lift", "lift"), "brier": ("brier_skill", "skill")}
"""Metrics shown below others in the same cell, with one word for each."""
FEW = 50
"""Slices with fewer rows are shown muted."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the main table: a metric, and perhaps one shown below it in the same cell."""

    key: str
    label: str
    below: str = ""
    below_label: str = ""


@dataclass(frozen=True, slots=True)
class SliceGroup:
    """The slices of one kind: rows in their order, each with what every forecaster has there."""

    by: str
    rows: tuple[tuple[SliceRow, ...], ...]
    forecasters: tuple[str, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the report with everything that was measured on the same rows.

    ``heading`` is its full name, ``name`` tells it from tables of the same check, ``short`` from
    tables of the same phase.
    """

    anchor: str
    heading: str
    name: str
    short: str
    table: Table
    columns: tuple[Column, ...]
    metrics: tuple[str, ...]
    groups: tuple[tuple[Kind, tuple[ForecasterRow, ...]], ...]
    curves: CurveSet | None
    differences: tuple[tuple[str, tuple[Difference, ...]], ...]
    slices: tuple[SliceGroup, ...]


@dataclass(frozen=True, slots=True)
class PublishedSystem:
    """One system's published results: its rows by phase, its grade and its source in words."""

    name: str
    rows: dict[str, PublishedRow]
    grade: str
    source: str


@dataclass(frozen=True, slots=True)
class PublishedGroup:
    """Published results of one protocol. ``source`` is that of all systems, or empty."""

    title: str
    protocol: str
    rows: tuple[PublishedRow, ...]
    systems: tuple[PublishedSystem, ...]
    phases: tuple[str, ...]
    metrics: tuple[str, ...]
    source: str


_Part = CurveSet | Difference | SliceTable


def metric_label(key: str) -> str:
    """The metric's name in words; its key where nothing is known of it."""
    metric = METRICS.get(key)
    return metric.label if metric else key.replace("_", " ")


def better(key: str) -> str:
    """Which way a metric is better, as ``METRICS`` has it; empty for an unknown one."""
    metric = METRICS.get(key)
    return metric.better if metric else ""


def sections(report: Report) -> tuple[Section, ...]:
    """The report's tables by phase, the strictest check of each phase first.

    Tables of the same phase and check are named by their titles. Curves, differences and slices
    belong to the first table that has all of their forecasters.
    """
    tables = sorted(report.tables, key=lambda t: formatting.display_order(t.phase, t.check))
    places = [(table.phase, table.check) for table in tables]
    rest: list[_Part] = [*report.curves, *report.differences, *report.slices]
    return tuple(
        _section(table, i, rest, alone=places.count((table.phase, table.check)) == 1)
        for i, table in enumerate(tables, start=1)
    )


def _section(table: Table, position: int, rest: list[_Part], *, alone: bool) -> Section:
    own = [part for part in rest if _belongs(part, table)]
    rest[:] = [part for part in rest if not _belongs(part, table)]
    differences = [part for part in own if isinstance(part, Difference)]
    slices = [row for part in own if isinstance(part, SliceTable) for row in part.rows]
    present = {key for row in table.rows for key in row.figures}
    main = _MAIN["multiclass" if "macro_f1" in present else "binary"]
    return Section(
        anchor=f"table-{position}",
        heading=heading(table) if alone else table.title,
        name=formatting.phase_name(table.phase) if alone else table.title,
        short=formatting.SHORT_CHECKS.get(table.check, table.check) if alone else table.title,
        table=table,
        columns=tuple(_column(key, present) for key in main if key in present),
        metrics=ordered(present),
        groups=tuple(
            (kind, rows)
            for kind in formatting.KINDS
            if (rows := tuple(row for row in table.rows if row.kind == kind))
        ),
        curves=next((part for part in own if isinstance(part, CurveSet)), None),
        differences=tuple(
            (key, tuple(d for d in differences if d.metric == key))
            for key in ordered(d.metric for d in differences)
        ),
        slices=tuple(_slice_group(by, slices) for by in unique(row.by for row in slices)),
    )


def _column(key: str, present: Collection[str]) -> Column:
    below, label = _BELOW.get(key, ("", ""))
    return Column(key, metric_label(key), *((below, label) if below in present else ()))


def _belongs(part: _Part, table: Table) -> bool:
    """Whether all forecasters of a part are in a table of its phase and check."""
    if isinstance(part, Difference):
        names = {part.first, part.second}
    else:
        rows = part.curves if isinstance(part, CurveSet) else part.rows
        names = {row.forecaster for row in rows}
    same = (part.phase, part.check) == (table.phase, table.check)
    return same and names <= {row.forecaster for row in table.rows}


def _slice_group(by: str, slices: Sequence[SliceRow]) -> SliceGroup:
    own = [row for row in slices if row.by == by]
    return SliceGroup(
        by=by,
        rows=tuple(
            tuple(row for row in own if row.value == value)
            for value in unique(row.value for row in own)
        ),
        forecasters=unique(row.forecaster for row in own),
        metrics=ordered(key for row in own for key in row.figures),
    )


def caution(table: Table) -> str:
    """A warning where a label has so few trials that curves and intervals are rough; else ""."""
    rare = [f"{n} {label}" for label, n in table.counts.items() if 0 < n < FEW_OF_A_LABEL]
    if not rare:
        return ""
    return (
        f"Only {' and '.join(rare)} among {thousands(table.n)} trials: read the curves and "
        "intervals with caution."
    )


def main_slice_metric(group: SliceGroup) -> str:
    """The metric shown for slices: ROC-AUC, or the first there is."""
    if "roc_auc" in group.metrics:
        return "roc_auc"
    return group.metrics[0] if group.metrics else ""


def slice_forecasters(group: SliceGroup, series: Sequence[Series]) -> tuple[str, ...]:
    """Those of the figures that the slices have; the first six where they have none of them."""
    drawn = [one.forecaster for one in series if one.forecaster in group.forecasters]
    return tuple(drawn) or group.forecasters[:MOST_SERIES]


def by_forecaster(rows: Sequence[SliceRow]) -> dict[str, SliceRow]:
    """A slice's rows by forecaster."""
    return {row.forecaster: row for row in rows}


def is_small(rows: Sequence[SliceRow]) -> bool:
    """Whether a slice is too small to say much: fewer than 50 rows, or nothing measured."""
    return rows[0].n < FEW or not any(row.figures for row in rows)


def as_json(value: object) -> str:
    """Settings as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def ordered(keys: Iterable[str]) -> tuple[str, ...]:
    """The metrics in display order, unknown ones last, each once."""
    known = list(METRICS)
    return tuple(
        sorted(set(keys), key=lambda key: (known.index(key) if key in METRICS else len(known), key))
    )


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """The values in the order of their first appearance."""
    return tuple(dict.fromkeys(values))


def variant_metrics(table: VariantTable) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The metrics that a variant table has: measured, and as differences."""
    return (
        ordered(key for row in table.rows for key in row.figures),
        ordered(key for row in table.rows for key in row.difference),
    )


def published_groups(report: Report) -> tuple[PublishedGroup, ...]:
    """Published results by protocol; results of different protocols never share a table."""
    protocols = unique(row.protocol for row in report.published)
    return tuple(
        _published_group(protocol, [row for row in report.published if row.protocol == protocol])
        for protocol in protocols
    )


def _published_group(protocol: str, rows: Sequence[PublishedRow]) -> PublishedGroup:
    title, colon, rest = protocol.partition(": ")
    sources = unique(row.source for row in rows)
    return PublishedGroup(
        title=title,
        protocol=rest[:1].upper() + rest[1:] if colon else "",
        rows=tuple(rows),
        systems=tuple(
            _published_system(name, [row for row in rows if row.system == name])
            for name in unique(row.system for row in rows)
        ),
        phases=unique(row.phase for row in rows),
        metrics=unique(key for row in rows for key in row.figures),
        source=sources[0] if len(sources) == 1 else "",
    )


def _published_system(name: str, rows: Sequence[PublishedRow]) -> PublishedSystem:
    grades = unique(row.grade for row in rows)
    by_phase = (
        f"{', '.join(row.phase for row in rows if row.grade == grade)}: {grade}" for grade in grades
    )
    return PublishedSystem(
        name=name,
        rows={row.phase: row for row in rows},
        grade=grades[0] if len(grades) == 1 else "; ".join(by_phase),
        source="; ".join(unique(row.source for row in rows)),
    )


def overview_checks(report: Report) -> tuple[str, ...]:
    """The checks that have a table with ROC-AUC, the strictest first."""
    have = {t.check for t in report.tables if any("roc_auc" in row.figures for row in t.rows)}
    return tuple(check for check in formatting.CHECKS if check in have)


def used_metrics(report: Report) -> tuple[str, ...]:
    """Every metric that some table of the report has."""
    return ordered(key for table in report.tables for row in table.rows for key in row.figures)
