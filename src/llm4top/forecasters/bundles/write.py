"""Writing a bundle of any kind: whole or not at all."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm4top.errors import BundleError
from llm4top.files import publishing, sha256_of, write_bytes, write_json
from llm4top.forecasters.baselines.base import BaselineForecaster
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.baseline_files import write_baseline
from llm4top.forecasters.bundles.blend_files import write_blend
from llm4top.forecasters.bundles.card import render_card
from llm4top.forecasters.bundles.loading import versions
from llm4top.forecasters.bundles.manifest import (
    BundleFacts,
    FileEntry,
    Manifest,
    ReloadCheck,
    TuningEntry,
)
from llm4top.forecasters.bundles.paths import (
    CALIBRATION_FILE,
    CARD_FILE,
    MANIFEST_FILE,
    TRAINED_ON_FILE,
    checked_name,
    is_bundle,
)
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.forecaster import Forecaster
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task


def save_bundle(
    folder: str | Path,
    *,
    name: str,
    forecaster: Any,
    calibration: Calibrator,
    facts: BundleFacts,
    tuning: TuningEntry | None = None,
    carry_base: bool | None = None,
    storage: str | None = None,
    trained_on: TrainedOn | None = None,
    check: Callable[[Path], ReloadCheck] | None = None,
    replace: bool = False,
) -> Manifest:
    """Write a forecaster and its calibration into ``folder`` as a bundle; return its manifest.

    The folder appears complete or not at all. Without ``check``, call ``confirm_reload`` next:
    a bundle is finished when it has been loaded again.

    Args:
        folder: Where to write.
        name: The bundle's name.
        forecaster: A ``LanguageForecaster``, a fitted baseline or a ``Blend``.
        calibration: Fitted on the forecaster's logits of validation data.
        facts: What its manifest says about data, figures and licence.
        tuning: What training changed in a language model: an adapter is written ("lora"), the
            whole model ("full"), or neither ("none").
        carry_base, storage: See ``write_language``.
        trained_on: Recognises the trials it was trained on.
        check: Loads the bundle from the folder it is given and compares it, before it appears.
        replace: Whether to exchange a bundle that is there.

    Raises:
        BundleError: The name is not allowed, the folder is taken, or ``tuning`` does not fit.
    """
    folder = Path(folder)
    checked_name(name)
    check_vacant(folder, replace=replace)
    with publishing(folder) as staging:
        values = _write_model(staging, forecaster, tuning, carry_base, storage)
        if trained_on is not None:
            write_json(staging / TRAINED_ON_FILE, trained_on.model_dump())
        task = get_task(forecaster.task)
        write_calibration(staging, task, calibration)
        values |= {"name": name, "task": task, "calibration": calibration.method}
        manifest = write_manifest(staging, {**dict(facts), **values})
        if check is not None:
            note_reload(staging, manifest, check(staging))
    return read_manifest(folder)


def _write_model(
    folder: Path,
    forecaster: Any,
    tuning: TuningEntry | None,
    carry_base: bool | None,
    storage: str | None,
) -> dict[str, Any]:
    """Write what computes into ``folder``; its kind and its entry of the manifest."""
    if isinstance(forecaster, BaselineForecaster):
        return {"kind": "baseline", "baseline": write_baseline(folder, forecaster)}
    if isinstance(forecaster, Blend):
        return {"kind": "blend", "blend": write_blend(folder, forecaster, _write_part)}
    from llm4top.forecasters.bundles.language_files import write_language

    entry = write_language(
        folder,
        forecaster,
        tuning or TuningEntry(method="none"),
        carry_base=carry_base,
        storage=storage,
    )
    return {"kind": "language", "language": entry}


def note_reload(folder: Path, manifest: Manifest, check: ReloadCheck) -> Manifest:
    """Add the reload check to the manifest of the bundle in ``folder``, in one step."""
    noted = manifest.model_copy(update={"reload_check": check})
    # The scratch file is outside the bundle: a killed process leaves no stray file in it.
    write_bytes(folder / MANIFEST_FILE, noted.to_json().encode(), scratch_folder=folder.parent)
    return read_manifest(folder)


def write_calibration(folder: Path, task: Task, calibration: Calibrator) -> None:
    """Write ``calibration.json``: the labels and the state of the calibration."""
    stored = {"labels": list(task.labels), "calibrator": calibration.to_dict()}
    write_json(folder / CALIBRATION_FILE, stored)


def write_manifest(folder: Path, values: dict[str, Any]) -> Manifest:
    """Write the card and the manifest of a bundle whose other files are there already.

    Args:
        folder: The bundle that is being written.
        values: Fields of ``Manifest``. The date, the versions and the files are added.
    """
    hashed = {**file_entries(folder), CARD_FILE: FileEntry(sha256="0" * 64, size=0)}
    made = {"created": datetime.now(UTC).date().isoformat(), "versions": versions()}
    manifest = Manifest(**{**made, **values, "files": hashed, "reload_check": None})
    card = render_card(manifest).encode()
    (folder / CARD_FILE).write_bytes(card)
    entry = FileEntry(sha256=sha256_of(folder / CARD_FILE), size=len(card))
    manifest = manifest.model_copy(
        update={"files": dict(sorted({**manifest.files, CARD_FILE: entry}.items()))}
    )
    (folder / MANIFEST_FILE).write_bytes(manifest.to_json().encode())
    return manifest


def check_vacant(folder: Path, *, replace: bool) -> None:
    """``BundleError`` unless a bundle may be written into ``folder``."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if replace and is_bundle(folder):
        return
    held = "a bundle" if is_bundle(folder) else "something else"
    raise BundleError(
        f"there is {held} here already.",
        where=str(folder),
        hint="Choose another folder" + (", or replace it." if is_bundle(folder) else "."),
    )


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Hash and size of every file in the folder and below, by its relative POSIX name."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(
            sha256=sha256_of(path), size=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() or (path.parent != folder and path.is_file())
    }


def _write_part(folder: Path, name: str, part: Forecaster) -> Manifest:
    """Write a part of a blend that is only in memory."""
    return save_bundle(
        folder,
        name=name,
        forecaster=part.forecaster,
        calibration=part.calibration,
        facts=BundleFacts(data=part.data, base_rates=dict(part.base_rates)),
        trained_on=part.trained_on,
    )
