"""TRIPOD+AI and TRIPOD-LLM, filled from what a run knows of itself; the rest stays open."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llm4top.evaluation._checklist_items import (
    TRIPOD_AI,
    TRIPOD_AI_ITEMS,
    TRIPOD_LLM,
    TRIPOD_LLM_ITEMS,
    Item,
)
from llm4top.evaluation._report import ChecklistItem, Report
from llm4top.evaluation._wording import check_name, count, counts_text, heading

OPEN = "For the authors to fill in."

Answer = Callable[[Report], str]


def checklist(report: Report) -> tuple[ChecklistItem, ...]:
    """Every item of both guidelines; TRIPOD-LLM only where a language model was measured.

    An answer says nothing that the report does not hold or that is not true of every run. An item
    without one, or with an empty one, is ``open``.
    """
    items = _filled(TRIPOD_AI, TRIPOD_AI_ITEMS, report)
    kinds = {row.kind for table in report.tables for row in table.rows}
    if kinds & {"language", "stack"} or not report.tables:
        items += _filled(TRIPOD_LLM, TRIPOD_LLM_ITEMS, report)
    return items


def _filled(guideline: str, items: Sequence[Item], report: Report) -> tuple[ChecklistItem, ...]:
    filled = []
    for item in items:
        answer = _ANSWERS[item.answer](report) if item.answer else ""
        filled.append(
            ChecklistItem(
                guideline=guideline,
                item=item.number,
                topic=item.topic,
                answer=answer or OPEN,
                open=not answer,
            )
        )
    return tuple(filled)


def _always(text: str) -> Answer:
    return lambda _report: text


def _data_sources(report: Report) -> str:
    told = [
        f"{data.name} (SHA-256 {data.sha256[:12]}…"
        + (f", {len(data.files)} source files" if data.files else "")
        + ")"
        for data in report.data
    ]
    return f"{'; '.join(told)}. Why these, and how representative: {_open()}" if told else ""


def _data_dates(report: Report) -> str:
    told = [
        f"{split} started {span}" for data in report.data for split, span in data.time_span.items()
    ]
    return f"{'; '.join(told)}. Last date of the registry snapshot: {_open()}" if told else ""


def _preparation(report: Report) -> str:
    told = "Fields are read by an allow-list; what is known only afterwards is withheld."
    if report.audit:
        verdicts = [line.verdict for line in report.audit]
        parts = [f"{verdicts.count(v)} {v}" for v in ("pass", "warn", "fail") if v in verdicts]
        told += f" Leak audit: {', '.join(parts)} of {len(verdicts)} checks."
    return told


def _outcome(report: Report) -> str:
    asked = report.asked
    event = f" The event is “{asked.event}”." if asked.event else ""
    return (
        f"{asked.question} Labels: {', '.join(asked.labels)}.{event} "
        f"Time horizon and how the source assessed it: {_open()}"
    )


def _objectives(report: Report) -> str:
    what = {
        "evaluation": "evaluation of one forecaster beside baselines",
        "comparison": "comparison of forecasters on the same rows",
        "benchmark": "development and evaluation of all forecasters by one protocol",
        "selection": "development: choice among candidates on validation data",
    }
    return f"This report: {what[report.kind]}. The study's own objectives: {_open()}"


def _sample_size(report: Report) -> str:
    told = [f"{heading(t)}: {count(t.n)} ({counts_text(t.counts)})" for t in report.tables]
    if not told:
        return ""
    return f"All that the data set has. {'; '.join(told)}. Intervals show what that can tell."


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
    found = {row.forecaster: row for table in report.tables for row in table.rows}
    told = "; ".join(f"{name} ({row.kind}, from {row.learnt_from})" for name, row in found.items())
    return f"{told}. Settings of the run: see How it was made." if told else ""


def _model_identity(report: Report) -> str:
    found = {
        row.forecaster: row.identity
        for table in report.tables
        for row in table.rows
        if row.kind in ("language", "stack")
    }
    told = [f"{name} ({identity[:16] or 'no identity stated'})" for name, identity in found.items()]
    if not told:
        return ""
    return (
        f"{'; '.join(told)}, asked {report.created[:10]}. Training cut-off of the base: {_open()}"
    )


def _measures(report: Report) -> str:
    metrics = {key for table in report.tables for row in table.rows for key in row.figures}
    if not metrics:
        return ""
    draws = count(report.draws)
    told = (
        f"{len(metrics)} metrics, defined under Metrics, with 95 % intervals from {draws} "
        "bootstrap draws"
    )
    told += "; ROC, PR, reliability and decision curves" if report.curves else ""
    methods = sorted({difference.method for difference in report.differences})
    return told + (f"; differences by {' and '.join(methods)}, Holm-adjusted." if methods else ".")


def _imbalance(report: Report) -> str:
    told = [
        f"{heading(one)}: {one.prevalence:.0%} events".replace("%", "\u202f%")
        for one in report.curves
    ]
    if not told:
        return ""
    return (
        f"{'; '.join(told)}. Trivial forecasters stand in every table; average precision is shown "
        "with its lift over the share of events."
    )


def _flow(report: Report) -> str:
    told = [
        f"{data.name}, {split}: {count(sum(counts.values()))} ({counts_text(counts)})"
        for data in report.data
        for split, counts in data.counts.items()
    ]
    return f"{'; '.join(told)}." if told else ""


def _characteristics(report: Report) -> str:
    flow = _flow(report)
    kinds = sorted({row.by for table in report.slices for row in table.rows})
    return f"{flow} By {', '.join(kinds)}: see Slices." if flow and kinds else flow


def _differing(report: Report) -> str:
    told = _data_dates(report)
    return f"Start dates: {told} Labels by split: see Data." if told else ""


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
    told = ", ".join(heading(table) for table in report.tables)
    if not told:
        return ""
    slices = "; subgroups under Slices" if report.slices else ""
    return f"Tables with intervals: {told}{slices}."


def _comparison(report: Report) -> str:
    if not report.tables:
        return ""
    published = " Published results stand apart, unranked." if report.published else ""
    return (
        "On the same rows: trivial forecasters, traditional machine learning and a leak oracle "
        f"that is marked as cheating.{published} People were not compared with."
    )


def _prompts(report: Report) -> str:
    ablations = "; ".join(table.title for table in report.variants)
    told = "One rendering function makes every prompt; no prompt was chosen on test rows."
    return f"{told} Measured: {ablations}." if ablations else told


def _compute(report: Report) -> str:
    machine = ", ".join(f"{key} {text}" for key, text in report.machine.items())
    return f"{machine}. Time and energy: {_open()}" if machine else ""


def _open() -> str:
    return OPEN[0].lower() + OPEN[1:]


_ANSWERS: dict[str, Answer] = {
    "annotation": _always("No text was annotated for this report; labels come with the data set."),
    "blinding": _always(
        "Labels are the data set's. Forecasters see no field that holds status, results or actual "
        "dates; the leak oracle alone does, on purpose."
    ),
    "calculation": _always(
        "By this program, from the saved forecaster whose identity stands in the table."
    ),
    "challenges": _always(
        "Registry records are edited after the start; labels of stopped trials may rest on the "
        "stop reason; a base model may have read results. See the leak audit and the contamination "
        "probes where they were made."
    ),
    "characteristics": _characteristics,
    "clusters": _clusters,
    "code_sharing": _code_sharing,
    "comparison": _comparison,
    "compute": _compute,
    "data_dates": _data_dates,
    "data_sharing": _data_sharing,
    "data_sources": _data_sources,
    "differing": _differing,
    "eligibility": _always(
        "The unit is a trial's registry record, not a patient: every record of the data set "
        f"with a label. The data set's own criteria: {_open()}"
    ),
    "ethics": _always(
        f"Registry records of trials, no patient's data. Approval or waiver: {_open()}"
    ),
    "flow": _flow,
    "handling": _always(
        "Language models read the record as text within a token budget; baselines read counted "
        "and coded fields and text, fitted on learning rows only."
    ),
    "imbalance": _imbalance,
    "inference": _always(
        "No text is generated: probabilities are read from the answer tokens in one pass, without "
        "sampling or temperature. Seed: see How it was made."
    ),
    "intended_use": _always(
        "An aid to planning trials and portfolios, for people who know trials; a person decides. "
        "Not for any decision about a single patient."
    ),
    "limitations": _always(
        "Figures hold for these rows. Fields may have been edited after the start, a base model "
        "may know outcomes, and figures on the validation split are optimistic. The study's own "
        "limitations: "
        f"{_open()}"
    ),
    "measures": _measures,
    "missing": _always(
        "A prompt leaves a missing field out. Baselines over features take the average of the "
        "learning rows (kNN + random forest: of the nearest ones). Class weights, where set, stand "
        f"in the settings. Records omitted: {_open()}"
    ),
    "model_identity": _model_identity,
    "models": _models,
    "no_alignment": _always("Not applicable: no alignment; tuning is on labelled answers only."),
    "no_summary": _always("Not applicable: nothing is summarised."),
    "no_text": _always("Not applicable: no text is generated."),
    "objectives": _objectives,
    "outcome": _outcome,
    "output": _always(
        "Probabilities of the labels. Classes are decided at a threshold chosen on validation "
        "data for F1, and at .5 beside it."
    ),
    "partition": _partition,
    "performance": _performance,
    "poor_input": _always(
        "A record that cannot be read is refused with its reason; what is cut or withheld from a "
        "record is shown with each forecast."
    ),
    "predictor_time": _always(
        "Fields that are known at registration or before the outcome, by an allow-list. The "
        "version of the record that was read may be later than the start."
    ),
    "predictors": _always(
        "All fields of the allow-list; none was chosen by its relation to labels."
    ),
    "preparation": _preparation,
    "prompts": _prompts,
    "sample_size": _sample_size,
    "specification": _always(
        "Forecasters are saved as bundles of hashed files without code; the base model's terms "
        "hold for its use."
    ),
    "treatments": _always("Interventions of a trial are predictors, not treatments of patients."),
    "updating": _always(
        "Probabilities may be calibrated on validation rows, which the table's notes then say; "
        "nothing is updated on test rows."
    ),
    "users": _always(
        "Users give records and read the forecast with its interval; knowing trials suffices."
    ),
}
