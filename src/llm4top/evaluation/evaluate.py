"""Evaluating one forecaster, or comparing several, on one split of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from llm4top.data.dataset import Dataset
from llm4top.data.scopes import is_top, phases_in, scope
from llm4top.data.splits import check_disjoint
from llm4top.errors import BundleError, EvaluationError, TooFewRowsError
from llm4top.evaluation.ledger import TestLedger, sealed_rows_sha256
from llm4top.evaluation.metrics.bootstrap import DRAWS
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.formatting import CHECKS, phase_name
from llm4top.evaluation.reports.metadata import age_note, data_facts, new_report
from llm4top.evaluation.reports.published import published_results
from llm4top.evaluation.reports.report import LookEntry, Report
from llm4top.evaluation.reports.summary import summary
from llm4top.evaluation.reports.table import Entry, Measurements, measure_table
from llm4top.evaluation.score_split import Done, Judge, Split
from llm4top.evaluation.slices import slice_table, too_small
from llm4top.evaluation.source import ALWAYS, BASE_RATE, TFIDF, beside
from llm4top.progress import OnProgress, Progress
from llm4top.text import percent, thousands

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.trained_on import TrainedOn
    from llm4top.forecasters.forecaster import Forecaster

POOLED = "pooled"


def evaluate(
    forecaster: Forecaster | str | Path,
    dataset: Dataset,
    *,
    split: str = "valid",
    ledger: TestLedger | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    reproduce: str = "",
    on_progress: OnProgress | None = None,
) -> Report:
    """Measure one forecaster on one split, beside the trivial baselines, TF-IDF and the oracle.

    ``split`` is "valid" or "test". Nothing is chosen on test rows: the threshold is chosen on the
    validation split. On the validation split itself the threshold is cross-fitted, and so is a
    calibration that was fitted on these rows. A look at a test split is written into ``ledger``
    (None: the one in the home folder) before any test row is scored.

    Raises ``SplitError`` where a trial is in two splits, ``TooFewRowsError`` and
    ``EmptyClassError`` where the split has fewer than two rows or lacks a label, ``ScoreError``
    for scores that are no probabilities, ``SealedTestError`` where the look cannot be written
    down, and ``EvaluationError`` where the forecaster answers another question.
    """
    sources = (_opened(forecaster, dataset),)
    work = _Work("evaluation", sources, dataset, split, seed, draws, on_progress)
    return work.report(TestLedger() if ledger is None else ledger, reproduce)


def compare(
    forecasters: Sequence[Forecaster | str | Path],
    dataset: Dataset,
    *,
    split: str = "valid",
    ledger: TestLedger | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    reproduce: str = "",
    on_progress: OnProgress | None = None,
) -> Report:
    """Measure several forecasters on the same rows, each compared with the first one.

    Everything else is as in ``evaluate``; one look is written down for all of them. Raises
    ``EvaluationError`` for fewer than two forecasters, or one that is named twice.
    """
    if len(forecasters) < 2:
        raise EvaluationError(
            "a comparison needs two forecasters or more.",
            hint="For one alone, use evaluate: it stands beside the baselines anyway.",
        )
    sources = distinct([_opened(forecaster, dataset) for forecaster in forecasters])
    work = _Work("comparison", sources, dataset, split, seed, draws, on_progress)
    return work.report(TestLedger() if ledger is None else ledger, reproduce)


def open_forecaster(
    model: str | Path,
    dataset: Dataset,
    *,
    device: str = "auto",
    quantize: str | None = None,
    batch_tokens: int | None = None,
) -> Forecaster:
    """The forecaster of that name for an evaluation, verified, its weights still on disk.

    Args:
        model: What ``load_forecaster`` takes. A base model gets the data set's question.
        dataset: The data set that it is evaluated on.
        device, batch_tokens: As for ``load_forecaster``.
        quantize: As for ``load_forecaster``; None loads a bundle as it was trained.

    Raises:
        BundleError: There is nothing of that name, or it is damaged.
    """
    from llm4top.forecasters.bundles.loading import AS_TRAINED
    from llm4top.forecasters.bundles.paths import resolve_bundle
    from llm4top.forecasters.load import load_forecaster

    try:
        resolve_bundle(model)
        task = None
    except BundleError:
        task = dataset.task
    return load_forecaster(
        model,
        task=task,
        device=device,
        quantize=quantize or AS_TRAINED,
        batch_tokens=batch_tokens,
        weights=False,
    )


def _opened(forecaster: Forecaster | str | Path, dataset: Dataset) -> Forecaster:
    if isinstance(forecaster, str | Path):
        return open_forecaster(forecaster, dataset)
    return forecaster


def check_task(forecaster: Forecaster, dataset: Dataset) -> None:
    """``EvaluationError`` where the data set is about another question."""
    own, other = forecaster.task, dataset.task
    if (own.name, own.kind, own.labels) == (other.name, other.kind, other.labels):
        return
    raise EvaluationError(
        f"it answers {own.name!r} ({', '.join(own.labels)}), and the data set "
        f"{dataset.card.name!r} asks {other.name!r} ({', '.join(other.labels)}).",
        where=forecaster.label,
        hint="Give a data set of the same task, or a forecaster trained on this one.",
    )


def distinct(forecasters: Sequence[Forecaster]) -> tuple[Forecaster, ...]:
    """The forecasters with labels that differ: where two share one, the identity is added.

    Raises ``EvaluationError`` where one forecaster is named twice.
    """
    identities = [one.identity for one in forecasters]
    for identity in identities:
        if identities.count(identity) > 1:
            raise EvaluationError(f"{identity} is named twice.", hint="Name each forecaster once.")
    labels = [one.label for one in forecasters]
    return tuple(
        replace(one, label=f"{one.label} ({one.identity})") if labels.count(one.label) > 1 else one
        for one in forecasters
    )


@dataclass(frozen=True, eq=False)
class _Work:
    """One evaluation from its checks to its report."""

    kind: Literal["evaluation", "comparison"]
    sources: tuple[Forecaster, ...]
    dataset: Dataset
    split: str
    seed: int
    draws: int
    on_progress: OnProgress | None

    def report(self, ledger: TestLedger, reproduce: str) -> Report:
        """Check, write the look down, ask, measure, put together."""
        judge = self._judge(ledger)
        self._tell("Baselines")
        companions = self._companions()
        entries = self._entries(judge, companions)
        found, skipped = self._tables(judge.rows, entries, companions)
        self._tell("Slices")
        always = companions[ALWAYS].label if ALWAYS in companions else None
        slices = slice_table(
            judge.rows,
            [e.scores for e in entries if e.scores.forecaster != always],
            phase=found[0].table.phase,
            check=judge.split,
            draws=self.draws,
            seed=self.seed,
        )
        names = [source.label for source in self.sources]
        said = summary(found[0].table, found[0].differences, measured=names)
        looks, looks_note = self._looks(ledger)
        report = self._begun(reproduce).model_copy(
            update={
                "summary": (*said, looks_note) if looks_note else said,
                "data": (data_facts(self.dataset),),
                "tables": tuple(one.table for one in found),
                "curves": tuple(one.curves for one in found if one.curves is not None),
                "differences": tuple(d for one in found for d in one.differences),
                "slices": (slices,),
                "published": published_results() if is_top(self.dataset) else (),
                "looks": looks,
                "looks_note": looks_note,
                "notes": (*self._notes(judge, companions), *skipped),
            }
        )
        return report.model_copy(update={"checklist": checklist(report)})

    def _begun(self, reproduce: str) -> Report:
        names = " and ".join(s.label for s in self.sources)
        if len(self.sources) > 2:
            names = f"{len(self.sources)} forecasters"
        return new_report(
            self.kind,
            f"{names} on {self.dataset.card.name}, {CHECKS[self.split]}",
            self.dataset.task,
            reproduce=reproduce,
            seed=self.seed,
            draws=self.draws,
            settings={"split": self.split, "forecasters": [s.identity for s in self.sources]},
        )

    def _judge(self, ledger: TestLedger) -> Judge:
        """Everything that can be refused is refused before a forecaster is asked."""
        if self.split not in get_args(Split):
            raise EvaluationError(
                f"nothing is evaluated on {self.split!r}.",
                hint="Give the split valid or test; training rows only show what was learnt.",
            )
        data = self.dataset
        check_disjoint(data.nct_ids, data.splits)
        for source in self.sources:
            check_task(source, data)
        if self.split not in data.splits:
            raise TooFewRowsError(
                f"there is no {self.split} split.",
                where=data.card.name,
                hint=f"It has {', '.join(data.counts()) or 'no rows'}.",
            )
        look = cache(lambda: self._look(ledger))  # once, however many forecasters are asked
        judge = Judge(data, "test" if self.split == "test" else "valid", look, self.seed)
        judge.check_rows()
        return judge

    def _look(self, ledger: TestLedger) -> None:
        """Write this look at the test split down."""
        ledger.record(
            what="compare" if self.kind == "comparison" else "evaluate",
            bundle=", ".join(source.identity for source in self.sources),
            data_sha256=sealed_rows_sha256(self.dataset),
            n=self.dataset.splits.count("test"),
        )

    def _looks(self, ledger: TestLedger) -> tuple[tuple[LookEntry, ...], str]:
        """All looks at these test rows, and a word on them."""
        if self.split != "test":
            return (), ""
        key = sealed_rows_sha256(self.dataset)
        return ledger.looks(key), ledger.note(key)

    def _companions(self) -> dict[str, Forecaster]:
        """What stands beside; a name that one of the forecasters has already is told apart."""
        own = {source.label for source in self.sources}
        found = beside(self.dataset, seed=self.seed)
        return {
            key: replace(s, label=f"{s.label} (fitted here)") if s.label in own else s
            for key, s in found.items()
        }

    def _entries(self, judge: Judge, companions: Mapping[str, Forecaster]) -> list[Entry]:
        """What was asked about, then what stands beside it, the leak oracle last."""
        everyone = (*self.sources, *companions.values())
        entries = [judge.entry(source, self._hearing(source.label)) for source in everyone]
        scores = {entry.scores.forecaster: entry.scores for entry in entries}
        tfidf = companions.get(TFIDF)
        return [*entries, *judge.oracles(scores.get(tfidf.label) if tfidf else None)]

    def _tables(
        self, rows: Dataset, entries: Sequence[Entry], companions: Mapping[str, Forecaster]
    ) -> tuple[list[Measurements], list[str]]:
        """A table of all rows, then one for each phase; why a phase has none."""
        phases = phases_in(rows)
        whole = phases[0] if len(phases) == 1 else POOLED
        base = companions[BASE_RATE].label if BASE_RATE in companions else None
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
        self._tell(f"Measuring {phase_name(phase)}")
        by_name = {entry.scores.forecaster: entry.scores.probabilities for entry in entries}
        return measure_table(
            entries,
            title=f"{phase_name(phase)}, {CHECKS[self.split]}",
            phase=phase,
            check="test" if self.split == "test" else "valid",
            against=self.sources[0].label,
            reference=by_name.get(base) if base else None,
            draws=self.draws,
            seed=self.seed,
            note=" ".join(filter(None, (_TABLE_NOTES[self.split], self._age))),
        )

    @cached_property
    def _age(self) -> str:
        return age_note(self.dataset, self.split)

    def _notes(self, judge: Judge, companions: Mapping[str, Forecaster]) -> list[str]:
        notes = []
        if not companions:
            notes.append(
                "The data set has no training rows with two labels, so no baseline could be "
                "fitted to stand beside."
            )
        for source in self.sources:
            if source.data is None:
                continue
            if judge.taught(source):
                notes.append(f"{source.label} was made from this very data set.")
            elif source.trained_on is not None:
                notes.append(_seen(source.label, source.trained_on, judge.rows.nct_ids))
            else:
                notes.append(
                    f"{source.label} was made from another data set, or another state of this one: "
                    "it is not known whether it has learnt from rows measured here."
                )
        notes += self._prevalences(judge.rows)
        notes.append("For a leak audit of the data set, run `llm4top audit`.")
        return notes

    def _prevalences(self, rows: Dataset) -> list[str]:
        """Where the base rate, which is of training rows, is far from the rows' own share."""
        if self.dataset.task.kind != "binary":
            return []
        event, learn, notes = self.dataset.task.labels[1], self.dataset.select("train"), []
        for phase in (*phases_in(rows), POOLED):
            own, learnt = (_share(scope(part, phase), event) for part in (rows, learn))
            if own is None or learnt is None or abs(own - learnt) < _FAR_BASE_RATE:
                continue
            notes.append(
                f"{phase_name(phase)}: {percent(learnt)} of the training rows are {event}, and "
                f"{percent(own)} of the rows measured here. The base rate is that of the training "
                "rows, so Brier skill against it is optimistic: see Brier skill, own prevalence."
            )
        return notes

    def _tell(self, stage: str, done: int = 0, total: int = 1) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(stage, done, total))

    def _hearing(self, name: str) -> Done:
        return lambda done, total: self._tell(name, done, total)


def _seen(name: str, learnt: TrainedOn, nct_ids: Sequence[str]) -> str:
    """How many of the rows a forecaster has learnt from, or was tuned on."""
    parts = Counter(map(learnt.part_of, nct_ids))
    n, taught, tuned = thousands(len(nct_ids)), parts["train"], parts["valid"]
    if not taught and not tuned:
        return f"{name} was trained on none of the {n} rows measured here."
    return (
        f"{name} was trained on {thousands(taught)} of the {n} rows measured here and tuned on "
        f"{thousands(tuned)}: its figures are optimistic."
    )


_FAR_BASE_RATE = 0.05
_LEAST_OF_A_RATE = 20


def _share(rows: Dataset, event: str) -> float | None:
    """The event's share; None of rows too few to have one."""
    return rows.labels.count(event) / len(rows) if len(rows) >= _LEAST_OF_A_RATE else None


_TABLE_NOTES = {
    "valid": "Thresholds are cross-fitted: each row is judged by one that was chosen without it.",
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
