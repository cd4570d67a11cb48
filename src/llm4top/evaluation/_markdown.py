"""A report as Markdown: the same content as the HTML, tables for pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from llm4top.evaluation import _view as view
from llm4top.evaluation import _wording as wording
from llm4top.evaluation._metrics import METRICS
from llm4top.evaluation._report import DataFacts, ForecasterRow, Report, VariantTable

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~&$!])")
_LINE_START = re.compile(r"^(\s*)([-+=]|\d+[.)])")


def markdown(report: Report) -> str:
    """The whole report; every text of it is escaped, so that it stays text."""
    parts = [
        *_head(report),
        *_data(report),
        *_audit(report),
        *(line for section in view.sections(report) for line in _section(section)),
        *_variants(report),
        *_published(report),
        *_looks(report),
        *_checklist(report),
        *_made(report),
        *_metrics(report),
    ]
    return "\n".join(parts).rstrip() + "\n"


def escaped(text: str) -> str:
    """The text on one line, without any meaning to Markdown or HTML."""
    return _LINE_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", wording.plain(text)))


def _heading(level: int, text: str) -> list[str]:
    return ["#" * level + " " + text, ""]


def _list(lines: Iterable[str]) -> list[str]:
    items = [f"- {line}" for line in lines]
    return [*items, ""] if items else []


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    return [line(header), line(["---"] * len(header)), *(line(row) for row in rows), ""]


def _head(report: Report) -> list[str]:
    asked = report.asked
    labels = ", ".join(escaped(label) for label in asked.labels)
    event = f"; the chance of “{escaped(asked.event)}” is forecast" if asked.event else ""
    return [
        *_heading(1, escaped(report.title)),
        *_heading(2, "Summary"),
        *_list(escaped(sentence) for sentence in report.summary),
        *_heading(2, "What was asked"),
        *_list(
            (
                f"Question: {escaped(asked.question)}",
                f"Task: {escaped(asked.task)}: {labels}{event}",
                f"Reproduce with: {_code(report.reproduce)}",
                f"Intervals: 95 %, {wording.count(report.draws)} bootstrap draws, "
                f"seed {report.seed}",
            )
        ),
    ]


def _code(text: str) -> str:
    told = wording.plain(text)
    longest = max((len(run) for run in re.findall(r"`+", told)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{told}{pad}{fence}" if told else wording.NOTHING


def _data(report: Report) -> list[str]:
    if not report.data:
        return []
    return [*_heading(2, "Data"), *(line for data in report.data for line in _data_set(data))]


def _data_set(data: DataFacts) -> list[str]:
    rows = (
        (
            escaped(split),
            wording.count(sum(counts.values())),
            escaped(wording.counts_text(counts)),
            escaped(data.time_span.get(split, wording.NOTHING)),
        )
        for split, counts in data.counts.items()
    )
    return [
        *_heading(3, escaped(data.name)),
        *_list(
            (
                f"SHA-256: {_code(data.sha256)}",
                *([f"Split: {escaped(data.split_rule)}"] if data.split_rule else []),
                *(f"Terms: {escaped(term)}" for term in data.terms),
                *(f"Warning: {escaped(warning)}" for warning in data.warnings),
                *(f"Source file: {_code(file)}" for file in data.files),
            )
        ),
        *_table(("Split", "Trials", "Labels", "Started"), rows),
    ]


def _audit(report: Report) -> list[str]:
    if not report.audit:
        return []
    rows = (
        (escaped(a.check), a.verdict, escaped(a.field), escaped(a.finding)) for a in report.audit
    )
    return [*_heading(2, "Leak audit"), *_table(("Check", "Verdict", "Field", "Finding"), rows)]


def _section(section: view.Section) -> list[str]:
    table = section.table
    note = wording.CHECK_NOTES.get(table.check, "")
    ordered = [row for _, rows in section.groups for row in rows]
    header = ("Forecaster", *(view.metric_label(key) for key in section.metrics))
    rows = (
        (_name(row), *(view.cell(row.figures, key) for key in section.metrics)) for row in ordered
    )
    learnt = ((_name(row), escaped(row.learnt_from), _code(row.identity)) for row in ordered)
    counts = escaped(wording.counts_text(table.counts))
    return [
        *_heading(2, escaped(section.heading)),
        f"{wording.count(table.n)} trials: {counts}. {note}",
        "",
        *([escaped(table.note), ""] if table.note else []),
        *_table(header, rows),
        *_table(("Forecaster", "Learnt from", "Identity"), learnt),
        *_curves(section),
        *_differences(section),
        *_slices(section),
    ]


def _name(row: ForecasterRow) -> str:
    words = escaped(row.forecaster)
    if row.kind == "cheating":
        words = f"{words} (**{wording.CHEATING}**)"
    return f"{words}: {escaped(row.note)}" if row.note else words


def _curves(section: view.Section) -> list[str]:
    if section.curves is None:
        return []
    told = f"`curves`, phase {escaped(section.table.phase)}, check {escaped(section.table.check)}"
    return [f"ROC, PR, reliability and decision curves and histograms: report.json, {told}.", ""]


def _differences(section: view.Section) -> list[str]:
    lines: list[str] = []
    for key, own in section.differences:
        rows = (
            (
                f"{escaped(d.first)} minus {escaped(d.second)}",
                f"{wording.signed(d.figure.value)} {wording.interval(d.figure)}".rstrip(),
                wording.p_value(d.p_value).replace("<", "&lt;"),
                wording.p_value(d.p_adjusted).replace("<", "&lt;"),
                f"{d.method}, Holm over {d.family}",
                escaped(wording.reading(d, view.better(d.metric))),
            )
            for d in own
        )
        header = ("Pair", "Difference", "p", "p adjusted", "Test", "Reading")
        label = view.metric_label(key)
        lines += [*_heading(3, f"Paired differences in {label}"), *_table(header, rows)]
    return lines


def _slices(section: view.Section) -> list[str]:
    lines: list[str] = []
    for group in section.slices:
        header = ("Slice", "n", "Outcomes", "Forecaster", *map(view.metric_label, group.metrics))
        rows = (
            (
                escaped(f"{row.value} ({row.note})" if row.note else row.value),
                wording.count(row.n),
                escaped(wording.counts_text(row.counts)),
                escaped(row.forecaster),
                *(view.cell(row.figures, key) for key in group.metrics),
            )
            for own in group.rows
            for row in own
        )
        lines += [*_heading(3, f"Slices by {escaped(group.by)}"), *_table(header, rows)]
    return lines


def _variants(report: Report) -> list[str]:
    if not report.variants:
        return []
    lines = _heading(2, wording.variants_heading(report))
    column = wording.variants_column(report)
    return lines + [line for table in report.variants for line in _variant_table(table, column)]


def _variant_table(table: VariantTable, column: str) -> list[str]:
    measured, differing = view.variant_metrics(table)
    header = (
        column,
        "n",
        *map(view.metric_label, measured),
        *(f"Difference in {view.metric_label(key)}" for key in differing),
    )
    rows = (
        (
            escaped(f"{row.variant} ({row.note})" if row.note else row.variant),
            wording.count(row.n),
            *(view.cell(row.figures, key) for key in measured),
            *(view.cell(row.difference, key) for key in differing),
        )
        for row in table.rows
    )
    return [
        *_heading(3, f"{escaped(table.title)}: {escaped(table.forecaster)}"),
        f"{escaped(table.reading)} ({escaped(wording.check_name(table.check))})",
        "",
        *_table(header, rows),
    ]


def _published(report: Report) -> list[str]:
    groups = view.published_groups(report)
    if not groups:
        return []
    lines = [
        *_heading(2, "Published results"),
        f"**Not ranked with the figures above, nor with each other.** {wording.PUBLISHED_NOTE}",
        "",
    ]
    for group in groups:
        header = ("System", "Phase", *map(escaped, group.metrics), "Grade", "Source")
        rows = (
            (
                escaped(row.system),
                escaped(row.phase),
                *(escaped(row.figures.get(key, wording.NOTHING)) for key in group.metrics),
                escaped(row.grade),
                escaped(row.source),
            )
            for row in group.rows
        )
        said = [escaped(group.protocol), ""] if group.protocol else []
        lines += [*_heading(3, escaped(group.title)), *said, *_table(header, rows)]
    return lines


def _looks(report: Report) -> list[str]:
    lines = _heading(2, "Looks at test data")
    if report.looks:
        rows = (
            (
                escaped(look.time),
                escaped(look.what),
                _code(look.bundle),
                _code(look.data_sha256),
                wording.count(look.n),
            )
            for look in report.looks
        )
        lines += [f"Looks at these test rows so far: {len(report.looks)}.", ""]
        lines += _table(("When", "What", "Bundle", "Data", "n"), rows)
    else:
        lines += ["This report looked at no test data.", ""]
    return [*lines, escaped(report.looks_note), ""] if report.looks_note else lines


def _checklist(report: Report) -> list[str]:
    if not report.checklist:
        return []
    lines = [*_heading(2, "Reporting checklist"), wording.CHECKLIST_NOTE, ""]
    for guideline in view.unique(item.guideline for item in report.checklist):
        rows = (
            (
                escaped(item.item),
                escaped(item.topic),
                f"*{escaped(item.answer)}*" if item.open else escaped(item.answer),
            )
            for item in report.checklist
            if item.guideline == guideline
        )
        lines += [*_heading(3, escaped(guideline)), *_table(("Item", "Topic", "Answer"), rows)]
    return lines


def _made(report: Report) -> list[str]:
    facts = {**report.versions, **report.machine}
    settings = view.as_json(report.settings)
    return [
        *_heading(2, "How it was made"),
        *_list(escaped(note) for note in report.notes),
        *_list(
            (
                f"made: {escaped(report.created)}",
                f"seed: {report.seed}",
                *(f"{escaped(key)}: {escaped(text)}" for key, text in facts.items()),
            )
        ),
        *(["Settings:", "", *(f"    {line}" for line in settings.splitlines()), ""]),
    ]


def _metrics(report: Report) -> list[str]:
    used = [key for key in view.used_metrics(report) if key in METRICS]
    if not used:
        return []
    return [
        *_heading(2, "Metrics"),
        *_list(
            f"{METRICS[key].label}: {escaped(METRICS[key].definition)} "
            f"{wording.BETTER[METRICS[key].better]}"
            for key in used
        ),
    ]
