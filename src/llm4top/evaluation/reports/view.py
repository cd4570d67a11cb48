"""A report's content grouped and ordered for its readers, for HTML and Markdown alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llm4top.evaluation.metrics.metrics import METRICS
from llm4top.evaluation.reports.drawing import MOST_SERIES, Series
from llm4top.evaluation.reports.formatting import (
    CHECKS,
    KINDS,
    SHORT_CHECKS,
    display_order,
    heading,
    phase_name,
    with_interval,
)
from llm4top.evaluation.reports.report import (
    CurveSet,
    Difference,
    Figure,
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

_T = TypeVar("_T")

_MAIN = {
    "binary": (
        ("roc_auc", ""),
        ("average_precision", "lift"),
        ("f1", ""),
        ("f1_at_half", ""),
        ("brier", "brier_skill"),
        ("log_loss", ""),
        ("ece", ""),
    ),
    "many": (
        ("roc_auc", ""),
        ("macro_f1", ""),
        ("balanced_accuracy", ""),
        ("accuracy", ""),
        ("brier", "brier_skill"),
        ("log_loss", ""),
        ("ece", ""),
    ),
}
FEW = 50
"""Below this many rows a slice is shown muted."""

FEW_OF_A_LABEL = 20
"""With fewer trials of a label a single one moves a curve by more than a twentieth."""

_BESIDE = {"lift": "lift", "brier_skill": "skill"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the main table: a metric, and one shown below it in the same cell."""

    key: str
    beside: str

    @property
    def label(self) -> str:
        """The metric's name, or its key where it is a new one."""
        return metric_label(self.key)

    @property
    def beside_label(self) -> str:
        """One word for the metric below."""
        return _BESIDE[self.beside]


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
    tables = sorted(report.tables, key=lambda t: display_order(t.phase, t.check))
    places = [_place(table) for table in tables]
    rest = _Rest(list(report.curves), list(report.differences), list(report.slices))
    return tuple(
        _section(table, i, rest, alone=places.count(_place(table)) == 1)
        for i, table in enumerate(tables, start=1)
    )


@dataclass(frozen=True, slots=True)
class _Rest:
    """What belongs to no table yet."""

    curves: list[CurveSet]
    differences: list[Difference]
    slices: list[SliceTable]


def _place(part: Table | CurveSet | Difference | SliceTable) -> tuple[str, str]:
    return part.phase, part.check


def _section(table: Table, position: int, rest: _Rest, *, alone: bool) -> Section:
    here, names = _place(table), {row.forecaster for row in table.rows}
    present = {key for row in table.rows for key in row.figures}
    main = _MAIN["many" if "macro_f1" in present else "binary"]
    curves = _take(
        rest.curves, lambda c: _place(c) == here and {x.forecaster for x in c.curves} <= names
    )
    own = _take(rest.differences, lambda d: _place(d) == here and {d.first, d.second} <= names)
    sliced = _take(
        rest.slices, lambda s: _place(s) == here and {row.forecaster for row in s.rows} <= names
    )
    slices = [row for one in sliced for row in one.rows]
    return Section(
        anchor=f"table-{position}",
        heading=heading(table) if alone else table.title,
        name=phase_name(table.phase) if alone else table.title,
        short=SHORT_CHECKS.get(table.check, table.check) if alone else table.title,
        table=table,
        columns=tuple(
            Column(key, beside if beside in present else "")
            for key, beside in main
            if key in present
        ),
        metrics=ordered(present),
        groups=tuple(
            (kind, rows)
            for kind in KINDS
            if (rows := tuple(row for row in table.rows if row.kind == kind))
        ),
        curves=curves[0] if curves else None,
        differences=tuple(
            (key, tuple(d for d in own if d.metric == key))
            for key in ordered(d.metric for d in own)
        ),
        slices=tuple(_slice_group(by, slices) for by in unique(row.by for row in slices)),
    )


def _take(parts: list[_T], wanted: Callable[[_T], bool]) -> list[_T]:
    """Remove and return the parts that are wanted."""
    taken = [part for part in parts if wanted(part)]
    parts[:] = [part for part in parts if not wanted(part)]
    return taken


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
    return tuple(check for check in CHECKS if check in have)


def used_metrics(report: Report) -> tuple[str, ...]:
    """Every metric that some table of the report has."""
    return ordered(key for table in report.tables for row in table.rows for key in row.figures)


def cell(figures: dict[str, Figure], key: str) -> str:
    """A figure with its interval, or a dash."""
    return with_interval(figures.get(key))
