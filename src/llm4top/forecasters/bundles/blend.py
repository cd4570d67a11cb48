"""A stack: the language model's log-odds pooled with those of a baseline, as one bundle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm4top.errors import BundleError
from llm4top.forecasters.bundles.manifest import (
    BASELINE_FOLDER,
    CALIBRATION_FILE,
    CARD_FILE,
    STACK_FILE,
    Evaluation,
    FileEntry,
    Manifest,
    StackEntry,
)
from llm4top.forecasters.bundles.paths import checked_name
from llm4top.forecasters.bundles.verify import read_manifest, verify_bundle
from llm4top.forecasters.bundles.write import (
    check_vacant,
    file_entries,
    versions,
    write_calibration,
    write_json,
    write_manifest,
)
from llm4top.forecasters.calibration.calibrated import Calibrator, FloatArray
from llm4top.forecasters.calibration.pool import FLOOR, LogPool, log_probabilities
from llm4top.forecasters.folders import publish_folder
from llm4top.registry.trial import Trial

if TYPE_CHECKING:
    from llm4top.forecasters.baselines.store import LoadedBaseline

LANGUAGE = "language"
BASELINE = "baseline"
SOURCES = (LANGUAGE, BASELINE)
"""What a stack pools, in the order of its weights."""


class _Stored(BaseModel):
    """``stack.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    labels: tuple[str, ...]
    baseline_identity: str
    floor: Annotated[float, Field(gt=0, lt=0.5)]
    pool: LogPool


@dataclass(frozen=True, slots=True)
class LoadedStack:
    """A baseline that is ready, and how its log-odds are pooled with the language model's.

    ``pool`` pools ``SOURCES``; ``floor`` is the least probability the baseline is taken to say.
    """

    pool: LogPool
    baseline: LoadedBaseline
    floor: float = FLOOR

    def logits(self, trials: Iterable[Trial], language: ArrayLike) -> FloatArray:
        """Pooled logits ``[n, K]`` of trials, of which ``language`` ``[n, K]`` are the model's."""
        said = self.baseline.predict_proba(list(trials))
        return self.pool.logits([language, log_probabilities(said, floor=self.floor)])


def stack_bundle(
    bundle: str | Path,
    folder: str | Path,
    *,
    baseline: str | Path,
    pool: LogPool,
    calibration: Calibrator,
    name: str | None = None,
    evaluations: Sequence[Evaluation] | None = None,
    replace: bool = False,
) -> Manifest:
    """Write into ``folder`` a bundle that forecasts with ``bundle`` and a baseline together.

    ``baseline`` is a folder that ``save_baseline`` wrote; ``pool`` pools ``SOURCES`` and was
    fitted, like ``calibration`` on the pooled logits, on validation data. ``evaluations`` replace
    those of ``bundle``, whose weights are taken over byte for byte. The folder appears complete
    or not at all; call ``confirm_reload`` next. ``replace`` exchanges a bundle that is there.

    Raises ``BundleError`` where ``bundle`` is a stack already, the pool is of other sources, the
    baseline answers another question or the folder is taken, and what reading the two raises.
    """
    from llm4top.forecasters.baselines.store import load_baseline

    report = verify_bundle(bundle)
    report.raise_for_problems()
    source, folder, baseline = report.manifest, Path(folder), Path(baseline)
    held = load_baseline(baseline)
    _check_parts(source, held, pool)
    check_vacant(folder, replace=replace)
    chosen = checked_name(name or source.name)
    entry = StackEntry(
        baseline=held.label,
        baseline_identity=held.identity,
        weights=dict(zip(pool.sources, pool.weights, strict=True)),
        n=pool.n,
    )

    def write(staging: Path) -> None:
        for file in sorted(source.files.keys() - {CARD_FILE, CALIBRATION_FILE}):
            link_or_copy(report.folder / file, staging / file)
        shutil.copytree(baseline, staging / BASELINE_FOLDER)
        stored = _Stored(
            labels=source.task.labels,
            baseline_identity=held.identity,
            floor=FLOOR,
            pool=pool,
        )
        write_json(staging / STACK_FILE, stored.model_dump(mode="json"))
        write_calibration(staging, source.task, calibration)
        values = dict(source)
        values.update(
            name=chosen,
            created=datetime.now(UTC).date().isoformat(),
            calibration=calibration.method,
            stack=entry,
            evaluations=source.evaluations if evaluations is None else tuple(evaluations),
            versions=versions(),
            reload_check=None,
            files={**file_entries(staging), CARD_FILE: FileEntry(sha256="0" * 64, size=0)},
        )
        write_manifest(staging, Manifest(**values))

    publish_folder(folder, write)
    return read_manifest(folder)


def read_stack(folder: Path, manifest: Manifest) -> LoadedStack | None:
    """The stack of the verified bundle in ``folder``; None where its model forecasts alone.

    Raises ``BundleError`` where its parts contradict each other or the manifest.
    """
    if manifest.stack is None:
        return None
    from llm4top.forecasters.baselines.store import load_baseline

    where = f"{folder.name}/{STACK_FILE}"
    try:
        stored = _Stored.model_validate_json((folder / STACK_FILE).read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "as a whole"
        raise BundleError(
            f"is wrong in {field!r:.100}: {first['msg']:.200}.", where=where
        ) from None
    baseline = load_baseline(folder / BASELINE_FOLDER)
    entry, pool = manifest.stack, stored.pool
    if stored.labels != manifest.task.labels:
        raise BundleError("is about other labels than the task.", where=where)
    if dict(zip(pool.sources, pool.weights, strict=True)) != entry.weights or pool.n != entry.n:
        raise BundleError("has other weights than the manifest says.", where=where)
    if {baseline.identity, stored.baseline_identity} != {entry.baseline_identity}:
        raise BundleError("its baseline is another one than the manifest says.", where=where)
    _check_parts(manifest.model_copy(update={"stack": None}), baseline, pool)
    return LoadedStack(pool, baseline, stored.floor)


def _check_parts(source: Manifest, baseline: LoadedBaseline, pool: LogPool) -> None:
    if source.stack is not None:
        fault = "the bundle is a stack already"
    elif pool.sources != SOURCES:
        fault = f"the pool is of {', '.join(pool.sources)}, not of {', '.join(SOURCES)}"
    elif len(pool.offsets) != len(source.task.labels):
        fault = f"the pool is about {len(pool.offsets)} labels, the task has another number"
    elif baseline.task != source.task:
        fault = f"the baseline answers {baseline.task.name!r}, the bundle {source.task.name!r}"
    else:
        return
    raise BundleError(f"{fault}.", where=source.name, hint="Stack a bundle and a baseline anew.")


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name where the disk allows: bundles are never written into."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
