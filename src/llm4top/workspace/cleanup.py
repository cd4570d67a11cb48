"""Deleting runs, forecasts and data sets, each with the uploads that nothing else needs.

An upload is deleted here: when the last run, forecast or data set made from it goes.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress

from llm4top.errors import NotFoundError
from llm4top.workspace.jobs.resolve import uploads_of
from llm4top.workspace.kept_records import uploads_behind
from llm4top.workspace.serving.request import ForecastResult
from llm4top.workspace.uploads import Upload
from llm4top.workspace.workspace import Workspace


def delete_run(workspace: Workspace, run_id: str) -> None:
    """Delete a finished run for good: events, files, forecasts, and uploads of no other run.

    Data sets and bundles that it made stay.

    Raises:
        NotFoundError: There is no such run.
        JobError: The run is waiting or running.
    """
    uploads = uploads_of(workspace.runs.get(run_id).settings)
    workspace.runs.delete(run_id)
    _delete_uploads(workspace, uploads - _used_by_runs(workspace, uploads))


def delete_batch(workspace: Workspace, batch: str) -> None:
    """Delete a batch of forecasts with the files that no other forecast or run was made from.

    Raises ``NotFoundError`` where there is none.
    """
    uploads = {upload.id for upload in uploads_behind(workspace, batch)}
    workspace.batches.delete(batch)
    unused = uploads - _used_by_runs(workspace, uploads)
    _delete_uploads(workspace, [u for u in unused if not workspace.forecasts.count(upload_id=u)])


def delete_forecasts(workspace: Workspace, batch: str, who: str) -> None:
    """Delete a page of forecasts, whether a run or a request made it; log who did it.

    A batch that is gone already is no error.
    """
    try:
        run_id = workspace.batches.get(batch).run_id
        if run_id is None:
            delete_batch(workspace, batch)
        else:
            delete_run(workspace, run_id)
    except NotFoundError:
        return
    workspace.activity.log("deleted", who, "forecasts")


def delete_dataset(workspace: Workspace, dataset_id: str, who: str) -> None:
    """Delete a data set for good, with the uploads it was made from; log who did it.

    Raises ``NotFoundError`` where there is none.
    """
    name = workspace.datasets.get(dataset_id).name
    workspace.datasets.delete(dataset_id)
    for run in workspace.runs.list(kind="ingest", states=("done",), limit=None):
        if run.result.get("dataset_id") == dataset_id:
            _delete_uploads(workspace, uploads_of(run.settings))
    workspace.activity.log("deleted", who, f"data set {name}")


def rename_dataset(workspace: Workspace, dataset_id: str, name: str, who: str) -> str:
    """Rename a data set and log who did it; its new name. Raises what ``Datasets.rename`` does."""
    before = workspace.datasets.get(dataset_id).name
    after = workspace.datasets.rename(dataset_id, name).name
    workspace.activity.log("renamed", who, f"data set {before} to {after}", subject=dataset_id)
    return after


def delete_unused(
    workspace: Workspace, uploads: Sequence[Upload], result: ForecastResult
) -> list[Upload]:
    """Delete the files of a request of which nothing was forecast; the others are returned."""
    used = set(result.files)
    _delete_uploads(workspace, [u.id for k, u in enumerate(uploads) if k not in used])
    return [upload for k, upload in enumerate(uploads) if k in used]


def _used_by_runs(workspace: Workspace, uploads: Collection[str]) -> set[str]:
    if not uploads:
        return set()
    return {u for run in workspace.runs.list(limit=None) for u in uploads_of(run.settings)}


def _delete_uploads(workspace: Workspace, uploads: Collection[str]) -> None:
    for upload_id in uploads:
        with suppress(NotFoundError):
            workspace.uploads.delete(upload_id)
