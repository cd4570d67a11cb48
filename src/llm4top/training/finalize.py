"""From a tuned model to a bundle: calibrate, measure, write, reload, compare."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.data.dataset import Dataset
from llm4top.data.scopes import row_phases
from llm4top.errors import TrainingError
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.bundles.language_files import round_weights
from llm4top.forecasters.bundles.manifest import (
    CONTEXT_OF_USE,
    BundleFacts,
    Evaluation,
    Manifest,
    TuningEntry,
    plain_settings,
)
from llm4top.forecasters.bundles.paths import bundle_name
from llm4top.forecasters.bundles.read import confirm_reload
from llm4top.forecasters.bundles.trained_on import TrainedOn, data_entry
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator, softmax
from llm4top.forecasters.calibration.methods import cross_calibrate, make_calibrator
from llm4top.forecasters.forecaster import release_memory
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.batching import Progress as Batches
from llm4top.forecasters.model.carried_base import earlier_training, earlier_trials
from llm4top.progress import OnProgress, Progress
from llm4top.training.card_figures import card_figures
from llm4top.training.config import TrainingConfig
from llm4top.training.earlier_training import through_its_base
from llm4top.training.evaluation_rows import evaluation_size
from llm4top.training.preflight import sample_rows
from llm4top.training.run_folder import RunFolder, keep_logits

RELOAD_TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2, "float16": 5e-3}
"""The largest difference between a model's probabilities and its reloaded bundle's, by type.

Batches are made anew, and bfloat16 has 8 bits: a sum in another order moves the third digit.
"""

MODEL = "this model, calibrated"
UNCALIBRATED = "this model, not calibrated"
TFIDF = "TF-IDF + logistic regression"
BASE_RATE = "base rate of the phase"

FIGURES_NOTE = (
    "The calibration was cross-fitted for these figures: no row was measured by a calibration that "
    "had seen it. The weights were also selected on {rows}, so the figures are slightly optimistic."
)
_MOST_RELOADED = 32
"""A bundle that differs from the model it was made from differs on every trial."""
# Paths are private; the others have their own field in the manifest.
_STORED_ELSEWHERE = {"data", "base", "out", "name", "context_of_use", "licence", "seed"}


@dataclass(frozen=True, slots=True)
class Published:
    """A bundle that was reloaded and gave the same probabilities, and its figures."""

    folder: Path
    metrics: dict[str, Any]
    reload_difference: float


@dataclass(slots=True)
class Publisher:
    """Turns a tuned forecaster into the run's bundle.

    ``forecaster`` is given up: its weights are let go of before the bundle is loaded again, so
    that one model at a time has to fit on the device.
    """

    run: RunFolder
    config: TrainingConfig
    dataset: Dataset
    forecaster: LanguageForecaster | None  # None once it has been published
    report: OnProgress
    earlier: Manifest | None = None  # of the bundle that the base model came from

    def publish(self) -> Published:
        """Calibrate on the validation split alone, measure, write, reload and compare.

        Raises ``BundleError`` where the reloaded bundle gives other probabilities, and
        ``CalibrationError`` where the logits cannot be calibrated.
        """
        forecaster, self.forecaster = self.forecaster, None
        if forecaster is None:
            raise RuntimeError("a publisher publishes once.")
        choose = self.dataset.select(self.config.valid_split)
        self.earlier = earlier_training(forecaster.scorer.base.folder)
        if self.config.storage is not None:
            round_weights(forecaster.scorer.model, self.config.storage)
        logits = forecaster.answer_logits(choose.trials, on_progress=self._shown)
        keep_logits(self.run, logits)
        targets = np.asarray(choose.label_indices, dtype=np.int64)
        calibrator = make_calibrator(self.config.calibration).fit(
            logits, targets, [trial.phase for trial in choose.trials]
        )
        splits = (self.config.train_split, self.config.valid_split)
        metrics = measured(self.dataset, logits, calibrator, splits=splits, seed=self.config.seed)
        self.run.add_event("figures", **metrics)
        self.report(Progress("bundle"))
        base = forecaster.scorer.base
        manifest = save_bundle(
            self.run.bundle,
            name=bundle_name(self.config.name or self.run.path.resolve().name),
            forecaster=forecaster,
            calibration=calibrator,
            facts=self._facts(metrics),
            tuning=self._tuning(),
            storage=self.config.storage,
            trained_on=TrainedOn.of_dataset(
                self.dataset, splits=splits, earlier=earlier_trials(base.folder)
            ),
            replace=True,  # one of this very run, which was killed before it could say so
        )
        loading: dict[str, Any] = {"device": base.device.torch, "dtype": base.dtype.name}
        if manifest.language is not None and not manifest.language.base.carried:
            loading["base"] = base.folder
        del forecaster, base
        release_memory()
        rows = sample_rows(len(choose), _MOST_RELOADED, self.config.seed)
        self.report(Progress("check", 0, len(rows)))
        loaded = confirm_reload(
            self.run.bundle,
            choose.take(rows).trials,
            logits[rows],
            calibrator,
            tolerance=RELOAD_TOLERANCE[loading["dtype"]],
            **loading,
        )
        check = loaded.manifest.reload_check if loaded.manifest else None
        if check is None:
            raise TrainingError("the bundle was not reloaded.", where=str(self.run.bundle))
        self.run.add_event("reload", **check.model_dump())
        return Published(self.run.bundle, metrics, check.max_difference)

    def _tuning(self) -> TuningEntry:
        settings = self.config.model_dump(mode="json", exclude=_STORED_ELSEWHERE, exclude_none=True)
        return TuningEntry(
            method=self.config.tuning,
            quantize=self.config.quantize,
            settings=plain_settings(settings),
        )

    def _facts(self, metrics: dict[str, Any]) -> BundleFacts:
        config, data = self.config, self.dataset
        train = data.select(config.train_split)
        entry = data_entry(data, splits=(config.train_split, config.valid_split))
        terms = {"licence": " ".join(self._terms())[:2000], "note": " ".join(self._notes())[:2000]}
        return BundleFacts(
            data=entry.model_copy(update=terms),
            base_rates=measure_base_rates(
                len(data.task.labels), [trial.phase for trial in train.trials], train.label_indices
            ),
            evaluations=(Evaluation.model_validate({**metrics, "note": self._note()}),),
            licence=config.licence or "",
            context_of_use=config.context_of_use or CONTEXT_OF_USE,
            seed=config.seed,
            config_sha256=hashlib.sha256(self.run.config_file.read_bytes()).hexdigest(),
        )

    def _terms(self) -> list[str]:
        """The licences of all that the model has learnt from, through its base model too."""
        before = self.earlier.data.licence if self.earlier and self.earlier.data else ""
        return list(dict.fromkeys(filter(None, (*self.dataset.card.terms, before))))

    def _notes(self) -> list[str]:
        before = through_its_base(self.earlier) if self.earlier else ""
        return list(filter(None, (*self.dataset.card.warnings, before)))

    def _note(self) -> str:
        data, config = self.dataset, self.config
        valid = len(data.select(config.valid_split))
        size = evaluation_size(config, len(data.select(config.train_split)), valid)
        rows = "these rows" if size == valid else f"{size} of these rows"
        return FIGURES_NOTE.format(rows=rows)

    def _shown(self, done: Batches) -> None:
        self.report(Progress("calibration", done.prompts, done.total_prompts))


def measured(
    dataset: Dataset,
    logits: NDArray[np.float64],
    calibrator: Calibrator,
    *,
    splits: tuple[str, str],
    seed: int,
) -> dict[str, Any]:
    """The card's figures on the validation split, the baselines' beside the model's.

    ``splits`` are what is learnt from and what is measured on; ``logits`` ``[n, K]`` are the
    model's for the latter. Calibrated figures are cross-fitted.
    """
    learn, choose = (dataset.select(split) for split in splits)
    task = dataset.task
    y = np.asarray(choose.label_indices, dtype=np.int64)
    forecasts = {UNCALIBRATED: softmax(logits)}
    if calibrator.method != "none":
        phases = [trial.phase for trial in choose.trials]
        fitted = cross_calibrate(calibrator, logits, y, phases, seed=seed)
        forecasts = {MODEL: fitted.probabilities, **forecasts}
    train_y = np.asarray(learn.label_indices, dtype=np.int64)
    for name, baseline in ((TFIDF, TfidfForecaster(task)), (BASE_RATE, BaseRateForecaster(task))):
        forecasts[name] = baseline.fit(learn.trials, train_y).predict_proba(choose.trials)
    if task.kind == "binary":
        forecasts[f"always {task.labels[1]}"] = np.tile([0.0, 1.0], (len(y), 1))
    return card_figures(forecasts, y, split=splits[1], phases=row_phases(choose), seed=seed)
