"""A bundle calibrated again on validation trials: its weights stay as they are, bit for bit."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import BundleError, CalibrationError
from llm4top.files import publishing, write_json
from llm4top.forecasters.bundles.blend_files import link_or_copy
from llm4top.forecasters.bundles.figures import Evaluation
from llm4top.forecasters.bundles.manifest import SCHEMA_VERSION, Manifest
from llm4top.forecasters.bundles.paths import CALIBRATION_FILE, CARD_FILE, TRAINED_ON_FILE
from llm4top.forecasters.bundles.read import confirm_reload, load_bundle
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.write import write_calibration, write_manifest
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.forecaster import Forecaster
from llm4top.progress import OnProgress
from llm4top.training.finalize import FIGURES_NOTE, RELOAD_TOLERANCE, measured
from llm4top.training.memory import sample_rows

SPLITS = ("train", "valid")
_MOST_RELOADED = 32


def recalibrate(
    bundle: str | Path,
    dataset: Dataset,
    out: str | Path,
    *,
    method: str | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    **loading: Any,
) -> Forecaster:
    """Calibrate a bundle again on the validation split of ``dataset``, and write it to ``out``.

    ``out`` may be the bundle's own folder, which is then exchanged. New are ``calibration.json``,
    the figures of the validation split in manifest and card, and ``learnt_from.json``; every other
    file is the same, byte for byte. ``method`` names the calibration (None: as it is);
    ``loading`` goes to ``load_bundle``. Returns the bundle, reloaded and compared.

    Raises ``BundleError`` for a stack (its pool would have to be fitted again too) or a data set of
    another question, ``CalibrationError`` where the model was trained on a validation trial or the
    data cannot support a calibration, and what loading the bundle raises.
    """
    loaded = load_bundle(bundle, **loading)
    if loaded.manifest is None or loaded.folder is None:
        raise TypeError("only bundles are calibrated again")
    _check(loaded.manifest, loaded, dataset)
    choose = dataset.select(SPLITS[1])
    logits = loaded.logits(choose.trials, on_progress=on_progress)
    calibrator = make_calibrator(method or loaded.manifest.calibration).fit(
        logits,
        np.asarray(choose.label_indices, dtype=np.int64),
        [trial.phase for trial in choose.trials],
    )
    figures = measured(dataset, logits, calibrator, splits=SPLITS, seed=seed)
    _write(loaded, dataset, Path(out), calibrator, figures)
    rows = choose.take(sample_rows(len(choose), _MOST_RELOADED, seed)).trials
    # Not those of before: in bfloat16 a trial's logits depend on the batch that it is in.
    expected = loaded.logits(rows)
    return confirm_reload(
        out,
        rows,
        expected,
        calibrator,
        tolerance=_tolerance(loaded),
        **loading,
    )


def _check(manifest: Manifest, loaded: Forecaster, dataset: Dataset) -> None:
    if manifest.kind == "blend":
        raise BundleError(
            "a blend cannot be calibrated again: its pool was fitted on the same trials.",
            where=manifest.identity,
            hint="Select it again with llm4top select.",
        )
    own, other = manifest.task, dataset.task
    if (own.name, own.labels) != (other.name, other.labels):
        raise BundleError(
            f"it answers {own.name!r}, and the data set asks {other.name!r}.",
            where=manifest.identity,
            hint="Give a data set of the same question.",
        )
    seen = [i for i in dataset.select(SPLITS[1]).nct_ids if loaded.trained_on_part(i) == "train"]
    if seen:
        raise CalibrationError(
            f"{len(seen)} of the validation trials were used to train it, such as {seen[0]}.",
            where=manifest.identity,
            hint="Give validation trials that it was not trained on.",
        )


def _write(
    loaded: Forecaster,
    dataset: Dataset,
    out: Path,
    calibrator: Calibrator,
    figures: dict[str, Any],
) -> None:
    source, folder = loaded.manifest, loaded.folder
    if source is None or folder is None:
        raise TypeError("only bundles are calibrated again")
    note = FIGURES_NOTE.format(rows="these rows")
    note += f" Calibrated again on {datetime.now(UTC).date().isoformat()}."

    with publishing(out) as staging:
        for file in sorted(source.files.keys() - {CARD_FILE, CALIBRATION_FILE, TRAINED_ON_FILE}):
            link_or_copy(folder / file, staging / file)
        write_calibration(staging, source.task, calibrator)
        write_json(staging / TRAINED_ON_FILE, _trained_on(loaded, dataset).model_dump(mode="json"))
        evaluation = Evaluation.model_validate({**figures, "note": note})
        values: dict[str, Any] = {"calibration": calibrator.method, "evaluations": (evaluation,)}
        if source.final_fit is not None:
            values["final_fit"] = source.final_fit.model_copy(update={"folds": None})
        write_manifest(staging, {**dict(source), "schema_version": SCHEMA_VERSION, **values})


def _tolerance(loaded: Forecaster) -> float:
    if loaded.language is None:
        return RELOAD_TOLERANCE["float32"]
    return RELOAD_TOLERANCE[loaded.language.scorer.base.dtype.name]


def _trained_on(loaded: Forecaster, dataset: Dataset) -> TrainedOn:
    """The trials of this data set beside those that the bundle has known before.

    Its training trials count only where it is the data set that the bundle was trained on, told
    by the numbers of its rows: another version of this program may hash the same rows differently.
    """
    data = loaded.manifest.data if loaded.manifest else None
    train, valid = (dataset.select(split).nct_ids for split in SPLITS)
    counts = {SPLITS[0]: len(train), SPLITS[1]: len(valid)}
    same = data is not None and dict(data.counts) == counts
    new = TrainedOn.of(train if same else (), valid, data_sha256=dataset.sha256)
    before = loaded.trained_on.sets if loaded.trained_on is not None and not same else ()
    return TrainedOn(sets=(*new.sets, *before))
