"""The files of a blend: a bundle for each part, and ``blend.json``, which says how they pool."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from llm4top.errors import BundleError
from llm4top.files import write_json
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles import schema1
from llm4top.forecasters.bundles.manifest import HINT, BlendEntry, Manifest, PartEntry
from llm4top.forecasters.bundles.paths import MANIFEST_FILE, PARTS_FOLDER, POOL_FILE
from llm4top.forecasters.calibration.pool import LogPool
from llm4top.forecasters.forecaster import Forecaster
from llm4top.schema import Strict, read_model


class _Pool(Strict):
    """``blend.json``, and ``stack.json`` of version 0.1.0."""

    labels: tuple[str, ...]
    baseline_identity: str = ""
    floor: Annotated[float, Field(gt=0, lt=0.5)]
    pool: LogPool


def write_blend(
    folder: Path, blend: Blend, write: Callable[[Path, str, Forecaster], Manifest]
) -> BlendEntry:
    """Write the blend's parts and pool into ``folder``; returns what the manifest says of them.

    A part that is stored is copied byte for byte (or linked, where the disk allows); ``write``
    writes one that is only in memory into a folder, under a name.
    """
    entries = []
    for name, part, weight in zip(blend.pool.sources, blend.parts, blend.pool.weights, strict=True):
        place = f"{PARTS_FOLDER}/{name}"
        manifest = part.manifest
        if manifest is None or part.folder is None or manifest.schema_version == 1:
            manifest = write(folder / place, name, part)
        else:
            copy_bundle(part.folder, manifest, folder / place)
        entries.append(
            PartEntry(
                folder=place,
                name=name,
                kind="language" if part.kind == "language" else "baseline",
                identity=manifest.identity,
                label=manifest.model_name,
                weight=weight,
            )
        )
    stored = _Pool(labels=blend.task.labels, floor=blend.floor, pool=blend.pool)
    values = stored.model_dump(mode="json", exclude={"baseline_identity"})
    write_json(folder / POOL_FILE, values)
    return BlendEntry(parts=tuple(entries), n=blend.pool.n)


def copy_bundle(source: Path, manifest: Manifest, target: Path) -> None:
    """The same bundle in another folder: its files are linked where the disk allows."""
    for file in (MANIFEST_FILE, *manifest.files):
        link_or_copy(source / file, target / file)


def read_blend(
    folder: Path, manifest: Manifest, load: Callable[[Path, Manifest | None], Forecaster]
) -> Blend:
    """The blend in the verified bundle ``folder``.

    Args:
        folder: The bundle.
        manifest: Its manifest.
        load: Loads the bundle of a part, from its folder and its manifest where that is known.

    Raises:
        BundleError: Its parts contradict each other or the manifest.
    """
    entry, old = manifest.blend, manifest.schema_version == 1
    if entry is None:
        raise BundleError("has no blend.", where=folder.name)
    file = schema1.STACK_FILE if old else POOL_FILE
    where = f"{folder.name}/{file}"
    stored = read_model(
        _Pool, folder / file, what="the blend", error=BundleError, where=where, hint=HINT
    )
    weights = tuple(part.weight for part in entry.parts)
    names = tuple(part.name for part in entry.parts)
    if stored.labels != manifest.task.labels:
        raise BundleError("is about other labels than the task.", where=where, hint=HINT)
    if (stored.pool.sources, stored.pool.weights, stored.pool.n) != (names, weights, entry.n):
        raise BundleError("has other weights than the manifest says.", where=where, hint=HINT)
    parts = []
    for part in entry.parts:
        alone = None
        if part.folder == ".":
            text = schema1.language_part(manifest.stored)
            alone = Manifest.from_json(text, where=f"{folder.name}/{MANIFEST_FILE}")
        loaded = load(folder / part.folder, alone)
        if alone is None and loaded.identity != part.identity:
            raise BundleError(
                f"its part {part.name} is another one than the manifest says.",
                where=where,
                hint=HINT,
            )
        parts.append(loaded)
    return Blend(tuple(parts), stored.pool, stored.floor)


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name where the disk allows: bundles are never written into."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
