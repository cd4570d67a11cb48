"""Saving a forecaster from Python: calibrate, write, load again, compare."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import BundleError
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.baselines.base import BaselineForecaster
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.baseline_files import PROBES, tolerance_of
from llm4top.forecasters.bundles.figures import ReloadCheck
from llm4top.forecasters.bundles.language_files import tuning_of
from llm4top.forecasters.bundles.manifest import BundleFacts
from llm4top.forecasters.bundles.paths import bundle_name
from llm4top.forecasters.bundles.read import RELOAD_TOLERANCE, compare_reloaded, load_bundle
from llm4top.forecasters.bundles.trained_on import TrainedOn, data_entry
from llm4top.forecasters.bundles.verify import language_part
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.calibration.methods import NoCalibration, make_calibrator
from llm4top.forecasters.calibration.pool import FLOOR
from llm4top.forecasters.classifier import as_trials, class_positions
from llm4top.forecasters.forecaster import Forecaster
from llm4top.registry.trial import Trial

MOST_RELOADED = 32
"""Trials on which a reloaded bundle is compared."""

Validation = tuple[Iterable[Trial], Iterable[Any]]


def save_forecaster(
    forecaster: Forecaster,
    folder: str | Path,
    *,
    name: str | None,
    dataset: Dataset | None,
    validation: Validation | None,
    calibration: str,
    replace: bool,
    facts: BundleFacts | None = None,
) -> Forecaster:
    """See ``Forecaster.save``; ``facts`` replace what is known from the data set."""
    if validation is None and dataset is not None and "valid" in dataset.splits:
        rows = dataset.select("valid")
        validation = rows.trials, rows.label_indices
    model, calibrator, trials = _calibrated(forecaster, validation, calibration)
    kept = np.arange(len(trials))[:: -(-len(trials) // MOST_RELOADED)]
    compared = [trials[i] for i in kept]
    # Not those of before: in bfloat16 a trial's logits depend on the batch that it is in.
    expected = model.label_logits(compared)

    def check(staging: Path) -> ReloadCheck:
        loaded = load_bundle(staging, **_loading(model, staging))
        tolerance = tolerance_of(model) if forecaster.kind == "baseline" else RELOAD_TOLERANCE
        return compare_reloaded(loaded, compared, expected, calibrator, tolerance=tolerance)

    save_bundle(
        folder,
        name=name or bundle_name(Path(folder).resolve().name),
        forecaster=model,
        calibration=calibrator,
        facts=facts or _facts(forecaster, dataset, calibrated_anew=validation is not None),
        tuning=tuning_of(forecaster) if forecaster.kind == "language" else None,
        trained_on=TrainedOn.of_dataset(dataset) if dataset else forecaster.trained_on,
        # It was learnt behind the calibration that the forecaster came with.
        support=forecaster.support if validation is None else None,
        check=check,
        replace=replace,
    )
    return load_bundle(folder, **_loading(model, Path(folder)))


def _calibrated(
    forecaster: Forecaster, validation: Validation | None, method: str
) -> tuple[Any, Calibrator, list[Trial]]:
    """What computes, its calibration, and the trials to compare on."""
    model: Any = forecaster.forecaster
    if validation is None:
        trials = list(PROBES)
        return model, forecaster.calibration, trials
    trials = as_trials(validation[0])
    labels = class_positions(forecaster.task, validation[1])[1]
    calibrator = make_calibrator(method)
    if isinstance(model, BaselineForecaster) and method != NoCalibration.method:
        # A calibration is fitted on log-odds: a probability of 0 must not decide it.
        model = copy.copy(model)
        model.floor_ = FLOOR
    logits = model.label_logits(trials)
    phases = [trial.phase for trial in trials]
    return model, calibrator.fit(logits, labels, phases), trials


def _facts(
    forecaster: Forecaster, dataset: Dataset | None, *, calibrated_anew: bool
) -> BundleFacts:
    rates, data = dict(forecaster.base_rates), forecaster.data
    if dataset is not None:
        train = dataset.select("train")
        phases = [trial.phase for trial in train.trials]
        rates = measure_base_rates(len(dataset.task.labels), phases, train.label_indices)
        data = data_entry(dataset)
        if dataset.task.labels != forecaster.task.labels:
            raise BundleError(
                f"it answers {forecaster.task.name!r}, and the data set asks "
                f"{dataset.task.name!r}.",
                hint="Give the data set that it was trained on.",
            )
    if forecaster.manifest is not None:
        own = forecaster.manifest.facts()
        if dataset is None and not calibrated_anew:
            return own
        # Figures of another calibration, or on other data, are not this bundle's.
        return own.model_copy(update={"data": data, "base_rates": rates, "evaluations": ()})
    seed = getattr(forecaster.forecaster, "seed", None)
    return BundleFacts(data=data, base_rates=rates, seed=seed)


def _loading(model: Any, bundle: Path) -> dict[str, Any]:
    """How to load the bundle so that it computes as the forecaster in memory does."""
    language = model if hasattr(model, "scorer") else None
    if isinstance(model, Blend) and model.language is not None:
        language = model.language.language
    loading: dict[str, Any] = {"encoder": getattr(model, "encoder", None)}
    if language is not None:
        base = language.scorer.base
        loading |= {"device": base.device.torch, "dtype": base.dtype.name}
        part = language_part(bundle)
        if part is not None and not part[1].base.carried:
            loading["base"] = base.folder
    return loading
