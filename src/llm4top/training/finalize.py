"""From a tuned model to a bundle: calibrate, measure, write, reload, compare."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.data.dataset import Dataset
from llm4top.data.scopes import row_phases
from llm4top.errors import TrainingError
from llm4top.evaluation.metrics.bootstrap import DRAWS
from llm4top.evaluation.metrics.metrics import measure_probabilities
from llm4top.evaluation.predictions import FloatArray, IntArray
from llm4top.evaluation.reports.report import Figure
from llm4top.forecasters.base_rates import ALL_PHASES, measure_base_rates
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.bundles.figures import OUT_OF_FOLD, Evaluation
from llm4top.forecasters.bundles.language_files import plain_settings
from llm4top.forecasters.bundles.manifest import CONTEXT_OF_USE, BundleFacts, Manifest, TuningEntry
from llm4top.forecasters.bundles.paths import bundle_name
from llm4top.forecasters.bundles.read import confirm_reload
from llm4top.forecasters.bundles.trained_on import TrainedOn, data_entry
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator, softmax
from llm4top.forecasters.calibration.methods import cross_calibrate
from llm4top.forecasters.cross_fit import LearningRows, calibrate_out_of_fold, cross_fit
from llm4top.forecasters.finetuning.settings import unused_settings
from llm4top.forecasters.forecaster import release_memory
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.model_files import earlier_training, earlier_trials
from llm4top.forecasters.model.probe import Probe
from llm4top.progress import OnProgress, Progress
from llm4top.training.config import TrainingConfig
from llm4top.training.final_fit import OutOfFold
from llm4top.training.memory import evaluation_size, sample_rows
from llm4top.training.pretrain import through_its_base
from llm4top.training.run_folder import RunFolder, keep_logits, kept_logits

RELOAD_TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2, "float16": 5e-3}
"""The largest difference between a model's probabilities and its reloaded bundle's, by type.

Progress differ, and bfloat16 has 8 bits: a sum in another order changes the third digit.
"""

MODEL = "this model, calibrated"
UNCALIBRATED = "this model, not calibrated"
TFIDF = "TF-IDF + logistic regression"
BASE_RATE = "base rate of the phase"

FIGURES_NOTE = (
    "The calibration was cross-fitted for these figures: no row was measured by a calibration that "
    "had seen it. The weights were also selected on {rows}, so the figures are slightly optimistic."
)
CHOSE = ("the model that chose, calibrated", "the model that chose, not calibrated")
CHOICE_NOTE = (
    "These figures are not the bundle's: they are those of the model that chose the settings, "
    "fitted on the training trials alone. With the same settings the bundle's model was then "
    "fitted on these rows too."
)
OUT_OF_FOLD_NOTE = (
    "Each of these {n} learning trials was forecast by a model fitted without it, on the other "
    "{folds} folds less one; calibrations and baselines are cross-fitted over the same folds. The "
    "settings were chosen with these trials, so the figures are slightly optimistic; the bundle's "
    "model has learned from more trials than any of these."
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
    out_of_fold: dict[str, Any]


@dataclass(slots=True)
class Publisher:
    """Turns a tuned forecaster into the run's bundle.

    ``forecaster`` is released before the bundle is reloaded, so that only one model at a time has
    to fit on the device. ``out_of_fold`` is there where it was fitted on train and valid together.
    """

    run: RunFolder
    config: TrainingConfig
    dataset: Dataset
    forecaster: LanguageForecaster | None  # None once it has been published
    report: OnProgress
    earlier: Manifest | None = None  # of the bundle that the base model came from
    out_of_fold: OutOfFold | None = None

    def publish(self) -> Published:
        """Calibrate, measure, write, reload and compare.

        It is calibrated on the validation split, or on the out-of-fold logits of all learning rows.

        Raises ``BundleError`` where the reloaded bundle gives other probabilities, and
        ``CalibrationError`` where the logits cannot be calibrated.
        """
        forecaster, self.forecaster = self.forecaster, None
        if forecaster is None:
            raise RuntimeError("a publisher publishes once.")
        valid, seed = self.dataset.select(self.config.valid_split), self.config.seed
        kept = sample_rows(len(valid), _MOST_RELOADED, seed)
        checked, found = valid.take(kept), self.out_of_fold
        if found is None:
            logits = forecaster.answer_logits(valid.trials, on_progress=self._shown)
            keep_logits(self.run, logits)
            calibrator = calibrate_out_of_fold(logits, LearningRows.of(valid), self._method)
            metrics = self._measured(logits, calibrator, (MODEL, UNCALIBRATED))
            out_of_fold: dict[str, Any] = {}
        else:
            calibrator = calibrate_out_of_fold(found.cross, found.learning, self._method)
            metrics = self._measured(self._chose(), calibrator, CHOSE)
            out_of_fold = measured_out_of_fold(found, calibrator, seed=seed)
            self.run.add_event("out-of-fold figures", **out_of_fold)
        # Not those of before: in bfloat16 a trial's logits depend on the batch that it is in.
        expected = forecaster.answer_logits(checked.trials)
        self.run.add_event("figures", **metrics)
        self.report(Progress("bundle"))
        loading = self._save(forecaster, calibrator, metrics, out_of_fold)
        del forecaster
        release_memory()
        difference = self._check_reload(checked, expected, calibrator, loading)
        return Published(self.run.bundle, metrics, difference, out_of_fold)

    def _measured(
        self, logits: FloatArray, calibrator: Calibrator, names: tuple[str, str]
    ) -> dict[str, Any]:
        return measured(
            self.dataset,
            logits,
            calibrator,
            splits=self._splits,
            seed=self.config.seed,
            names=names,
        )

    def _chose(self) -> FloatArray:
        logits = kept_logits(self.run)
        if logits is None:
            raise TrainingError("the run's logits are gone.", where=str(self.run.path))
        return logits

    @property
    def _method(self) -> str:
        return self.config.calibration

    @property
    def _splits(self) -> tuple[str, str]:
        return self.config.train_split, self.config.valid_split

    def _save(
        self,
        forecaster: LanguageForecaster,
        calibrator: Calibrator,
        metrics: dict[str, Any],
        out_of_fold: dict[str, Any],
    ) -> dict[str, Any]:
        """Write the bundle; how to load it so that it computes as the forecaster does."""
        base = forecaster.scorer.base
        self.earlier = earlier_training(base.folder)
        manifest = save_bundle(
            self.run.bundle,
            name=bundle_name(self.config.name or self.run.path.resolve().name),
            forecaster=forecaster,
            calibration=calibrator,
            facts=self._facts(metrics, out_of_fold),
            tuning=self._tuning(forecaster.scorer.probe),
            storage=self.config.storage,
            trained_on=TrainedOn.of_dataset(
                self.dataset,
                splits=self._splits,
                earlier=earlier_trials(base.folder),
                fitted_on_all=self.out_of_fold is not None,
            ),
            replace=True,  # one of this very run, which was killed before it was recorded
        )
        loading: dict[str, Any] = {"device": base.device.torch, "dtype": base.dtype.name}
        if manifest.language is not None and not manifest.language.base.carried:
            loading["base"] = base.folder
        return loading

    def _check_reload(
        self,
        rows: Dataset,
        logits: NDArray[np.float64],
        calibrator: Calibrator,
        loading: dict[str, Any],
    ) -> float:
        """Reload the bundle and compare; the largest difference of a probability."""
        self.report(Progress("check", 0, len(rows)))
        loaded = confirm_reload(
            self.run.bundle,
            rows.trials,
            logits,
            calibrator,
            tolerance=RELOAD_TOLERANCE[loading["dtype"]],
            **loading,
        )
        check = loaded.manifest.reload_check if loaded.manifest else None
        if check is None:
            raise TrainingError("the bundle was not reloaded.", where=str(self.run.bundle))
        self.run.add_event("reload", **check.model_dump())
        return check.max_difference

    def _tuning(self, probe: Probe | None) -> TuningEntry:
        left_out = {*_STORED_ELSEWHERE, *unused_settings(self.config.tuning)}
        settings = self.config.model_dump(mode="json", exclude=left_out, exclude_none=True)
        if probe is not None:
            settings |= {"probe_layer": probe.layer, "probe_pooling": probe.pooling}
        return TuningEntry(
            method=self.config.tuning,
            quantize=self.config.quantize,
            settings=plain_settings(settings),
        )

    def _facts(self, metrics: dict[str, Any], out_of_fold: dict[str, Any]) -> BundleFacts:
        config, data, found = self.config, self.dataset, self.out_of_fold
        train = data.select(config.train_split) if found is None else found.rows
        figures = [Evaluation.model_validate({**metrics, "note": self._note()})]
        if out_of_fold:
            figures.insert(0, Evaluation.model_validate(out_of_fold))
        entry = data_entry(data, splits=self._splits)
        terms = {"licence": " ".join(self._terms())[:2000], "note": " ".join(self._notes())[:2000]}
        return BundleFacts(
            data=entry.model_copy(update=terms),
            base_rates=measure_base_rates(
                len(data.task.labels), [trial.phase for trial in train.trials], train.label_indices
            ),
            final_fit=found.entry if found else None,
            evaluations=tuple(figures),
            licence=config.licence or "",
            context_of_use=config.context_of_use or CONTEXT_OF_USE,
            seed=config.seed,
            config_sha256=hashlib.sha256(self.run.config_file.read_bytes()).hexdigest(),
        )

    def _terms(self) -> list[str]:
        """The licences of all data the model was trained on, through its base model too."""
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
        note = FIGURES_NOTE.format(rows=rows)
        return note if self.out_of_fold is None else f"{CHOICE_NOTE} {note}"

    def _shown(self, done: Progress) -> None:
        self.report(Progress("calibration", done.done, done.total))


def measured(
    dataset: Dataset,
    logits: NDArray[np.float64],
    calibrator: Calibrator,
    *,
    splits: tuple[str, str],
    seed: int,
    names: tuple[str, str] = (MODEL, UNCALIBRATED),
) -> dict[str, Any]:
    """The card's figures on the validation split, of the model and of baselines.

    ``splits`` are those of training and validation; ``logits`` ``[n, K]`` are the model's for the
    latter. Calibrated figures are cross-fitted. ``names`` are the model's, calibrated and not.
    """
    train, valid = (dataset.select(split) for split in splits)
    task = dataset.task
    y = np.asarray(valid.label_indices, dtype=np.int64)
    forecasts = {names[1]: softmax(logits)}
    if calibrator.method != "none":
        phases = [trial.phase for trial in valid.trials]
        fitted = cross_calibrate(calibrator, logits, y, phases, seed=seed)
        forecasts = {names[0]: fitted.probabilities, **forecasts}
    train_y = np.asarray(train.label_indices, dtype=np.int64)
    for name, baseline in ((TFIDF, TfidfForecaster(task)), (BASE_RATE, BaseRateForecaster(task))):
        forecasts[name] = baseline.fit(train.trials, train_y).predict_proba(valid.trials)
    if task.kind == "binary":
        forecasts[f"always {task.labels[1]}"] = np.tile([0.0, 1.0], (len(y), 1))
    return card_figures(forecasts, y, split=splits[1], phases=row_phases(valid), seed=seed)


def measured_out_of_fold(
    found: OutOfFold, calibrator: Calibrator, *, seed: int, what: str = "this model"
) -> dict[str, Any]:
    """The card's out-of-fold figures on all learning rows, of ``what`` and of baselines.

    Calibrated figures are cross-fitted over the same folds, and so are the baselines. They are the
    fields of an ``Evaluation``, its note included.
    """
    rows, cross, learning = found.rows, found.cross, found.learning
    forecasts = {f"{what}, out-of-fold, not calibrated": softmax(cross.logits)}
    if calibrator.method != "none":
        fitted = cross_calibrate(
            calibrator, cross.logits, learning.labels, learning.phases, folds=cross.folds
        )
        forecasts = {f"{what}, out-of-fold, calibrated": fitted.probabilities, **forecasts}
    task = rows.task
    for name, baseline in ((TFIDF, TfidfForecaster(task)), (BASE_RATE, BaseRateForecaster(task))):
        fold_of_each = cross_fit(baseline, learning, folds=found.folds, seed=found.seed)
        forecasts[name] = softmax(fold_of_each.logits)
    if task.kind == "binary":
        forecasts[f"always {task.labels[1]}"] = np.tile([0.0, 1.0], (len(rows), 1))
    figures = card_figures(
        forecasts, learning.labels, split=OUT_OF_FOLD, phases=row_phases(rows), seed=seed
    )
    return {**figures, "note": OUT_OF_FOLD_NOTE.format(folds=found.folds, n=len(rows))}


SHOWN = {"log_loss": "log_loss", "brier": "brier", "roc_auc": "roc_auc", "f1": "f1_at_half"}
"""The card's name of each figure, and the metric behind it."""

SHOWN_BY_PHASE = ("roc_auc", "brier", "calibration_slope", "calibration_intercept", "ece")
LEAST_ROWS, LEAST_ROWS_OF_A_LABEL = 20, 5
"""Below these a phase is not measured."""


def card_figures(
    forecasts: Mapping[str, FloatArray],
    y: IntArray,
    *,
    split: str,
    phases: Sequence[Collection[str]] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """The card's figures of every forecaster on the same rows, by the same 1 000 draws.

    ``forecasts`` maps a forecaster's name to its probabilities ``[n, K]``; ``y`` are label
    indices ``[n]``. Gives ``{"split", "n", "draws", "seed", "forecasters": {name: {metric:
    {"value", "lower", "upper"}}}}``, and with ``phases`` ``[n]``, those that each row belongs to,
    ``{"phases": {phase: {"n", "figures"}}}`` of the first forecaster of two labels: its ROC-AUC,
    Brier score, calibration slope and intercept, ECE and the event's share, in all rows ("all")
    and in each phase of at least 20 rows and 5 of each label. What cannot be measured is None
    throughout: the F1 of more than two labels, the ROC-AUC where a label has no row.
    """
    labels = np.asarray(y, dtype=np.int64)
    arrays = {name: np.asarray(p, dtype=np.float64) for name, p in forecasts.items()}
    return {
        "split": split,
        "n": len(y),
        "draws": DRAWS,
        "seed": seed,
        "forecasters": {name: _figures(p, labels, seed) for name, p in arrays.items()},
        "phases": _by_phase(next(iter(arrays.values())), labels, phases, seed),
    }


def _by_phase(
    p: FloatArray, y: IntArray, phases: Sequence[Collection[str]], seed: int
) -> dict[str, dict[str, Any]]:
    if p.shape[1] != 2 or not phases:
        return {}
    found = {}
    for phase in (ALL_PHASES, *sorted({phase for held in phases for phase in held})):
        rows = np.array([phase in held or phase == ALL_PHASES for held in phases])
        own = y[rows]
        if len(own) < LEAST_ROWS or min(np.bincount(own, minlength=2)) < LEAST_ROWS_OF_A_LABEL:
            continue
        measured, _ = measure_probabilities(p[rows], own, draws=DRAWS, seed=seed)
        figures = {name: _rounded(measured[name]) for name in SHOWN_BY_PHASE}
        share = {"value": round(float(own.mean()), 6), "lower": None, "upper": None}
        found[phase] = {"n": len(own), "figures": {**figures, "prevalence": share}}
    return found


def _figures(p: FloatArray, y: IntArray, seed: int) -> dict[str, dict[str, float | None]]:
    measured, _ = measure_probabilities(p, y, draws=DRAWS, seed=seed)
    unknown = Figure(value=None, lower=None, upper=None, n=len(y))
    return {name: _rounded(measured.get(metric, unknown)) for name, metric in SHOWN.items()}


def _rounded(one: Figure) -> dict[str, float | None]:
    return {
        bound: None if value is None else round(value, 6)
        for bound, value in (("value", one.value), ("lower", one.lower), ("upper", one.upper))
    }
