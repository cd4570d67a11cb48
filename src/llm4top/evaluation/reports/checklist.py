"""TRIPOD+AI and TRIPOD-LLM, filled from what a run knows of itself; the rest stays open."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from llm4top.evaluation.reports.formatting import check_name, counts_text, heading
from llm4top.evaluation.reports.report import ChecklistItem, ForecasterRow, Report
from llm4top.text import percent, thousands

TRIPOD_AI, TRIPOD_LLM = "TRIPOD+AI", "TRIPOD-LLM"
OPEN = "For the authors to fill in."


@cache
def _content() -> dict[str, Any]:
    file = files("llm4top.evaluation.reports") / "data/checklist.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return found


def guideline_items(guideline: str) -> dict[str, tuple[str, str]]:
    """A guideline's items by number: topic, and what answers it (empty: the authors)."""
    items = _content()["guidelines"][guideline].items()
    return {number: (topic, answer[0] if answer else "") for number, (topic, *answer) in items}


def checklist(report: Report) -> tuple[ChecklistItem, ...]:
    """Every item of both guidelines; TRIPOD-LLM only where a language model was measured.

    An answer states nothing that the report does not hold or that is not true of every run. An
    item without an answer is ``open``.
    """
    kinds = {row.kind for table in report.tables for row in table.rows}
    language = bool(kinds & {"language", "stack"}) or not report.tables
    return tuple(
        ChecklistItem(
            guideline=guideline,
            item=number,
            topic=topic,
            answer=(answer := _answer(name, report)) or OPEN,
            open=not answer,
        )
        for guideline in (TRIPOD_AI, *((TRIPOD_LLM,) if language else ()))
        for number, (topic, name) in guideline_items(guideline).items()
    )


def _answer(name: str, report: Report) -> str:
    if name in _ANSWERS:
        return _ANSWERS[name](report)
    text: str = _content()["answers"][name] if name else ""
    return text.replace("{open}", _open())


def _data_sources(report: Report) -> str:
    parts = [
        f"{data.name} (SHA-256 {data.sha256[:12]}…"
        + (f", {len(data.files)} source files" if data.files else "")
        + ")"
        for data in report.data
    ]
    return f"{'; '.join(parts)}. Why these, and how representative: {_open()}" if parts else ""


def _data_dates(report: Report) -> str:
    parts = [
        f"{split} started {span}" for data in report.data for split, span in data.time_span.items()
    ]
    return f"{'; '.join(parts)}. Last date of the registry snapshot: {_open()}" if parts else ""


def _preparation(report: Report) -> str:
    text = "Fields are read by an allow-list; what is known only after the start is withheld."
    if report.audit:
        verdicts = [line.verdict for line in report.audit]
        verdict_counts = [
            f"{verdicts.count(v)} {v}" for v in ("pass", "warn", "fail") if v in verdicts
        ]
        text += f" Leak audit: {', '.join(verdict_counts)} of {len(verdicts)} checks."
    return text


def _outcome(report: Report) -> str:
    asked = report.asked
    event = f" The event is “{asked.event}”." if asked.event else ""
    return (
        f"{asked.question} Labels: {', '.join(asked.labels)}.{event} "
        f"Time horizon and how the source assessed it: {_open()}"
    )


def _objectives(report: Report) -> str:
    what = {
        "evaluation": "evaluation of one forecaster with reference baselines",
        "comparison": "comparison of forecasters on the same rows",
        "benchmark": "development and evaluation of all forecasters by one protocol",
        "selection": "development: choice among candidates on validation data",
    }
    return f"This report: {what[report.kind]}. The study's own objectives: {_open()}"


def _sample_size(report: Report) -> str:
    parts = [f"{heading(t)}: {thousands(t.n)} ({counts_text(t.counts)})" for t in report.tables]
    if not parts:
        return ""
    return f"All that the data set has. {'; '.join(parts)}. Intervals show the precision."


def _partition(report: Report) -> str:
    rules = "; ".join(data.split_rule for data in report.data)
    checks = ", ".join(dict.fromkeys(check_name(t.check) for t in report.tables))
    if not rules and not checks:
        return ""
    measured = f" Measured on: {checks}." if checks else ""
    return (
        f"{rules}.{measured} No trial is in two splits; nothing is chosen on test rows (looks at "
        f"them in the ledger: {len(report.looks)})."
    )


def _models(report: Report) -> str:
    parts = [f"{row.forecaster} ({row.kind}, from {row.learnt_from})" for row in _rows(report)]
    return f"{'; '.join(parts)}. Settings of the run: see How it was made." if parts else ""


def _model_identity(report: Report) -> str:
    parts = [
        f"{row.forecaster} ({row.identity[:16] or 'no identity stated'})"
        for row in _rows(report)
        if row.kind in ("language", "stack")
    ]
    if not parts:
        return ""
    used = f"used on {report.created[:10]}"
    return f"{'; '.join(parts)}, {used}. Training cut-off of the base: {_open()}"


def _rows(report: Report) -> list[ForecasterRow]:
    """Each forecaster's last row."""
    found = {row.forecaster: row for table in report.tables for row in table.rows}
    return list(found.values())


def _measures(report: Report) -> str:
    metrics = {key for table in report.tables for row in table.rows for key in row.figures}
    if not metrics:
        return ""
    draws = thousands(report.draws)
    text = (
        f"{len(metrics)} metrics, defined under Metrics, with 95 % intervals from {draws} "
        "bootstrap draws"
    )
    text += "; ROC, PR, reliability and decision curves" if report.curves else ""
    methods = sorted({difference.method for difference in report.differences})
    return text + (f"; differences by {' and '.join(methods)}, Holm-adjusted." if methods else ".")


def _imbalance(report: Report) -> str:
    parts = [f"{heading(one)}: {percent(one.prevalence)} events" for one in report.curves]
    if not parts:
        return ""
    return (
        f"{'; '.join(parts)}. Every table has trivial forecasters; average precision is shown "
        "with its lift over the share of events."
    )


def _flow(report: Report) -> str:
    parts = [
        f"{data.name}, {split}: {thousands(sum(counts.values()))} ({counts_text(counts)})"
        for data in report.data
        for split, counts in data.counts.items()
    ]
    return f"{'; '.join(parts)}." if parts else ""


def _characteristics(report: Report) -> str:
    flow = _flow(report)
    kinds = sorted({row.by for table in report.slices for row in table.rows})
    return f"{flow} By {', '.join(kinds)}: see Slices." if flow and kinds else flow


def _differing(report: Report) -> str:
    text = _data_dates(report)
    return f"Start dates: {text} Labels by split: see Data." if text else ""


def _data_sharing(report: Report) -> str:
    terms = "; ".join(term for data in report.data for term in data.terms)
    hashes = ", ".join(f"{data.name} {data.sha256}" for data in report.data)
    if not hashes:
        return ""
    return f"SHA-256: {hashes}." + (f" Terms: {terms}" if terms else f" Terms: {_open()}")


def _code_sharing(report: Report) -> str:
    version = report.versions.get("llm4top", "")
    made = f"LLM4TOP {version}, open source." if version else "LLM4TOP, open source."
    return f"{made} Reproduce with: {report.reproduce}" if report.reproduce else made


def _clusters(report: Report) -> str:
    kinds = sorted({row.by for table in report.slices for row in table.rows})
    return f"Performance by {', '.join(kinds)}: see Slices." if kinds else ""


def _performance(report: Report) -> str:
    text = ", ".join(heading(table) for table in report.tables)
    if not text:
        return ""
    slices = "; subgroups under Slices" if report.slices else ""
    return f"Tables with intervals: {text}{slices}."


def _comparison(report: Report) -> str:
    if not report.tables:
        return ""
    published = " Published results are listed apart, unranked." if report.published else ""
    return (
        "On the same rows: trivial forecasters, traditional machine learning and a leak oracle "
        f"that is marked as cheating.{published} There is no comparison with people."
    )


def _prompts(report: Report) -> str:
    ablations = "; ".join(table.title for table in report.variants)
    text = "One function renders every prompt; no prompt was chosen on test rows."
    return f"{text} Measured: {ablations}." if ablations else text


def _compute(report: Report) -> str:
    machine = ", ".join(f"{key} {text}" for key, text in report.machine.items())
    return f"{machine}. Time and energy: {_open()}" if machine else ""


def _open() -> str:
    return OPEN[0].lower() + OPEN[1:]


_ANSWERS: dict[str, Callable[[Report], str]] = {
    "characteristics": _characteristics,
    "clusters": _clusters,
    "code_sharing": _code_sharing,
    "comparison": _comparison,
    "compute": _compute,
    "data_dates": _data_dates,
    "data_sharing": _data_sharing,
    "data_sources": _data_sources,
    "differing": _differing,
    "flow": _flow,
    "imbalance": _imbalance,
    "measures": _measures,
    "model_identity": _model_identity,
    "models": _models,
    "objectives": _objectives,
    "outcome": _outcome,
    "partition": _partition,
    "performance": _performance,
    "preparation": _preparation,
    "prompts": _prompts,
    "sample_size": _sample_size,
}
"""What fills an item from the report; the other answers are in ``data/checklist.yaml``."""
