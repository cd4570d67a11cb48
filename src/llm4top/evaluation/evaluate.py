"""Evaluation of one forecaster, or comparison of several, on one split of a data set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Literal, get_args

from llm4top.data.dataset import Dataset
from llm4top.data.scopes import is_top, phases_in, scope
from llm4top.data.splits import check_disjoint
from llm4top.errors import EvaluationError, TooFewRowsError
from llm4top.evaluation import candidates
from llm4top.evaluation.ledger import TestLedger, sealed_rows_sha256
from llm4top.evaluation.metrics.bootstrap import DRAWS
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.formatting import CHECKS, phase_name
from llm4top.evaluation.reports.metadata import (
    age_note,
    base_rate_notes,
    data_facts,
    new_report,
    published_results,
)
from llm4top.evaluation.reports.report import LookEntry, Report
from llm4top.evaluation.reports.summary import summary
from llm4top.evaluation.reports.table import Entry, Measurements, measure_table
from llm4top.evaluation.score_split import Split, SplitScorer
from llm4top.evaluation.slices import slice_table, too_small
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.classifier import TrialClassifier
from llm4top.forecasters.forecaster import Forecaster, as_forecaster
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.text import thousands

POOLED = "pooled"


def evaluate(
    forecaster: Forecaster | TrialClassifier | str | Path,
    dataset: Dataset,
    *,
    split: str = "valid",
    ledger: TestLedger | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    reproduce: str = "",
    on_progress: OnProgress = ignore,
) -> Report:
    """Measure a forecaster on one split, with reference baselines and the leak oracle.

    Nothing is chosen on test rows: the threshold is chosen on the validation split. On the
    validation split itself the threshold is cross-fitted, and so is a calibration that was fitted
    on these rows. A look at a test split is recorded before any test row is scored.

    Args:
        forecaster: A forecaster, an estimator that was fitted in Python, or what
            ``load_forecaster`` takes, which is then opened and released after use.
        dataset: The data set.
        split: "valid" or "test".
        ledger: Where looks at test splits are recorded; None takes the home folder's.
        seed: Seed of the bootstrap and of what is cross-fitted.
        draws: Number of bootstrap draws behind the intervals.
        reproduce: The command that makes the report again, for its readers.
        on_progress: Called with the stage and how far it is.

    Returns:
        The report, for ``write_report``.

    Raises:
        SplitError: A trial is in two splits.
        TooFewRowsError, EmptyClassError: The split has fewer than two rows or lacks a label.
        ScoreError: Scores are not probabilities.
        SealedTestError: The look at a test split cannot be recorded.
        EvaluationError: The forecaster has another task, or the split cannot be evaluated.
    """
    found = (_opened(forecaster, dataset),)
    work = _Evaluation("evaluation", found, dataset, split, seed, draws, on_progress)
    return work.report(TestLedger() if ledger is None else ledger, reproduce)


def compare(
    forecasters: Sequence[Forecaster | TrialClassifier | str | Path],
    dataset: Dataset,
    *,
    split: str = "valid",
    ledger: TestLedger | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    reproduce: str = "",
    on_progress: OnProgress = ignore,
) -> Report:
    """Measure several forecasters on the same rows, each compared with the first one.

    All else is as in ``evaluate``; one look at a test split is recorded for all of them.

    Args:
        forecasters: Two or more, each as in ``evaluate``.
        dataset: The data set; all other arguments are those of ``evaluate`` too.

    Raises:
        EvaluationError: There are fewer than two forecasters, or one is named twice; and what
            ``evaluate`` raises.
    """
    if len(forecasters) < 2:
        raise EvaluationError(
            "a comparison needs two forecasters or more.",
            hint="For one alone, use evaluate: it shows the reference baselines too.",
        )
    found = candidates.distinct([_opened(forecaster, dataset) for forecaster in forecasters])
    work = _Evaluation("comparison", found, dataset, split, seed, draws, on_progress)
    return work.report(TestLedger() if ledger is None else ledger, reproduce)


def _opened(forecaster: Forecaster | TrialClassifier | str | Path, dataset: Dataset) -> Forecaster:
    if isinstance(forecaster, str | Path):
        return candidates.open_forecaster(forecaster, dataset)
    return as_forecaster(forecaster) if isinstance(forecaster, TrialClassifier) else forecaster


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """One evaluation from its checks to its report."""

    kind: Literal["evaluation", "comparison"]
    forecasters: tuple[Forecaster, ...]
    dataset: Dataset
    split: str
    seed: int
    draws: int
    on_progress: OnProgress

    def report(self, ledger: TestLedger, reproduce: str) -> Report:
        """Check, record the look, score, measure, and put the report together."""
        scorer = self._scorer(ledger)
        self.on_progress(Progress("Baselines", 0, 1))
        references = self._references()
        entries = self._entries(scorer, references)
        found, skipped = self._tables(scorer.rows, entries, references)
        self.on_progress(Progress("Slices", 0, 1))
        always = references[candidates.ALWAYS].label if candidates.ALWAYS in references else None
        slices = slice_table(
            scorer.rows,
            [e.scores for e in entries if e.scores.forecaster != always],
            phase=found[0].table.phase,
            check=scorer.split,
            draws=self.draws,
            seed=self.seed,
        )
        names = [one.label for one in self.forecasters]
        sentences = summary(found[0].table, found[0].differences, measured=names)
        looks, looks_note = self._looks(ledger)
        report = self._blank_report(reproduce).model_copy(
            update={
                "summary": (*sentences, looks_note) if looks_note else sentences,
                "data": (data_facts(self.dataset),),
                "tables": tuple(one.table for one in found),
                "curves": tuple(one.curves for one in found if one.curves is not None),
                "differences": tuple(d for one in found for d in one.differences),
                "slices": (slices,),
                "published": published_results() if is_top(self.dataset) else (),
                "looks": looks,
                "looks_note": looks_note,
                "notes": (*self._notes(scorer, references), *skipped),
            }
        )
        return report.model_copy(update={"checklist": checklist(report)})

    def _blank_report(self, reproduce: str) -> Report:
        names = " and ".join(one.label for one in self.forecasters)
        if len(self.forecasters) > 2:
            names = f"{len(self.forecasters)} forecasters"
        identities = [one.identity for one in self.forecasters]
        return new_report(
            self.kind,
            f"{names} on {self.dataset.card.name}, {CHECKS[self.split]}",
            self.dataset.task,
            reproduce=reproduce,
            seed=self.seed,
            draws=self.draws,
            settings={"split": self.split, "forecasters": identities},
        )

    def _scorer(self, ledger: TestLedger) -> SplitScorer:
        """Everything that can be refused is refused before a forecaster is run."""
        if self.split not in get_args(Split):
            raise EvaluationError(
                f"nothing is evaluated on {self.split!r}.",
                hint="Give the split valid or test; scores of training rows say little.",
            )
        data = self.dataset
        check_disjoint(data.nct_ids, data.splits)
        for forecaster in self.forecasters:
            candidates.check_task(forecaster, data)
        if self.split not in data.splits:
            raise TooFewRowsError(
                f"there is no {self.split} split.",
                where=data.card.name,
                hint=f"It has {', '.join(data.counts()) or 'no rows'}.",
            )
        look = cache(lambda: self._look(ledger))  # once, however many forecasters there are
        scorer = SplitScorer(data, "test" if self.split == "test" else "valid", look, self.seed)
        scorer.check_rows()
        return scorer

    def _look(self, ledger: TestLedger) -> None:
        """Record this look at the test split."""
        ledger.record(
            what="compare" if self.kind == "comparison" else "evaluate",
            bundle=", ".join(one.identity for one in self.forecasters),
            data_sha256=sealed_rows_sha256(self.dataset),
            n=self.dataset.splits.count("test"),
        )

    def _looks(self, ledger: TestLedger) -> tuple[tuple[LookEntry, ...], str]:
        """All looks at these test rows, and a note on them."""
        if self.split != "test":
            return (), ""
        key = sealed_rows_sha256(self.dataset)
        return ledger.looks(key), ledger.note(key)

    def _references(self) -> dict[str, Forecaster]:
        """The reference baselines, under labels that differ from the forecasters' own."""
        own = {one.label for one in self.forecasters}
        found = candidates.reference_baselines(self.dataset, seed=self.seed)
        return {
            name: replace(one, label=f"{one.label} (fitted here)") if one.label in own else one
            for name, one in found.items()
        }

    def _entries(self, scorer: SplitScorer, references: Mapping[str, Forecaster]) -> list[Entry]:
        """The forecasters, then the references, the leak oracle last."""
        entries = [
            scorer.entry(one, partial(self._on_trials, one.label))
            for one in (*self.forecasters, *references.values())
        ]
        scores = {entry.scores.forecaster: entry.scores for entry in entries}
        tfidf = references.get(candidates.TFIDF)
        return [*entries, *scorer.oracles(scores.get(tfidf.label) if tfidf else None)]

    def _on_trials(self, label: str, done: int, total: int) -> None:
        self.on_progress(Progress(label, done, total))

    def _tables(
        self, rows: Dataset, entries: Sequence[Entry], references: Mapping[str, Forecaster]
    ) -> tuple[list[Measurements], list[str]]:
        """A table of all rows and one for each phase; notes on phases that have none."""
        phases = phases_in(rows)
        whole = phases[0] if len(phases) == 1 else POOLED
        base = (
            references[candidates.BASE_RATE].label if candidates.BASE_RATE in references else None
        )
        found = [self._table(entries, whole, base)]
        skipped = []
        for phase in phases if whole == POOLED else ():
            part = scope(rows, phase)
            if why := too_small({label: part.labels.count(label) for label in rows.task.labels}):
                skipped.append(f"{phase_name(phase)} has no table of its own: {why}")
            else:
                found.append(self._table(_part(entries, part.nct_ids), phase, base))
        return found, skipped

    def _table(self, entries: Sequence[Entry], phase: str, base: str | None) -> Measurements:
        self.on_progress(Progress(f"Measuring {phase_name(phase)}", 0, 1))
        by_name = {entry.scores.forecaster: entry.scores.probabilities for entry in entries}
        return measure_table(
            entries,
            title=f"{phase_name(phase)}, {CHECKS[self.split]}",
            phase=phase,
            check="test" if self.split == "test" else "valid",
            against=self.forecasters[0].label,
            reference=by_name.get(base) if base else None,
            draws=self.draws,
            seed=self.seed,
            note=" ".join(filter(None, (_TABLE_NOTES[self.split], self._age))),
        )

    @cached_property
    def _age(self) -> str:
        return age_note(self.dataset, self.split)

    def _notes(self, scorer: SplitScorer, references: Mapping[str, Forecaster]) -> list[str]:
        notes = []
        if not references:
            notes.append(
                "The data set has no training rows with two labels, so there are no reference "
                "baselines."
            )
        ids = scorer.rows.nct_ids
        for one in self.forecasters:
            if one.data is None:
                continue
            if scorer.made_from_this(one):
                notes.append(f"{one.label} was made from this very data set.")
            elif one.trained_on is not None:
                notes.append(_overlap(one.label, one.trained_on, ids))
            else:
                notes.append(
                    f"{one.label} was made from another data set, or another state of this one: "
                    "it is not known whether it was trained on rows measured here."
                )
        notes += base_rate_notes(self.dataset, scorer.rows)
        notes.append("For a leak audit of the data set, run `llm4top audit`.")
        return notes


def _overlap(name: str, trained_on: TrainedOn, nct_ids: Sequence[str]) -> str:
    """How many of the rows a forecaster was trained or tuned on."""
    parts = Counter(map(trained_on.part_of, nct_ids))
    n = thousands(len(nct_ids))
    if parts["train"] == len(nct_ids):
        return (
            f"{name} learned from all {n} rows measured here, so these figures say nothing of "
            "other trials: its model card has out-of-fold figures."
        )
    if not parts["train"] and not parts["valid"]:
        return f"{name} was trained on none of the {n} rows measured here."
    return (
        f"{name} was trained on {thousands(parts['train'])} of the {n} rows measured here and "
        f"tuned on {thousands(parts['valid'])}: its figures are optimistic."
    )


_TABLE_NOTES = {
    "valid": "Thresholds are cross-fitted: each row is decided by one that was chosen without it.",
    "test": "Thresholds were chosen on the validation split; nothing was chosen on these rows.",
}


def _part(entries: Sequence[Entry], ids: Sequence[str]) -> list[Entry]:
    """The entries about those rows only, in that order."""
    place = {nct_id: i for i, nct_id in enumerate(entries[0].scores.ids)}
    rows = [place[nct_id] for nct_id in ids]
    return [
        replace(
            entry,
            scores=entry.scores.take(rows),
            decisions=None if entry.decisions is None else entry.decisions[rows],
        )
        for entry in entries
    ]
