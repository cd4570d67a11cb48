"""Finds what the settings of a run name in the workspace, and stores what the run makes."""

import re
from collections.abc import Iterable, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

from llm4top.errors import BundleError, ModelError, NotFoundError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.bundles import WorkspaceBundle
from llm4top.workspace.jobs.job_settings import model_names
from llm4top.workspace.run_states import Run
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.workspace import Workspace

EMBEDDED = "embedded"
_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_FIELDS = {
    "train": "base", "forecast": "model", "precedents": "model", "evaluate": "models",
}  # fmt: skip
_UPLOADS = ("task_upload", "labels_upload", "enrich_upload")


def uploads_of(settings: Mapping[str, Any]) -> set[str]:
    """The ids of all uploads that a run's settings name."""
    others = (settings.get(name) for name in _UPLOADS)
    return {*settings.get("uploads", ()), *filter(None, others)}


def dataset_folder(workspace: Workspace, settings: Mapping[str, Any]) -> Path:
    """The folder of the data set that checked settings name; ``NotFoundError`` without one."""
    if settings.get("dataset") is not None:
        return workspace.datasets.folder(settings["dataset"])
    return Path(settings["data"])


def model_place(workspace: Workspace, name: str) -> str:
    """What loading takes, for the id of a bundle, or any name that loading takes by itself."""
    if _ID.fullmatch(name):
        return str(workspace.bundles.folder(name))
    return name


def base_place(workspace: Workspace, name: str) -> str:
    """The base model to train: one of a name or folder, or what a bundle or blend carries.

    Raises ``BundleError`` for a bundle that carries none.
    """
    from llm4top.forecasters.bundles.verify import language_part

    if name != EMBEDDED and not _ID.fullmatch(name):
        return name
    place, _ = language_part(workspace.bundles.folder(name)) or (None, None)
    if place is None or not (place / "base").is_dir():
        raise BundleError(
            "this bundle contains no base model to train.",
            where=name,
            hint="Name the base model that it was made from.",
        )
    return str(place / "base")


def missing_things(
    workspace: Workspace, kind: str, settings: Mapping[str, Any], *, ids_only: bool
) -> list[str]:
    """A sentence for each data set, upload and model that checked settings name and is not there.

    With ``ids_only`` a model's folder does not count either.
    """
    faults = []
    if settings.get("dataset") is not None:
        faults += _absent("dataset", lambda: workspace.datasets.get(settings["dataset"]))
    elif settings.get("data") is not None and not Path(settings["data"]).exists():
        faults.append(f"data: there is no {settings['data']}")
    named = [("uploads", upload_id) for upload_id in settings.get("uploads", ())]
    named += [(name, settings[name]) for name in _UPLOADS if settings.get(name) is not None]
    for field, upload_id in named:
        faults += _absent(field, lambda upload_id=upload_id: workspace.uploads.get(upload_id))
    for path in settings.get("sources", ()):
        if not Path(path).exists():
            faults.append(f"sources: there is no {path}")
    for name in model_names(kind, settings):
        field = _MODEL_FIELDS.get(kind, "bases")
        faults += _absent(field, lambda name=name: _find_model(workspace, kind, name, ids_only))
    return faults


def _absent(field: str, look: Any) -> list[str]:
    try:
        look()
    except (NotFoundError, BundleError, ModelError) as error:
        return [f"{field}: {error.message}"]
    return []


def _find_model(workspace: Workspace, kind: str, name: str, ids_only: bool) -> None:
    from llm4top.forecasters.bundles.paths import resolve_bundle
    from llm4top.forecasters.model.model_files import resolve_base

    place = base_place(workspace, name) if kind == "train" else model_place(workspace, name)
    if place != name or name == EMBEDDED:
        return
    if ids_only and Path(name).expanduser().exists():
        raise ModelError(f"{name!r:.80} is a path; name a model or the id of a bundle.")
    if kind != "train":
        try:
            resolve_bundle(name)
        except BundleError:
            pass
        else:
            return
    resolve_base(name)


def keep_bundle(workspace: Workspace, folder: Path) -> WorkspaceBundle:
    """Bring a trained bundle into the workspace, under its own name or one like it.

    One that is there already, from an attempt that was cut short behind it, stays as it is.
    """
    from llm4top.forecasters.bundles.verify import verify_bundle

    manifest = verify_bundle(folder).manifest
    there = list(workspace.bundles.list())
    for bundle in there:
        if bundle.identity == manifest.identity:
            return bundle
    taken = {bundle.name for bundle in there}
    stem = manifest.name[:60]
    others = (f"{stem}-{number}" for number in count(2))
    free = next(name for name in (manifest.name, *islice(others, len(taken))) if name not in taken)
    return workspace.bundles.add(folder, name=free)


def keep_forecasts(
    workspace: Workspace, run: Run, items: Iterable[Forecast], left_out: Iterable[Refusal]
) -> None:
    """A row for each forecast of a run, in a batch that bears the run's id; earlier ones go."""
    workspace.batches.clear(run.id)
    workspace.batches.open(run.title, run_id=run.id, batch=run.id)
    workspace.forecasts.add(None, items, run_id=run.id, batch=run.id)
    workspace.batches.leave_out(run.id, left_out)
