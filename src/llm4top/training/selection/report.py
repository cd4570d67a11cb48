"""The report of a selection: what was tried on the same rows, what was dropped, what was chosen."""

from collections import Counter
from collections.abc import Iterator, Sequence

from llm4top.data.scopes import phases_in
from llm4top.evaluation.predictions import FloatArray, Scores
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.metadata import data_facts, new_report
from llm4top.evaluation.reports.render import write_report
from llm4top.evaluation.reports.report import Kind, Report, VariantRow, VariantTable
from llm4top.evaluation.reports.table import Entry, Measurements, measure_table
from llm4top.evaluation.threshold import cross_fitted_decisions
from llm4top.forecasters.baselines.catalog import BASELINES
from llm4top.text import percent
from llm4top.training.selection.finalize import Findings
from llm4top.training.selection.selection_file import SEED, RungOutcome, Selection

_TABLE_NOTE = (
    "Everything here was chosen or stopped on these rows, so figures are optimistic. Forecasters "
    "are scaled alike by cross-fitting; so are pools and thresholds."
)


def write_selection_report(findings: Findings, selection: Selection, reproduce: str) -> None:
    """Write ``report.html``, ``report.json`` and ``report.md`` beside ``selection.json``."""
    write_report(make_report(findings, selection, reproduce), findings.settings.out)


def make_report(findings: Findings, selection: Selection, reproduce: str) -> Report:
    """The report of kind "selection": the choice and why, the finalists' table, the rungs."""
    dataset, settings = findings.dataset, findings.settings
    measured = _finalists(findings)
    report = new_report(
        "selection",
        f"Model selection on {dataset.card.name}",
        dataset.task,
        reproduce=reproduce,
        seed=SEED,
        draws=settings.draws,
        settings=selection.settings,
    )
    report = report.model_copy(
        update={
            "summary": selection.why,
            # The hash of the whole, test rows included, is what other reports name it by.
            "data": (data_facts(dataset).model_copy(update={"sha256": dataset.card.sha256}),),
            "tables": (measured.table,),
            "curves": (measured.curves,) if measured.curves else (),
            "differences": measured.differences,
            "variants": tuple(_rung(findings, rung) for rung in selection.rungs),
            "notes": (*_details(selection), *selection.notes),
        }
    )
    return report.model_copy(update={"checklist": checklist(report)})


def _finalists(findings: Findings) -> Measurements:
    """The language model, the blend where one was tried, and every baseline, on the same rows."""
    finalists, scorer = findings.finalists, findings.finalists.scorer
    learnt = f"{findings.dataset.splits.count('train')} training trials"
    shown: list[tuple[str, Kind, FloatArray]] = [
        (finalists.name, "language", scorer.scaled({"language": finalists.logits}))
    ]
    if findings.pool is not None:
        name = f"{finalists.name} + {finalists.baseline.label}"
        shown.append((name, "stack", scorer.scaled(finalists.sources)))
    for baseline in findings.models.found.values():
        scaled = scorer.scaled({"baseline": baseline.logits})
        shown.append((baseline.label, BASELINES[baseline.name].kind, scaled))
    ids = _unique(findings.valid.nct_ids)
    entries = [
        _entry(
            findings,
            Scores(name, "valid", findings.dataset.task.labels, p, scorer.y, ids),
            kind,
            learnt,
        )
        for name, kind, p in shown
    ]
    return measure_table(
        entries,
        title="Finalists and baselines, validation split",
        phase=_phase(findings),
        check="valid",
        against=findings.decision.name,
        reference=finalists.base_rate.probabilities,
        draws=findings.settings.draws,
        seed=SEED,
        note=_TABLE_NOTE,
    )


def _entry(findings: Findings, scores: Scores, kind: Kind, learnt: str) -> Entry:
    binary = len(scores.labels) == 2
    return Entry(
        scores=scores,
        kind=kind,
        learnt_from=learnt,
        decisions=cross_fitted_decisions(scores, seed=SEED) if binary else None,
        note="chosen" if scores.forecaster == findings.decision.name else "",
    )


def _rung(findings: Findings, rung: RungOutcome) -> VariantTable:
    """A rung's candidates with their log-losses, and whether each was kept."""
    n = len(findings.finalists.scorer.y)
    dropped = {drop.candidate: drop for drop in rung.dropped}
    rows = []
    for one in rung.candidates:
        drop = dropped.get(one.candidate)
        behind = drop.behind if drop else None
        fate = f"dropped: {drop.reason}" if drop else "kept"
        rows.append(
            VariantRow(
                variant=one.candidate,
                n=n,
                figures={"log_loss": one.log_loss} if one.log_loss else {},
                difference={"log_loss": behind} if behind else {},
                note=f"{_steps(one.runs[0].steps, len(one.runs))}; {fate}",
            )
        )
    return VariantTable(
        title=f"Rung {rung.number}",
        forecaster=f"{percent(rung.share)} of the steps",
        check="valid",
        reading="Mean log-loss over the seeds, lower is better. The difference of a candidate that "
        "was dropped is to the last one that was kept.",
        rows=tuple(rows),
    )


def _steps(steps: int, seeds: int) -> str:
    counted = f"{steps} steps" if steps else "no steps: a frozen probe"
    return counted + (f", {seeds} seeds" if seeds > 1 else "")


def _phase(findings: Findings) -> str:
    phases = phases_in(findings.valid)
    return phases[0] if len(phases) == 1 else "pooled"


def _details(selection: Selection) -> Iterator[str]:
    """Notes beside the tables: the spread over seeds, errors, and where the bundles are."""
    for rung in selection.rungs:
        for one in rung.candidates:
            if one.least is not None and one.greatest is not None and len(one.runs) > 1:
                yield (
                    f"Rung {rung.number}, {one.candidate}: {len(one.runs)} seeds from "
                    f"{one.least:.4f} to {one.greatest:.4f}."
                )
            for run in one.runs:
                if run.error:
                    yield f"Rung {rung.number}, {one.candidate}, seed {run.seed}: {run.error}"
    for baseline in selection.baselines:
        if baseline.note:
            yield f"{baseline.label}: {baseline.note}"
    yield f"Best language model alone: {selection.language_bundle}. Best baseline: baseline/."


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Identifiers of rows; where one trial is there twice, its second row gets a number."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(unique)
