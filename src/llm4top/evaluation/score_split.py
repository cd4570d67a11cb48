"""One forecaster's scores on one split, and its decisions at a threshold chosen elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.data.scopes import phases_in, scope
from llm4top.errors import CalibrationError, ScoreError
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores
from llm4top.evaluation.probes.leak_oracle import has_oracle, oracle_entries
from llm4top.evaluation.reports.table import Entry
from llm4top.evaluation.threshold import at_half, chosen_or_half, cross_fitted_or_half, decide
from llm4top.forecasters.forecaster import Forecaster

Split = Literal["valid", "test"]
OnTrials = Callable[[int, int], None]
"""Called with how many trials are scored, of how many."""

CROSS_FITTED = (
    "Calibration cross-fitted: the bundle's own was fitted on these very rows. Its weights were "
    "selected on them too, so the figures are slightly optimistic."
)
LEARNED = (
    "In-sample: the model was fitted on these very rows. These figures say nothing about other "
    "trials; the out-of-fold figures of its card do."
)
IN_SAMPLE = (
    "In-sample calibration: it was fitted on these very rows, which are too few to cross-fit it. "
    "Its calibration and log-loss are optimistic."
)


@dataclass(frozen=True, slots=True, eq=False)
class SplitScorer:
    """Scores forecasters on the rows of one split of a data set.

    Everything that is chosen is chosen on the validation split. For the split "test" that is a
    threshold; for "valid" the threshold is cross-fitted, and so is a calibration that was fitted on
    these rows.

    Attributes:
        dataset: The data set.
        split: The split that is measured on.
        before_test: Called each time before test rows are scored: it records the look.
        seed: Seed of what is cross-fitted.
    """

    dataset: Dataset
    split: Split
    before_test: Callable[[], None]
    seed: int = 0

    @property
    def rows(self) -> Dataset:
        """The rows that are measured on."""
        return self.dataset.select(self.split)

    def made_from_this(self, forecaster: Forecaster) -> bool:
        """Whether the forecaster was made from this data set, its training part or a phase of it.

        If the forecaster records its trials: whether it was tuned on every validation trial. If
        not, by the hash of its data set or, since another version of this program may hash the same
        rows differently, by the numbers of its training and validation rows.
        """
        valid = self.dataset.select("valid").nct_ids
        if forecaster.trained_on is not None and valid:
            return all(forecaster.trained_on.part_of(nct_id) == "valid" for nct_id in valid)
        data = forecaster.data
        if data is None:
            return False
        parts = [self.dataset, *(scope(self.dataset, p) for p in phases_in(self.dataset))]
        return any(
            _counts(part) == dict(data.counts)
            or data.sha256 in (part.sha256, without_test(part).sha256)
            for part in parts
        )

    def check_rows(self) -> None:
        """Raise what ``Scores`` raises for these rows, before a forecaster is run."""
        rows = self.rows
        labels = len(rows.task.labels)
        even = np.full((len(rows), labels), 1 / labels)
        Scores.of_rows(self.dataset.card.name, self.split, rows, even)

    def entry(self, forecaster: Forecaster, on_trials: OnTrials | None = None) -> Entry:
        """The forecaster's scores and decisions on the rows.

        A forecaster whose model was not in memory is released afterwards.

        Raises:
            ScoreError: Its scores are not numbers or not probabilities; and what loading it raises.
        """
        was_loaded = forecaster.model is not None
        score = self._on_valid if self.split == "valid" else self._on_test
        scores, decisions, note = score(forecaster, on_trials)
        if not was_loaded:
            forecaster.release()
        return Entry(
            scores=scores,
            kind=forecaster.report_kind,
            learnt_from=forecaster.trained_on_text,
            decisions=decisions,
            identity=forecaster.identity,
            note=note,
        )

    def oracles(self, honest: Scores | None = None) -> list[Entry]:
        """The leak oracle on these rows, alone and added to ``honest`` scores; see its module."""
        if self.split == "test" and has_oracle(self.rows):
            self.before_test()
        return oracle_entries(self.rows, self.split, honest)

    def _on_valid(
        self, forecaster: Forecaster, on_trials: OnTrials | None
    ) -> tuple[Scores, IntArray | None, str]:
        rows, logits = self._raw(forecaster, "valid", on_trials)
        probabilities, notes = forecaster.probabilities(logits, rows.trials), []
        if forecaster.calibration.method != "none" and self.made_from_this(forecaster):
            probabilities, note = self._cross_calibrated(forecaster, rows, logits, probabilities)
            notes.append(note)
        scores = Scores.of_rows(forecaster.label, "valid", rows, probabilities)
        decisions, note = cross_fitted_or_half(scores, self.seed)
        if self._learned_from(forecaster):
            notes.append(LEARNED)
        return scores, decisions, " ".join(filter(None, (*notes, note)))

    def _on_test(
        self, forecaster: Forecaster, on_trials: OnTrials | None
    ) -> tuple[Scores, IntArray | None, str]:
        # The threshold is there before the test rows are scored.
        threshold, note = self._threshold(forecaster, on_trials)
        rows, logits = self._raw(forecaster, "test", on_trials)
        probabilities = forecaster.probabilities(logits, rows.trials)
        scores = Scores.of_rows(forecaster.label, "test", rows, probabilities)
        return scores, None if threshold is None else decide(scores, threshold), note

    def _threshold(
        self, forecaster: Forecaster, on_trials: OnTrials | None
    ) -> tuple[float | None, str]:
        if len(self.dataset.task.labels) != 2:
            return None, ""
        if "valid" not in self.dataset.splits:
            return None, at_half("there is no validation split")
        if self._learned_from(forecaster):
            return None, at_half("it has learned from them")
        rows, logits = self._raw(forecaster, "valid", on_trials)
        probabilities = forecaster.probabilities(logits, rows.trials)
        return chosen_or_half(
            lambda: Scores.of_rows(forecaster.label, "valid", rows, probabilities)
        )

    def _learned_from(self, forecaster: Forecaster) -> bool:
        """Whether the model was fitted on most validation rows, as ``final_fit: all`` does it."""
        ids = self.dataset.select("valid").nct_ids
        learned = sum(forecaster.trained_on_part(nct_id) == "train" for nct_id in ids)
        return 2 * learned > len(ids)

    def _cross_calibrated(
        self, forecaster: Forecaster, rows: Dataset, logits: FloatArray, in_sample: FloatArray
    ) -> tuple[FloatArray, str]:
        from llm4top.forecasters.calibration.methods import cross_calibrate

        calibration = forecaster.calibration
        y = np.asarray(rows.label_indices, dtype=np.int64)
        phases = [trial.phase for trial in rows.trials] if calibration.by_phase else None
        try:
            fitted = cross_calibrate(calibration, logits, y, phases, seed=self.seed)
        except CalibrationError:
            return in_sample, IN_SAMPLE
        return fitted.probabilities, CROSS_FITTED

    def _raw(
        self, forecaster: Forecaster, split: Split, on_trials: OnTrials | None
    ) -> tuple[Dataset, FloatArray]:
        """Rows of a split with their logits; the only way to scores of test rows."""
        if split == "test":
            self.before_test()
        rows = self.dataset.select(split)
        on_progress = None if on_trials is None else lambda p: on_trials(p.done, p.total)
        logits = forecaster.logits(rows.trials, on_progress=on_progress)
        # A calibration would name the row's position, not the trial.
        wrong = ~np.isfinite(logits).all(axis=1)
        if wrong.any():
            first = rows.nct_ids[int(np.flatnonzero(wrong)[0])]
            raise ScoreError(
                f"the score of {first} is not a finite number "
                f"({int(wrong.sum())} of {len(logits)} rows).",
                where=f"{forecaster.label}, {split} split",
                hint="The model's weights are broken or its number type overflows: try float32.",
            )
        return rows, logits


def without_test(dataset: Dataset) -> Dataset:
    """The data set without its test rows."""
    return dataset.take([i for i, split in enumerate(dataset.splits) if split != "test"])


def _counts(dataset: Dataset) -> dict[str, int]:
    return {split: dataset.splits.count(split) for split in ("train", "valid")}
