"""Forecasts in the workspace: kept as they are made, brought back, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm4top.errors import NotFoundError
from llm4top.studio._components._parts import things
from llm4top.workspace._forecast_result import ForecastItem
from llm4top.workspace._jobs import discard, submit
from llm4top.workspace._parsing import Refusal

if TYPE_CHECKING:
    from llm4top.workspace import Workspace
    from llm4top.workspace._forecast_request import UploadedFile

SHOWN = 10
"""How many earlier forecasts are listed."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where forecasts lie: the batch of a page, or the run that made them. One of the two."""

    batch: str | None = None
    run: str | None = None

    @property
    def address(self) -> str:
        """The page that shows them."""
        return f"/?run={self.run}" if self.run else f"/?batch={self.batch}"

    def delete(self, workspace: Workspace, who: str) -> None:
        """Delete them for good, and the uploads of their run."""
        if self.run is not None:
            discard(workspace, self.run)
        elif self.batch is not None:
            workspace.forecasts.delete(self.batch)
        workspace.activity.log("deleted", who, "forecasts")


def keep(
    workspace: Workspace, items: Sequence[ForecastItem], archive: Archive | None, who: str
) -> Archive:
    """Keep the forecasts, behind those of ``archive`` where it is a page's own."""
    before = None if archive is None else archive.batch
    batch = workspace.forecasts.add(None, items, batch=before)
    said = f"{things(len(items), 'trial')} with {items[0].forecast.bundle}"
    workspace.activity.log("forecast", who, said, subject=batch)
    return Archive(batch=batch)


def restore(
    workspace: Workspace, archive: Archive
) -> tuple[list[ForecastItem], list[Refusal], list[str]]:
    """Forecasts that were kept, the last said of each record, what was refused, and notes.

    Raises ``NotFoundError`` where there are none.
    """
    stored = workspace.forecasts.list(
        batch=archive.batch, run_id=archive.run, order="position", limit=None
    )
    newest = {f.values["source_sha256"]: ForecastItem.from_dict(f.values) for f in stored}
    refusals, notes = [], []
    if archive.run is not None:
        told = workspace.runs.get(archive.run).result
        refusals = [Refusal(**values) for values in told.get("refusals", ())]
        notes = [str(note) for note in told.get("notes", ())]
    if not newest and not refusals:
        raise NotFoundError(
            "these forecasts are not there any more.", hint="Make them again from the records."
        )
    return list(newest.values()), refusals, notes


def earlier(workspace: Workspace) -> list[tuple[str, str]]:
    """What was forecast before, the newest first: in words, and the page that shows it."""
    return [
        (
            f"{batch.created:%Y-%m-%d %H:%M} UTC: {things(batch.count, 'trial')}, {batch.bundle}",
            Archive(batch=None if batch.run_id else batch.id, run=batch.run_id).address,
        )
        for batch in workspace.forecasts.batches(limit=SHOWN)
    ]


def queue(workspace: Workspace, files: Sequence[UploadedFile], model: str, who: str) -> str:
    """Keep the files and queue a run that forecasts them; the run's id."""
    uploads = []
    for file in files:
        with file.path.open("rb") as stream:
            uploads.append(workspace.uploads.add(file.name, stream).id)
    title = f"Forecasts of {things(len(files), 'file')}"
    settings = {"uploads": uploads, "model": model}
    made = submit(workspace, "forecast", settings, title=title, ids_only=True)
    workspace.activity.log("queued", who, title, subject=made.id)
    return made.id
