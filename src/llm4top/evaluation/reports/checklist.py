"""TRIPOD+AI and TRIPOD-LLM, filled from what a report holds; the rest stays open.

Items and answers are in ``data/checklist.yaml``; answers are Jinja templates over ``_facts``.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from llm4top.evaluation.reports.formatting import check_name, counts_text, heading
from llm4top.evaluation.reports.report import ChecklistItem, Report
from llm4top.text import percent, thousands

TRIPOD_AI, TRIPOD_LLM = "TRIPOD+AI", "TRIPOD-LLM"
OPEN = "For the authors to fill in."


@cache
def _content() -> dict[str, Any]:
    file = files("llm4top.evaluation.reports") / "data/checklist.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    # The answers become plain text here; each form of the report escapes it.
    environment = Environment(autoescape=False, undefined=StrictUndefined)
    found["answers"] = {
        name: environment.from_string(text) for name, text in found["answers"].items()
    }
    return found


def guideline_items(guideline: str) -> dict[str, tuple[str, str]]:
    """A guideline's items by number: topic, and the name of the answer ("" for the authors)."""
    items = _content()["guidelines"][guideline].items()
    return {number: (topic, answer[0] if answer else "") for number, (topic, *answer) in items}


def checklist(report: Report) -> tuple[ChecklistItem, ...]:
    """Every item of both guidelines; TRIPOD-LLM only where a language model was measured.

    An answer states nothing that the report does not hold or that is not true of every run. An
    item without an answer is ``open``.
    """
    kinds = {row.kind for table in report.tables for row in table.rows}
    language = bool(kinds & {"language", "stack"}) or not report.tables
    facts = _facts(report)
    answers = {name: text.render(facts).strip() for name, text in _content()["answers"].items()}
    return tuple(
        ChecklistItem(
            guideline=guideline,
            item=number,
            topic=topic,
            answer=answers.get(name) or OPEN,
            open=not answers.get(name),
        )
        for guideline in (TRIPOD_AI, *((TRIPOD_LLM,) if language else ()))
        for number, (topic, name) in guideline_items(guideline).items()
    )


def _facts(report: Report) -> dict[str, Any]:
    """What answers can say: the report, and phrases about it ("" where there is nothing)."""
    data, tables = report.data, report.tables
    rows = {row.forecaster: row for table in tables for row in table.rows}.values()
    verdicts = [line.verdict for line in report.audit]
    return {
        "report": report,
        "open": OPEN[0].lower() + OPEN[1:],
        "audit": ", ".join(
            f"{verdicts.count(v)} {v}" for v in ("pass", "warn", "fail") if v in verdicts
        ),
        "checks": ", ".join(dict.fromkeys(check_name(t.check) for t in tables)),
        "dates": "; ".join(
            f"{split} started {span}" for one in data for split, span in one.time_span.items()
        ),
        "draws": thousands(report.draws),
        "events": "; ".join(f"{heading(c)}: {percent(c.prevalence)} events" for c in report.curves),
        "flow": "; ".join(
            f"{one.name}, {split}: {thousands(sum(counts.values()))} ({counts_text(counts)})"
            for one in data
            for split, counts in one.counts.items()
        ),
        "hashes": ", ".join(f"{one.name} {one.sha256}" for one in data),
        "identities": "; ".join(
            f"{row.forecaster} ({row.identity[:16] or 'no identity stated'})"
            for row in rows
            if row.kind in ("language", "stack")
        ),
        "machine": ", ".join(f"{key} {text}" for key, text in report.machine.items()),
        "methods": " and ".join(sorted({d.method for d in report.differences})),
        "metrics": len({key for table in tables for row in table.rows for key in row.figures}),
        "models": "; ".join(f"{r.forecaster} ({r.kind}, from {r.learnt_from})" for r in rows),
        "rules": "; ".join(one.split_rule for one in data),
        "sizes": "; ".join(
            f"{heading(t)}: {thousands(t.n)} ({counts_text(t.counts)})" for t in tables
        ),
        "slices": ", ".join(sorted({row.by for table in report.slices for row in table.rows})),
        "sources": "; ".join(
            f"{one.name} (SHA-256 {one.sha256[:12]}…"
            + (f", {len(one.files)} source files)" if one.files else ")")
            for one in data
        ),
        "tables": ", ".join(heading(table) for table in tables),
        "terms": "; ".join(term for one in data for term in one.terms),
        "variants": "; ".join(table.title for table in report.variants),
    }
