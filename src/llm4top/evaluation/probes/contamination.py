"""Whether a model may be recalling trials rather than judging them: three probes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import EvaluationError
from llm4top.evaluation.metrics.metrics import Measured
from llm4top.evaluation.predictions import IntArray
from llm4top.evaluation.probes.masking import MASKS, Mask, mask_names
from llm4top.evaluation.probes.variants import FULL, Asking, empty_row, sampled, variant_row
from llm4top.evaluation.reports.report import VariantRow, VariantTable
from llm4top.evaluation.slices import too_small
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.batching import OnProgress
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
"""Start years are taken together so that there are about this many spans at most."""


def contamination_probes(
    forecaster: LanguageForecaster,
    rows: Dataset,
    *,
    cutoff: str | None = None,
    calibration: Calibrator | None = None,
    limit: int | None = None,
    seed: int = 0,
    draws: int = 1000,
    name: str | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[VariantTable, ...]:
    """Three probes of whether the model has read how these trials ended.

    Names masked and unmasked; the score by start year, before and after ``cutoff`` (the end of
    the model's training data as its makers state it, ISO: "2025", "2025-04" or a day); and the
    score from the titles, or where there are none from the names, alone. Each table's ``reading``
    says how to read it. The other arguments are as for ``prompt_ablation``.

    Raises what ``Scores`` raises for rows that cannot be measured, and ``EvaluationError`` for
    rows of several splits and a cut-off that is not a date.
    """
    _check_cutoff(cutoff)
    chosen = sampled(rows, limit, seed)
    recalls = _recalls(forecaster, chosen)
    asking = Asking(
        forecaster,
        chosen,
        ways=1 + len(_MASKED) + len(recalls),
        calibration=calibration,
        draws=draws,
        seed=seed,
        name=name,
        on_progress=on_progress,
    )
    full = asking.measured(asking.full)
    return (
        _masked(asking, full),
        _by_year(asking, full, cutoff),
        _recalled(asking, full, recalls),
    )


def _masked(asking: Asking, full: Measured) -> VariantTable:
    table = [variant_row(FULL, full)]
    n = len(asking.trials)
    for variant, what in _MASKED.items():
        answers = asking.ask(trials=[mask_names(trial, what) for trial in asking.trials])
        note = f"{answers.changed} of {n} prompts changed."
        if not answers.changed:
            note = "No prompt changed: these trials show nothing to mask."
        table.append(variant_row(variant, asking.measured(answers.scores), full, note))
    reading = (
        "Drug names, sponsors' names and identifiers are what a model would recall a trial by. "
        "Each row asks about the same trials with some of them masked ('Drug A', 'Sponsor A'); "
        "SMILES go with the drug names. A score that falls leans on what was masked: on memory of "
        "these trials, or on what a name says of the kind of drug; a fall alone does not tell "
        "which. A score that does not fall speaks against recall by name. Synonyms that a record "
        "does not list stay unmasked. Differences are to the full prompt; an interval that holds "
        "0 shows no effect."
    )
    if isinstance(asking.writer, FewShotWriter):
        reading += " The labelled examples in the prompts keep their names."
    return _table(asking, "Names masked and unmasked", reading, table)


def _by_year(asking: Asking, full: Measured, cutoff: str | None) -> VariantTable:
    dates = asking.rows.start_dates
    table = [variant_row("all start years", full)]
    table += [_span_row(asking, span) for span in _spans(asking)]
    if unknown := [i for i, date in enumerate(dates) if not date]:
        table.append(empty_row("start year unknown", len(unknown), "not measured."))
    reading = [
        "A model that has read how trials ended knows more of those that ended before its "
        "training data did. A score that is higher for old trials and falls towards the cut-off "
        "and after it is a sign of that; but trials of other years are other trials, with other "
        "success rates, so it is not a proof."
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
            table += _around(asking, before, after, cutoff)
        reading.append(_about_cutoff(cutoff, len(before), len(after), len(unknown)))
    return _table(asking, "Score by start year", " ".join(reading), table)


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


def _around(asking: Asking, before: list[int], after: list[int], cutoff: str) -> list[VariantRow]:
    """The rows before and after the cut-off, the second with its difference to the first."""
    found: list[VariantRow] = []
    reference: Measured | None = None
    for rows, words, seed in (
        (before, f"started by the cut-off ({cutoff})", 1),
        (after, f"started after the cut-off ({cutoff})", 2),
    ):
        if why := _unmeasured(asking, rows):
            found.append(empty_row(words, len(rows), why))
            continue
        # Different rows are drawn independently, so by different seeds.
        measured = asking.measured(asking.full.take(rows), seed=asking.seed + seed)
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


def _spans(asking: Asking) -> list[_Span]:
    """Start years, neighbours taken together until they can be measured."""
    dates = asking.rows.start_dates
    years = {i: int(date[:4]) for i, date in enumerate(dates) if date}
    enough = len(years) / _SPANS
    spans: list[_Span] = []
    for year in sorted(set(years.values())):
        rows = [i for i in years if years[i] == year]
        if spans and (_unmeasured(asking, spans[-1].rows) or len(spans[-1].rows) < enough):
            last = spans.pop()
            spans.append(_Span(last.first, year, last.rows + rows))
        else:
            spans.append(_Span(year, year, rows))
    if len(spans) > 1 and _unmeasured(asking, spans[-1].rows):
        last, before = spans.pop(), spans.pop()
        spans.append(_Span(before.first, last.last, before.rows + last.rows))
    return spans


def _span_row(asking: Asking, span: _Span) -> VariantRow:
    if why := _unmeasured(asking, span.rows):
        return empty_row(span.name, len(span.rows), why)
    return variant_row(span.name, asking.measured(asking.full.take(sorted(span.rows))))


def _unmeasured(asking: Asking, rows: list[int]) -> str:
    """Why those rows are not measured; empty where they are."""
    labels = asking.rows.task.labels
    counts = np.bincount(asking.y[_indices(rows)], minlength=len(labels))
    return too_small(dict(zip(labels, counts.tolist(), strict=True)))


@dataclass(frozen=True, slots=True)
class _Recall:
    """A prompt of a few sections, measured on those rows of which it shows anything."""

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


def _recalled(asking: Asking, full: Measured, recalls: list[_Recall]) -> VariantTable:
    table = [variant_row(FULL, full)]
    spec = asking.writer.spec
    n = len(asking.trials)
    for recall in recalls:
        writer = asking.writer.with_spec(replace(spec, sections=recall.sections))
        scores = asking.ask(writer).scores
        if len(recall.rows) == n:
            table.append(variant_row(recall.variant, asking.measured(scores), full))
        elif why := _unmeasured(asking, recall.rows):
            table.append(empty_row(recall.variant, len(recall.rows), why))
        else:
            table.append(
                variant_row(
                    recall.variant,
                    asking.measured(scores.take(recall.rows)),
                    asking.measured(asking.full.take(recall.rows)),
                    f"{len(recall.rows)} of {n} trials have one; the difference is to the full "
                    "prompt on these.",
                )
            )
    reading = [
        "The model is asked with the little that would remind it of a trial it has read about, "
        "and nothing to judge it by: no design, no criteria, no outcome measures.",
        "A ROC-AUC near .5 shows nothing recalled. One well above it may be recall, or what the "
        "disease and the drug alone tell; a simple baseline on the same fields (TF-IDF) shows "
        "how much that is.",
    ]
    if not any(recall.variant == _TITLE_ALONE for recall in recalls):
        reading.append(
            "These rows have no titles, so the probe by title could not be made: the names of "
            "drugs and conditions alone take its place."
        )
    learnt = set(spec.sections or ())
    if learnt and not learnt.issuperset(s for recall in recalls for s in recall.sections):
        reading.append("Some of these sections are none of those that the model is usually shown.")
    return _table(asking, "Recall from titles or names alone", " ".join(reading), table)


def _table(asking: Asking, title: str, reading: str, table: list[VariantRow]) -> VariantTable:
    return VariantTable(
        title=f"Contamination: {title[0].lower()}{title[1:]}",
        forecaster=asking.name,
        check=asking.check,
        reading=f"{reading} {asking.probabilities_are}",
        rows=tuple(table),
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
