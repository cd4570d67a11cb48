"""Forecasts in the workspace as the Forecast page uses them: earlier ones, runs, deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm4top.errors import NotFoundError
from llm4top.studio._components._list_state import ListState
from llm4top.studio._components._parts import things
from llm4top.workspace._jobs import discard, submit
from llm4top.workspace._kept_records import delete_batch, files_name
from llm4top.workspace._listing import Listing
from llm4top.workspace._parsing import Refusal

if TYPE_CHECKING:
    from llm4top.workspace import Batch, Workspace
    from llm4top.workspace._forecast_request import UploadedFile


def address_of(batch: Batch) -> str:
    """The page that shows a batch."""
    state = ListState(run=batch.run_id) if batch.run_id else ListState(batch=batch.id)
    return state.address


def described(batch: Batch) -> str:
    """When a batch was made, by which model, and how much it holds."""
    said = [f"{batch.created:%Y-%m-%d %H:%M} UTC", things(batch.count, "trial")]
    if batch.left_out:
        said.append(f"{batch.left_out} without a forecast")
    return " · ".join(said)


def restore(workspace: Workspace, state: ListState) -> Listing:
    """A batch that was kept. Raises ``NotFoundError`` where there is none."""
    try:
        listing = Listing.read(workspace, state.id)
    except NotFoundError:
        raise NotFoundError(
            "these forecasts do not exist any more.", hint="Make them again from the records."
        ) from None
    if state.run and not listing.refusals and not listing.not_asked:
        # A run of an earlier version has its first refusals only in its result.
        told = workspace.runs.get(state.run).result.get("refusals", ())
        listing.refusals += [Refusal(**values) for values in told]
    return listing


def remove(workspace: Workspace, state: ListState, who: str) -> None:
    """Delete a batch for good, with the records that it was made from; gone already is as good."""
    try:
        if state.run:
            discard(workspace, state.run)
        else:
            delete_batch(workspace, state.batch)
    except NotFoundError:
        return
    workspace.activity.log("deleted", who, "forecasts")


def queue(workspace: Workspace, files: Sequence[UploadedFile], model: str, who: str) -> str:
    """Keep the files and queue a run that forecasts them; the run's id."""
    uploads = []
    for file in files:
        if file.upload_id is not None:
            uploads.append(file.upload_id)
            continue
        with file.path.open("rb") as stream:
            uploads.append(workspace.uploads.add(file.name, stream).id)
    title = f"Forecasts of {files_name([file.name for file in files])}"[:200]
    settings = {"uploads": uploads, "model": model}
    made = submit(workspace, "forecast", settings, title=title, ids_only=True)
    workspace.activity.log("queued", who, title, subject=made.id)
    return made.id
