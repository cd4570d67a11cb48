"""Whether a model may recall how trials ended instead of estimating it: three probes."""

import re
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import EvaluationError
from llm4top.evaluation.metrics.metrics import Measured
from llm4top.evaluation.predictions import IntArray
from llm4top.evaluation.probes.masking import MASKS, Mask, mask_names
from llm4top.evaluation.probes.variants import (
    FULL,
    ProbeOptions,
    VariantRunner,
    empty_row,
    sampled,
    variant_row,
)
from llm4top.evaluation.reports.report import VariantRow, VariantTable
from llm4top.evaluation.slices import too_small
from llm4top.forecasters.language import LanguageForecaster
from llm4top.prompts.examples import FewShotWriter

_MASKED: dict[str, tuple[Mask, ...]] = {
    "identifiers masked": ("identifiers",),
    "drug names masked": ("drugs",),
    "sponsor names masked": ("sponsors",),
    "all of these masked": MASKS,
}
_TITLE_ALONE = "title alone"
_TITLES = ("brief_title", "official_title")
_NAMES = ("conditions", "condition_mesh", "interventions", "intervention_mesh")
_SPANS = 6
"""Start years are merged so that there are about this many spans at most."""


def contamination_probes(
    forecaster: LanguageForecaster,
    rows: Dataset,
    *,
    cutoff: str | None = None,
    limit: int | None = None,
    **options: Unpack[ProbeOptions],
) -> tuple[VariantTable, ...]:
    """Three probes of whether the model has read how these trials ended.

    Scores with names masked and unmasked; scores by start year, before and after ``cutoff``; and
    scores from the titles alone, or from the names where there are no titles. Each table's
    ``reading`` says how to interpret it.

    Args:
        forecaster: The language model.
        rows: Rows of one split.
        cutoff: End of the model's training data as its makers state it (ISO: "2025", "2025-04" or
            a day).
        limit: Measures at most so many rows, drawn by the seed with the labels' shares kept.
        **options: See ``ProbeOptions``.

    Raises:
        ScoreError: The rows cannot be measured.
        EvaluationError: The rows are of several splits, or the cut-off is not a date.
    """
    _check_cutoff(cutoff)
    chosen = sampled(rows, limit, options.get("seed", 0))
    recalls = _recalls(forecaster, chosen)
    variants = 1 + len(_MASKED) + len(recalls)
    runner = VariantRunner(forecaster, chosen, variants=variants, **options)
    full = runner.measured(runner.full)
    return (
        _masked(runner, full),
        _by_year(runner, full, cutoff),
        _recalled(runner, full, recalls),
    )


def _masked(runner: VariantRunner, full: Measured) -> VariantTable:
    table = [variant_row(FULL, full)]
    n = len(runner.trials)
    for variant, what in _MASKED.items():
        found = runner.run(trials=[mask_names(trial, what) for trial in runner.trials])
        note = f"{found.changed} of {n} prompts changed."
        if not found.changed:
            note = "No prompt changed: these trials show nothing to mask."
        table.append(variant_row(variant, runner.measured(found.scores), full, note))
    reading = (
        "Drug names, sponsors' names and identifiers are what a model would recall a trial by. "
        "Each row scores the same trials with some of them masked ('Drug A', 'Sponsor A'); SMILES "
        "are dropped with the drug names. A score that falls depends on what was masked: on memory "
        "of these trials, or on what a name says about the kind of drug; a fall alone does not "
        "tell which. A score that does not fall is evidence against recall by name. Synonyms that "
        "a record does not list stay unmasked. Differences are to the full prompt; an interval "
        "that includes 0 shows no effect."
    )
    if isinstance(runner.writer, FewShotWriter):
        reading += " The labelled examples in the prompts keep their names."
    return _table(runner, "Names masked and unmasked", reading, table)


def _by_year(runner: VariantRunner, full: Measured, cutoff: str | None) -> VariantTable:
    dates = runner.rows.start_dates
    table = [variant_row("all start years", full)]
    table += [_span_row(runner, span) for span in _spans(runner)]
    if unknown := [i for i, date in enumerate(dates) if not date]:
        table.append(empty_row("start year unknown", len(unknown), "not measured."))
    reading = [
        "A model that has read how trials ended knows more about those that ended before its "
        "training data did. A score that is higher for old trials and falls towards the cut-off "
        "and after it is a sign of that. It is not a proof: trials of other years are other "
        "trials, with other success rates."
    ]
    if len(unknown) == len(dates):
        reading.append("The data set has no start dates: no comparison by year is possible.")
    elif cutoff is None:
        reading.append(
            "The model's cut-off was not stated, so before and after it cannot be compared."
        )
    else:
        after = [i for i, date in enumerate(dates) if date and _is_after(date, cutoff)]
        before = [i for i, date in enumerate(dates) if date and not _is_after(date, cutoff)]
        if after:
            table += _around(runner, before, after, cutoff)
        reading.append(_about_cutoff(cutoff, len(before), len(after), len(unknown)))
    return _table(runner, "Score by start year", " ".join(reading), table)


def _about_cutoff(cutoff: str, before: int, after: int, unknown: int) -> str:
    if not after:
        dated = "Every trial here" if not unknown else "Every trial with a start date here"
        return (
            f"{dated} started before the model's cut-off ({cutoff}): nothing in this data set can "
            "show that the model has not read the outcomes."
        )
    return (
        f"{after} trials started after the model's cut-off ({cutoff}), so it cannot have read "
        f"their outcomes; it may have read those of the {before} before. The difference is after "
        "less before, of different trials (not paired)."
    )


def _around(
    runner: VariantRunner, before: list[int], after: list[int], cutoff: str
) -> list[VariantRow]:
    """The rows before and after the cut-off, the second with its difference to the first."""
    found: list[VariantRow] = []
    reference: Measured | None = None
    for rows, words, seed in (
        (before, f"started by the cut-off ({cutoff})", 1),
        (after, f"started after the cut-off ({cutoff})", 2),
    ):
        if why := _unmeasured(runner, rows):
            found.append(empty_row(words, len(rows), why))
            continue
        # Different rows are drawn independently, so by different seeds.
        measured = runner.measured(runner.full.take(rows), seed=runner.seed + seed)
        found.append(variant_row(words, measured, reference))
        reference = measured
    return found


@dataclass(frozen=True, slots=True)
class _Span:
    first: int
    last: int
    rows: list[int]

    @property
    def name(self) -> str:
        years = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"started {years}"


def _spans(runner: VariantRunner) -> list[_Span]:
    """Start years, neighbouring ones merged until they can be measured."""
    dates = runner.rows.start_dates
    years = {i: int(date[:4]) for i, date in enumerate(dates) if date}
    enough = len(years) / _SPANS
    spans: list[_Span] = []
    for year in sorted(set(years.values())):
        rows = [i for i in years if years[i] == year]
        if spans and (_unmeasured(runner, spans[-1].rows) or len(spans[-1].rows) < enough):
            last = spans.pop()
            spans.append(_Span(last.first, year, last.rows + rows))
        else:
            spans.append(_Span(year, year, rows))
    if len(spans) > 1 and _unmeasured(runner, spans[-1].rows):
        last, before = spans.pop(), spans.pop()
        spans.append(_Span(before.first, last.last, before.rows + last.rows))
    return spans


def _span_row(runner: VariantRunner, span: _Span) -> VariantRow:
    if why := _unmeasured(runner, span.rows):
        return empty_row(span.name, len(span.rows), why)
    return variant_row(span.name, runner.measured(runner.full.take(sorted(span.rows))))


def _unmeasured(runner: VariantRunner, rows: list[int]) -> str:
    """Why those rows cannot be measured; empty where they can."""
    labels = runner.rows.task.labels
    counts = np.bincount(runner.y[_indices(rows)], minlength=len(labels))
    return too_small(dict(zip(labels, counts.tolist(), strict=True)))


@dataclass(frozen=True, slots=True)
class _Recall:
    """A prompt of a few sections, measured on the rows that have any of them."""

    variant: str
    sections: tuple[str, ...]
    rows: list[int]


def _recalls(forecaster: LanguageForecaster, rows: Dataset) -> list[_Recall]:
    hidden = set(forecaster.scorer.task.hidden_fields)
    trials = list(rows.trials)

    def shown(variant: str, sections: tuple[str, ...]) -> _Recall:
        held = [name for name in sections if name not in hidden]
        there = tuple(name for name in held if any(getattr(t, name) for t in trials))
        rows = [i for i, t in enumerate(trials) if any(getattr(t, name) for name in there)]
        return _Recall(variant, there, rows)

    found = (shown(_TITLE_ALONE, _TITLES), shown("names of drugs and conditions alone", _NAMES))
    return [recall for recall in found if recall.rows]


def _recalled(runner: VariantRunner, full: Measured, recalls: list[_Recall]) -> VariantTable:
    table = [variant_row(FULL, full)]
    spec = runner.writer.spec
    n = len(runner.trials)
    for recall in recalls:
        writer = runner.writer.with_spec(replace(spec, sections=recall.sections))
        scores = runner.run(writer).scores
        if len(recall.rows) == n:
            table.append(variant_row(recall.variant, runner.measured(scores), full))
        elif why := _unmeasured(runner, recall.rows):
            table.append(empty_row(recall.variant, len(recall.rows), why))
        else:
            table.append(
                variant_row(
                    recall.variant,
                    runner.measured(scores.take(recall.rows)),
                    runner.measured(runner.full.take(recall.rows)),
                    f"{len(recall.rows)} of {n} trials have one; the difference is to the full "
                    "prompt on these.",
                )
            )
    reading = [
        "The prompt holds the little that could remind the model of a trial it has read about, and "
        "nothing to estimate its outcome from: no design, no criteria, no outcome measures.",
        "A ROC-AUC near .5 shows no recall. One well above it may be recall, or what disease and "
        "drug alone predict; a simple baseline on the same fields (TF-IDF) shows how much that is.",
    ]
    if not any(recall.variant == _TITLE_ALONE for recall in recalls):
        reading.append(
            "These rows have no titles, so the probe by title could not be made: the names of "
            "drugs and conditions alone are used instead."
        )
    usual = set(spec.sections or ())
    if usual and not usual.issuperset(s for recall in recalls for s in recall.sections):
        reading.append("The model's usual prompts do not have some of these sections.")
    return _table(runner, "Recall from titles or names alone", " ".join(reading), table)


def _table(runner: VariantRunner, title: str, reading: str, rows: list[VariantRow]) -> VariantTable:
    return VariantTable(
        title=f"Contamination: {title[0].lower()}{title[1:]}",
        forecaster=runner.name,
        check=runner.check,
        reading=f"{reading} {runner.calibration_note}",
        rows=tuple(rows),
    )


def _indices(rows: list[int]) -> IntArray:
    return np.asarray(rows, dtype=np.int64)


def _check_cutoff(cutoff: str | None) -> None:
    if cutoff is not None and not re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2])(-\d{2})?)?", cutoff):
        raise EvaluationError(
            f"the cut-off {cutoff!r} is not a date.",
            hint="Write it as 2025, 2025-04 or 2025-04-30.",
        )


def _is_after(date: str, cutoff: str) -> bool:
    """Whether an ISO date is surely later than the cut-off, as precisely as both are known."""
    shorter = min(len(date), len(cutoff))
    return date[:shorter] > cutoff[:shorter]
