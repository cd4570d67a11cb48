"""Loading a bundle of any kind: checked file by file, then ready to forecast."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from llm4top.errors import BundleError, CalibrationError
from llm4top.forecasters.base_rates import ALL_PHASES
from llm4top.forecasters.baselines.catalog import TRIVIAL
from llm4top.forecasters.bundles.baseline_files import read_baseline
from llm4top.forecasters.bundles.blend_files import read_blend
from llm4top.forecasters.bundles.figures import ReloadCheck
from llm4top.forecasters.bundles.loading import Loading
from llm4top.forecasters.bundles.manifest import HINT, Manifest
from llm4top.forecasters.bundles.paths import (
    CALIBRATION_FILE,
    EMBEDDED_NAME,
    SUPPORT_FILE,
    embedded_folder,
    embedded_names,
)
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.verify import verify_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator, softmax
from llm4top.forecasters.calibration.methods import NoCalibration, calibrator_from_dict
from llm4top.forecasters.forecaster import Forecaster, Model
from llm4top.forecasters.support import Support
from llm4top.registry.trial import Trial
from llm4top.schema import read_model

RELOAD_TOLERANCE = 1e-4


def load_bundle(
    bundle: str | Path,
    *,
    weights: bool = True,
    **loading: Any,
) -> Forecaster:
    """Verify a bundle of any kind and load it.

    Args:
        bundle: "embedded", a folder, or a name in the store.
        weights: Whether to read the model now; else at its first use.
        loading: Fields of ``Loading``.

    Raises:
        TamperedBundleError: A file is changed, missing or not listed.
        UnsafeBundleError: A file could run code.
        ModelNotFoundError: The base model is not on this machine; says how to download it.
        BundleError: Anything else that does not fit.
    """
    report = verify_bundle(bundle)
    report.raise_for_problems()
    forecaster = _opened(report.folder, report.manifest, Loading(**loading))
    if weights:
        forecaster.model = forecaster.forecaster
    return forecaster


def _opened(folder: Path, manifest: Manifest, loading: Loading) -> Forecaster:
    """The forecaster of a verified bundle, its model still on disk."""
    data, baseline = manifest.data, manifest.baseline
    label = manifest.name if baseline is None else baseline.label
    if folder in map(embedded_folder, embedded_names()):
        label += f" ({EMBEDDED_NAME})"
    return Forecaster(
        task=manifest.task,
        kind=manifest.kind,
        name=manifest.name,
        label=label,
        identity=manifest.identity,
        calibration=_read_calibration(folder, manifest),
        base_rates=manifest.base_rates,
        support=_read_support(folder, manifest),
        data=data,
        trained_on=TrainedOn.read(folder),
        trained_on_text=f"{data.name} ({data.sha256[:12]})" if data else "unknown data",
        trivial=baseline is not None and baseline.baseline in TRIVIAL,
        folder=folder,
        manifest=manifest,
        read=lambda: _read_model(folder, manifest, loading),
    )


def _read_model(folder: Path, manifest: Manifest, loading: Loading) -> Model:
    if manifest.kind == "baseline":
        return read_baseline(folder, manifest, loading.encoder)
    if manifest.kind == "blend":
        return read_blend(
            folder, manifest, lambda part, alone: _part(part, alone, loading, folder, manifest)
        )
    from llm4top.forecasters.bundles.language_files import read_language

    return read_language(folder, manifest, loading)


def _part(
    folder: Path, manifest: Manifest | None, loading: Loading, blend: Path, whole: Manifest
) -> Forecaster:
    """A part in ``folder`` of the verified ``blend`` whose manifest is ``whole``."""
    if manifest is None:
        place = f"{folder.relative_to(blend).as_posix()}/"
        verified = {
            name.removeprefix(place): entry
            for name, entry in whole.files.items()
            if name.startswith(place)
        }
        report = verify_bundle(folder, verified=verified)
        report.raise_for_problems()
        manifest = report.manifest
    part = _opened(folder, manifest, loading)
    # Now: a blend that is warm must not read its parts at its first forecast.
    part.model = part.forecaster
    return part


def confirm_reload(
    bundle: str | Path,
    trials: Iterable[Trial],
    logits: ArrayLike,
    calibration: Calibrator,
    *,
    tolerance: float = RELOAD_TOLERANCE,
    **loading: Any,
) -> Forecaster:
    """Load a bundle, see that it gives the same probabilities, and note that in its manifest.

    Args:
        bundle: The bundle's folder.
        trials: Trials to compare on.
        logits: ``[n, K]`` of these trials, by the forecaster that was saved.
        calibration: That of the forecaster that was saved.
        tolerance: The largest difference of a probability that is allowed.
        loading: Arguments of ``load_bundle``.

    Returns:
        The bundle, which is now finished and has its final identity.

    Raises:
        BundleError: A probability differs by more.
    """
    from llm4top.forecasters.bundles.write import note_reload

    loaded = load_bundle(bundle, **loading)
    if loaded.folder is None or loaded.manifest is None:
        raise TypeError("only bundles are reloaded")
    check = compare_reloaded(loaded, trials, logits, calibration, tolerance=tolerance)
    manifest = note_reload(loaded.folder, loaded.manifest, check)
    return replace(loaded, identity=manifest.identity, manifest=manifest)


def compare_reloaded(
    loaded: Forecaster,
    trials: Iterable[Trial],
    logits: ArrayLike,
    calibration: Calibrator,
    *,
    tolerance: float = RELOAD_TOLERANCE,
) -> ReloadCheck:
    """The largest difference between a loaded bundle's probabilities and the saved forecaster's.

    Compared are the model's probabilities, and the calibrated ones of equal logits: a step of the
    calibration would magnify a rounding difference. Arguments and errors as for
    ``confirm_reload``.
    """
    expected = np.asarray(logits, dtype=np.float64)
    rows = list(trials)
    phases = [trial.phase for trial in rows]
    pairs = (
        (softmax(loaded.logits(rows)), softmax(expected)),
        (
            loaded.calibration.predict(expected, phases).probabilities,
            calibration.predict(expected, phases).probabilities,
        ),
    )
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    if not difference <= tolerance:
        raise BundleError(
            f"the reloaded bundle gives other probabilities: they differ by up to "
            f"{difference:.2g}, where {tolerance:.2g} is allowed.",
            where=str(loaded.folder),
            hint="Do not use it. Save it again, and report this if it stays.",
        )
    return ReloadCheck(n=len(expected), max_difference=difference, tolerance=tolerance)


def _read_support(folder: Path, manifest: Manifest) -> Support | None:
    if SUPPORT_FILE not in manifest.files:
        return None
    where = f"{folder.name}/{SUPPORT_FILE}"
    support = read_model(
        Support,
        folder / SUPPORT_FILE,
        what="the support",
        error=BundleError,
        where=where,
        hint=HINT,
    )
    if ALL_PHASES not in manifest.base_rates:
        raise BundleError("is for bundles with base rates.", where=where, hint=HINT)
    return support


def _read_calibration(folder: Path, manifest: Manifest) -> Calibrator:
    if CALIBRATION_FILE not in manifest.files:
        return NoCalibration()  # a saved baseline of version 0.1.0
    stored = json.loads((folder / CALIBRATION_FILE).read_text(encoding="utf-8"))
    where = f"{folder.name}/{CALIBRATION_FILE}"
    state = stored.get("calibrator")
    if set(stored) != {"labels", "calibrator"} or not isinstance(state, dict):
        raise BundleError("is not a calibration as LLM4TOP writes it.", where=where)
    if tuple(stored["labels"]) != manifest.task.labels:
        raise BundleError("is about other labels than the task.", where=where, hint=HINT)
    try:
        calibration = calibrator_from_dict(state)
        # One row tells whether it is about as many labels as the task.
        calibration.predict(np.zeros((1, len(manifest.task.labels))))
    except CalibrationError as error:
        raise BundleError(error.message, where=where, hint=error.hint) from error
    if calibration.method != manifest.calibration:
        raise BundleError("is of another method than the manifest says.", where=where)
    return calibration
