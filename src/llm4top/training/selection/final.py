"""``final_fit: all`` of a selection: what was chosen, fitted on train and valid together."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import TrainingError
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.bundles.figures import Evaluation, FinalFit
from llm4top.forecasters.bundles.manifest import BundleFacts
from llm4top.forecasters.bundles.paths import is_bundle
from llm4top.forecasters.bundles.trained_on import TrainedOn, data_entry
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.calibration.calibrated import Calibrator, FloatArray
from llm4top.forecasters.calibration.pool import FLOOR
from llm4top.forecasters.cross_fit import CrossFit, LearningRows, calibrate_out_of_fold, cross_fit
from llm4top.forecasters.forecaster import Forecaster, as_forecaster, release_memory
from llm4top.progress import OnProgress
from llm4top.training.final_fit import WHOLE, Choice, OutOfFold, learning_rows
from llm4top.training.finalize import Publisher, measured_out_of_fold
from llm4top.training.run import Training
from llm4top.training.run_folder import RunFolder
from llm4top.training.selection import selection_file
from llm4top.training.selection.runs import FinishedRun
from llm4top.training.watch import stop_on_signals

if TYPE_CHECKING:
    from llm4top.training.selection.baselines import BaselineModel

LANGUAGE_FOLDER = "language"
_FOLDS_FOLDER = "folds"


@dataclass(frozen=True, eq=False)
class FinalFits:
    """Fits the winner of a selection, or the parts of it, on all learning rows of ``dataset``.

    All are cross-fitted over the same folds, so that their out-of-fold logits can be pooled. What
    is finished is kept in ``out`` and not done again.
    """

    dataset: Dataset
    out: Path
    run: FinishedRun
    folds: int
    encoder: Path | None
    progress: OnProgress

    @cached_property
    def rows(self) -> Dataset:
        """All that is learned from."""
        return learning_rows(self.dataset, "train", "valid")

    @property
    def entry(self) -> FinalFit:
        """What a manifest says about it."""
        return FinalFit(trials=len(self.rows), folds=self.folds)

    def out_of_fold(self, logits: FloatArray, folds: np.ndarray[Any, Any]) -> OutOfFold:
        """These out-of-fold logits with their rows."""
        return OutOfFold(self.rows, CrossFit(logits, folds), self.folds, self.run.config.seed)

    def calibrator(self, found: OutOfFold) -> Calibrator:
        """The run's calibration, fitted on out-of-fold logits."""
        return calibrate_out_of_fold(found.cross, found.learning, self.run.config.calibration)

    def evaluation(self, found: OutOfFold, what: str) -> Evaluation:
        """The card's out-of-fold figures."""
        figures = measured_out_of_fold(
            found, self.calibrator(found), seed=selection_file.SEED, what=what
        )
        return Evaluation.model_validate(figures)

    def facts(self, evaluations: tuple[Evaluation, ...]) -> BundleFacts:
        """What a baseline's manifest says of data and base rates."""
        phases = LearningRows.of(self.rows).phases
        labels = self.rows.label_indices
        return BundleFacts(
            data=data_entry(self.dataset),
            base_rates=measure_base_rates(len(self.dataset.task.labels), phases, labels),
            final_fit=self.entry,
            evaluations=evaluations,
            seed=selection_file.SEED,
        )

    def baseline(self, chosen: BaselineModel) -> tuple[Forecaster, OutOfFold]:
        """The baseline fitted on all rows, calibrated, and its out-of-fold logits."""
        task, learning = self.dataset.task, LearningRows.of(self.rows)
        made = make_baseline(chosen.name, task, seed=selection_file.SEED, encoder=self.encoder)
        cross = cross_fit(
            made,
            learning,
            folds=self.folds,
            seed=self.run.config.seed,
            store=self.out / _FOLDS_FOLDER / chosen.name,
            on_progress=self.progress,
        )
        found = self.out_of_fold(cross.logits, cross.folds)
        fitted = made.fit(learning.trials, learning.labels)
        fitted.floor_ = FLOOR  # as its out-of-fold logits, which the calibration was fitted on
        forecaster = as_forecaster(fitted, calibration=self.calibrator(found))
        forecaster.trained_on = TrainedOn.of_dataset(self.dataset, fitted_on_all=True)
        return forecaster, found

    def language(self) -> OutOfFold:
        """Write ``language/``, the run's settings fitted on all rows; its out-of-fold logits."""
        source, config = RunFolder(self.run.config.out), self.run.config
        choice = Choice.read(source)
        if choice is None:
            raise TrainingError(
                "the run does not say how long to train.",
                where=str(source.path),
                hint="Delete the run's folder and select again.",
            )
        folder = RunFolder(config.out)
        folder.bundle = self.out / LANGUAGE_FOLDER
        with source.locked(), stop_on_signals() as should_stop:
            training = Training(
                config, self.dataset, folder, self.progress, should_stop, True, True, False
            )
            training.begun = True  # the run itself is finished
            found = training.cross_fit(choice, folds=self.folds)
            if not self._is_published(folder):
                shutil.rmtree(folder.bundle, ignore_errors=True)
                fitted = training.fit(found.rows, choice, WHOLE)
                final = {"final_fit": "all", "folds": self.folds}
                settings = config.model_copy(update=final)
                publisher = Publisher(folder, settings, self.dataset, fitted, self.progress)
                publisher.out_of_fold = found
                del fitted
                publisher.publish()
            for checkpoints in (folder.checkpoints, *folder.folds.glob("*/")):
                shutil.rmtree(checkpoints, ignore_errors=True)
        release_memory()
        return found

    def _is_published(self, folder: RunFolder) -> bool:
        """Whether ``language/`` is this very fit, from before the selection was called again."""
        if not is_bundle(folder.bundle):
            return False
        made = read_manifest(folder.bundle)
        settings = hashlib.sha256(folder.config_file.read_bytes()).hexdigest()
        same = made.data is not None and made.data.sha256 == self.dataset.sha256
        return same and made.final_fit == self.entry and made.config_sha256 == settings
