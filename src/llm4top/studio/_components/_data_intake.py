"""Bringing data in: files become uploads of the workspace, and a run makes a data set of them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import run as work
from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.errors import LLM4TOPError, UploadError
from llm4top.studio._components._drop import drop_zone
from llm4top.studio._components._parts import choice, things
from llm4top.studio._components._stash import kept
from llm4top.studio._pieces import Words, error_box

if TYPE_CHECKING:
    from llm4top.studio._context import StudioContext
    from llm4top.workspace import Workspace
    from llm4top.workspace._forecast_request import UploadedFile

MAX_FILES = 1000
MAX_BYTES = 4_000_000_000

QUESTIONS = {"outcome": "Will it succeed?", "completion": "Will it be completed?"}
_TOP_FILE = re.compile(r"phase_(I|II|III)_(train|valid|test)\.csv|titles_and_dates\.csv")


class Intake:
    """The form of one visitor: files, a name, a question, and the button that makes a data set."""

    def __init__(self, context: StudioContext, on_queued: Callable[[str], Awaitable[None]]):
        self._context = context
        self._who = context.who()
        self._on_queued = on_queued
        self._question = "outcome"
        self._said = "Trials"
        self._column = "label"
        self._busy = False
        self._form()
        self._status = ui.element("div").props('role="status" aria-live="polite"')

    def _form(self) -> None:
        with ui.element("div").classes("l4-controls"):
            name = ui.input("Name", value=self._said).props("outlined dense maxlength=120")
            name.on_value_change(lambda event: setattr(self, "_said", str(event.value or "")))
            choice("Question", QUESTIONS, self._question, lambda v: setattr(self, "_question", v))
            column = ui.input("Column of the labels", value=self._column)
            column.props("outlined dense maxlength=120")
            column.on_value_change(lambda event: setattr(self, "_column", str(event.value or "")))
        with ui.element("div").classes("l4-intake"):
            drop_zone(
                "Drop the files of one data set together: TOP's CSV files, or ClinicalTrials.gov "
                "records (XML, JSON, zip) with a CSV of labels",
                label="Choose the files of a data set",
                max_bytes=MAX_BYTES,
                max_files=MAX_FILES,
                on_files=self._take,
            )
        Words(
            "p",
            "A CSV of labels has a column nctid and one of labels. Whether a trial was completed "
            "is read off its record; that question needs no labels.",
        ).classes("l4-small l4-muted")

    async def _take(self, uploads: Sequence[FileUpload]) -> None:
        if self._busy:
            ui.notify("Files are being brought in. Wait for them.", type="warning")
            return
        self._busy = True
        self._status.clear()
        with self._status:
            Words("p", f"Bringing in {things(len(uploads), 'file')} …")
        asked = {
            "name": self._said.strip() or "Trials",
            "task": self._question,
            "label_column": self._column.strip() or "label",
        }
        try:
            async with kept(uploads) as stored:
                made = await work.io_bound(
                    queue_ingest, self._context.workspace, stored, asked, self._who
                )
        except LLM4TOPError as error:
            self._status.clear()
            with self._status:
                error_box(error)
        else:
            self._status.clear()
            if made is not None:
                await self._on_queued(made)
        finally:
            self._busy = False


def queue_ingest(
    workspace: Workspace, files: Sequence[UploadedFile], asked: dict[str, Any], who: str
) -> str:
    """Keep the files and queue the run that makes a data set of them; the run's id.

    A CSV that bears none of TOP's names is taken for the labels of the records beside it.
    Raises ``UploadError`` where the files make no data set; then none of them is kept.
    """
    from llm4top.workspace._jobs import submit

    labels = [f for f in files if f.name.lower().endswith(".csv") and not _is_top(f)]
    records = [file for file in files if file not in labels]
    if len(labels) > 1:
        raise UploadError(
            f"{things(len(labels), 'CSV file')} that are not TOP's: which holds the labels?",
            where=", ".join(file.name for file in labels[:3]),
            hint="Bring one CSV of labels with its records.",
        )
    if not records:
        raise UploadError(
            "a CSV of labels alone makes no data set.",
            where=labels[0].name if labels else None,
            hint="Bring it together with the records of its trials (XML, JSON or zip).",
        )
    ids: list[str] = []
    try:
        settings = {k: v for k, v in asked.items() if labels or k != "label_column"}
        settings["uploads"] = [_keep(workspace, file, ids) for file in records]
        if labels:
            settings["labels_upload"] = _keep(workspace, labels[0], ids)
        title = f"Data set {asked['name']}"
        made = submit(workspace, "ingest", settings, title=title, ids_only=True)
    except LLM4TOPError:
        for upload_id in ids:
            workspace.uploads.delete(upload_id)
        raise
    workspace.activity.log("queued", who, title, subject=made.id)
    return made.id


def delete_dataset(workspace: Workspace, dataset_id: str, who: str) -> None:
    """Delete a data set for good, with the uploads it was made from.

    Raises ``NotFoundError`` where there is none.
    """
    name = workspace.datasets.get(dataset_id).name
    workspace.datasets.delete(dataset_id)
    there = {upload.id for upload in workspace.uploads.list(limit=None)}
    for made in workspace.runs.list(kind="ingest", states=("done",), limit=None):
        if made.result.get("dataset_id") == dataset_id:
            used = {*made.settings.get("uploads", ()), made.settings.get("labels_upload")}
            for upload_id in used & there:
                workspace.uploads.delete(upload_id)
    workspace.activity.log("deleted", who, f"data set {name}")


def _is_top(file: UploadedFile) -> bool:
    return _TOP_FILE.fullmatch(file.name) is not None


def _keep(workspace: Workspace, file: UploadedFile, ids: list[str]) -> str:
    with file.path.open("rb") as stream:
        ids.append(workspace.uploads.add(file.name, stream).id)
    return ids[-1]
