"""One forecaster on one split: its probabilities, and decisions at a threshold it may know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.data.scopes import phases_in, scope
from llm4top.errors import CalibrationError, EvaluationError, ScoreError
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores
from llm4top.evaluation.probes.leak_oracle import (
    ORACLE,
    ORACLE_ADDED,
    ORACLE_NOTE,
    has_oracle,
    oracle_probabilities,
)
from llm4top.evaluation.reports.table import Entry
from llm4top.evaluation.threshold import choose_threshold, cross_fitted_decisions, decide

if TYPE_CHECKING:
    from llm4top.forecasters.forecaster import Forecaster

Split = Literal["valid", "test"]
Done = Callable[[int, int], None]
"""Called with how many trials are done, of how many."""

CROSS_FITTED = (
    "Calibration cross-fitted: the bundle's own was fitted on these very rows. Its weights were "
    "selected on them too, so the figures are slightly optimistic."
)
IN_SAMPLE = (
    "In-sample calibration: it was fitted on these very rows, which are too few to cross-fit it. "
    "Its calibration and log-loss are optimistic."
)


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Asks forecasters about the rows of one split of a data set.

    What is chosen is chosen on the validation split: for the split "test" a threshold, for
    "valid" one that is cross-fitted, and so is a calibration that was fitted on these rows.
    ``before_test`` is called each time before test rows are scored: it writes the look down.
    """

    dataset: Dataset
    split: Split
    before_test: Callable[[], None]
    seed: int = 0

    @property
    def rows(self) -> Dataset:
        """The rows that are measured on."""
        return self.dataset.select(self.split)

    def taught(self, source: Forecaster) -> bool:
        """Whether the forecaster was made from this data set, its learning part or a phase of it.

        Told by the trials that it records, where it has been tuned on every validation trial; else
        by the hash that it carries or, since another version of this program may hash the same
        rows differently, by the numbers of its training and validation rows.
        """
        steering = self.dataset.select("valid").nct_ids
        if source.trained_on is not None and steering:
            return all(source.trained_on.part_of(nct_id) == "valid" for nct_id in steering)
        data = source.data
        if data is None:
            return False
        parts = [self.dataset, *(scope(self.dataset, p) for p in phases_in(self.dataset))]
        return any(
            _counts(part) == dict(data.counts)
            or data.sha256 in (part.sha256, _without_test(part).sha256)
            for part in parts
        )

    def check_rows(self) -> None:
        """The checks of ``Scores``, before anybody is asked about the rows."""
        rows = self.rows
        labels = len(rows.task.labels)
        even = np.full((len(rows), labels), 1 / labels)
        _scores(self.dataset.card.name, self.split, rows, even)

    def entry(self, source: Forecaster, done: Done | None = None) -> Entry:
        """What the forecaster says of the rows, and where it draws the line.

        A forecaster whose model is not in memory yet is there only meanwhile. Raises what
        loading it raises, and ``ScoreError`` for scores that are no numbers or no probabilities.
        """
        was_loaded = source.model is not None
        about = _Asked(self, source, done)
        scores, decisions, note = about.on_valid() if self.split == "valid" else about.on_test()
        if not was_loaded:
            source.release()
        return Entry(
            scores=scores,
            kind=source.report_kind,
            learnt_from=source.trained_on_text,
            decisions=decisions,
            identity=source.identity,
            note=note,
        )

    def oracles(self, honest: Scores | None = None) -> list[Entry]:
        """The leak oracle on these rows, alone and added to ``honest`` scores.

        None without a status.
        """
        rows = self.rows
        if not has_oracle(rows):
            return []
        if self.split == "test":
            self.before_test()
        said = {ORACLE: oracle_probabilities(rows)}
        if honest is not None:
            said[ORACLE_ADDED] = oracle_probabilities(rows, honest.probabilities)
        return [
            Entry(
                _scores(name, self.split, rows, probabilities),
                "cheating",
                "the outcome's own status",
                note=ORACLE_NOTE,
            )
            for name, probabilities in said.items()
        ]


Judged = tuple[Scores, IntArray | None, str]
"""Scores, decisions at the chosen threshold, and what a reader should know of the two."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """One forecaster in memory, and the judge who asks it."""

    judge: Judge
    source: Forecaster
    done: Done | None

    def on_valid(self) -> Judged:
        rows, raw = self._raw("valid")
        probabilities, note = self.source.probabilities(raw, rows.trials), ""
        if self._has_seen():
            probabilities, note = self._cross_calibrated(rows, raw, probabilities)
        scores = self._scores("valid", rows, probabilities)
        if len(scores.labels) != 2:
            return scores, None, note
        try:
            return scores, cross_fitted_decisions(scores, seed=self.judge.seed), note
        except EvaluationError as error:
            return scores, None, f"{note} {_at_half(error.message)}".lstrip()

    def on_test(self) -> Judged:
        # The threshold is there before the test rows are asked about.
        threshold, note = self._threshold()
        rows, raw = self._raw("test")
        scores = self._scores("test", rows, self.source.probabilities(raw, rows.trials))
        return scores, None if threshold is None else decide(scores, threshold), note

    def _threshold(self) -> tuple[float | None, str]:
        if len(self.judge.dataset.task.labels) != 2:
            return None, ""
        if "valid" not in self.judge.dataset.splits:
            return None, _at_half("there is no validation split")
        rows, raw = self._raw("valid")
        try:
            threshold = choose_threshold(
                self._scores("valid", rows, self.source.probabilities(raw, rows.trials))
            )
        except ScoreError:
            raise
        except EvaluationError as error:
            return None, _at_half(error.message)
        return threshold, f"Threshold {threshold:.3g}, chosen on the validation split."

    def _has_seen(self) -> bool:
        """Whether the calibration was fitted on the validation rows of this data set."""
        return self.source.calibration.method != "none" and self.judge.taught(self.source)

    def _cross_calibrated(
        self, rows: Dataset, raw: FloatArray, in_sample: FloatArray
    ) -> tuple[FloatArray, str]:
        from llm4top.forecasters.calibration.methods import cross_calibrate

        calibration = self.source.calibration
        y = np.asarray(rows.label_indices, dtype=np.int64)
        try:
            phases = [trial.phase for trial in rows.trials] if calibration.by_phase else None
            fitted = cross_calibrate(calibration, raw, y, phases, seed=self.judge.seed)
        except CalibrationError:
            return in_sample, IN_SAMPLE
        return fitted.probabilities, CROSS_FITTED

    def _raw(self, split: Split) -> tuple[Dataset, FloatArray]:
        """Rows of a split with their scores; the one way to scores of test rows."""
        if split == "test":
            self.judge.before_test()
        rows, done = self.judge.dataset.select(split), self.done
        on_progress = None if done is None else lambda p: done(p.prompts, p.total_prompts)
        raw = self.source.logits(rows.trials, on_progress=on_progress)
        return rows, _finite(self.source, split, rows, raw)

    def _scores(self, split: Split, rows: Dataset, probabilities: FloatArray) -> Scores:
        return _scores(self.source.label, split, rows, probabilities)


def _at_half(why: str) -> str:
    return f"Decided at .5: no threshold could be chosen on validation rows ({why.rstrip('.')})."


def _without_test(dataset: Dataset) -> Dataset:
    return dataset.take([i for i, split in enumerate(dataset.splits) if split != "test"])


def _counts(dataset: Dataset) -> dict[str, int]:
    """Rows of what teaches and what chooses."""
    return {split: dataset.splits.count(split) for split in ("train", "valid")}


def _finite(source: Forecaster, split: Split, rows: Dataset, raw: FloatArray) -> FloatArray:
    """Scores that are numbers; a calibration would name the row's position, not the trial."""
    wrong = ~np.isfinite(raw).all(axis=1)
    if wrong.any():
        first = rows.nct_ids[int(np.flatnonzero(wrong)[0])]
        raise ScoreError(
            f"the score of {first} is not a finite number ({int(wrong.sum())} of {len(raw)} rows).",
            where=f"{source.label}, {split} split",
            hint="The model's weights are broken or its number type overflows: try float32.",
        )
    return raw


def _scores(name: str, split: Split, rows: Dataset, probabilities: FloatArray) -> Scores:
    return Scores(
        forecaster=name,
        split=split,
        labels=rows.task.labels,
        probabilities=probabilities,
        y=np.asarray(rows.label_indices, dtype=np.int64),
        ids=rows.nct_ids,
    )
