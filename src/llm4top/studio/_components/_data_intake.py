"""Importing data: files become uploads of the workspace, and a run makes a data set of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import run as work
from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.errors import ConfigError, LLM4TOPError, UploadError
from llm4top.studio._components._data_files import sort_files
from llm4top.studio._components._data_split import SplitChoice
from llm4top.studio._components._drop import drop_zone
from llm4top.studio._components._parts import choice, things
from llm4top.studio._components._run_watch import watch_run
from llm4top.studio._components._stash import kept
from llm4top.studio._pieces import Words, error_box
from llm4top.workspace._places import uploads_of

if TYPE_CHECKING:
    from llm4top.studio._context import StudioContext
    from llm4top.workspace import Run, Workspace
    from llm4top.workspace._forecast_request import UploadedFile

MAX_FILES = 1000
MAX_BYTES = 4_000_000_000

QUESTIONS = {"outcome": "Will it succeed?", "completion": "Will it be completed?"}


class Intake:
    """The form of one visitor: a name and files make a data set; the rest has defaults."""

    def __init__(self, context: StudioContext, on_done: Callable[[Run], Awaitable[None]]):
        self._context = context
        self._who = context.who()
        self._on_done = on_done
        self._question = "outcome"
        self._busy = False
        with ui.element("div").classes("l4-controls"):
            self._name = _field("Name", "Trials")
            choice("Question", QUESTIONS, self._question, lambda v: setattr(self, "_question", v))
            self._column = _field("Column of the labels", "label")
        with ui.element("div").classes("l4-intake"):
            drop_zone(
                "Drop the files of one data set together: TOP's CSV files or a zip of them, or "
                "ClinicalTrials.gov records (XML, JSON, zip) with a CSV of labels",
                label="Choose the files of a data set",
                max_bytes=MAX_BYTES,
                max_files=MAX_FILES,
                on_files=self._take,
                accept=".xml,.json,.zip,.csv,.yaml,.yml",
            )
        Words(
            "p",
            "A CSV of labels has a column nctid and one of labels. Whether a trial was completed "
            "is read from its record; that question needs no labels. For a question of your own, "
            "drop its task file (YAML) with the records and their labels.",
        ).classes("l4-small l4-muted")
        with ui.element("details"):
            Words("summary", "How to split the trials")
            with ui.element("div").classes("l4-stack l4-more"):
                self._more()
        self._status = ui.element("div")

    def _more(self) -> None:
        self._split = SplitChoice()

    def _asked(self) -> dict[str, Any]:
        return {
            "name": str(self._name.value or "").strip() or "Trials",
            "task": self._question,
            "label_column": str(self._column.value or "").strip() or "label",
            **self._split.settings(),
        }

    async def _take(self, uploads: Sequence[FileUpload]) -> None:
        if self._busy:
            ui.notify("Files are being imported. Please wait.", type="warning")
            return
        self._busy = True
        self._status.clear()
        with self._status:
            Words("p", f"Importing {things(len(uploads), 'file')} …").props('role="status"')
        try:
            asked = self._asked()
            async with kept(uploads) as stored:
                made = await work.io_bound(
                    queue_ingest, self._context.workspace, stored, asked, self._who
                )
        except LLM4TOPError as error:
            self._status.clear()
            with self._status:
                error_box(in_words(error))
        else:
            self._status.clear()
            if made is not None:
                with self._status:
                    watch_run(self._context, made, self._on_done, home="/data")
        finally:
            self._busy = False


def _field(label: str, value: str) -> ui.input:
    return ui.input(label, value=value).props("outlined dense maxlength=120").classes("l4-field")


def in_words(error: LLM4TOPError) -> LLM4TOPError:
    """The error; of wrong settings only the faults, which name the fields."""
    return UploadError(" ".join(error.faults)) if isinstance(error, ConfigError) else error


def queue_ingest(
    workspace: Workspace, files: Sequence[UploadedFile], asked: dict[str, Any], who: str
) -> str:
    """Keep the files and queue the run that makes a data set of them; the run's id.

    ``asked`` are settings of the run. A YAML file is the task, which goes before the question that
    was asked; a CSV that bears none of TOP's names holds the labels of the records beside it.
    Raises ``UploadError`` where the files make no data set, and ``TaskError`` for a task file that
    is none; then none of them is kept.
    """
    from llm4top.workspace._jobs import submit

    sorted_files = sort_files(files)
    ids: list[str] = []
    try:
        settings = dict(asked)
        settings["uploads"] = [_keep(workspace, file, ids) for file in sorted_files.records]
        if sorted_files.labels is None:
            settings.pop("label_column", None)
        else:
            settings["labels_upload"] = _keep(workspace, sorted_files.labels, ids)
        if sorted_files.task is not None:
            settings.pop("task", None)
            settings["task_upload"] = _keep(workspace, sorted_files.task, ids)
        title = f"Data set {asked['name']}"
        made = submit(workspace, "ingest", settings, title=title, ids_only=True)
    except LLM4TOPError:
        for upload_id in ids:
            workspace.uploads.delete(upload_id)
        raise
    workspace.activity.log("queued", who, title, subject=made.id)
    return made.id


def rename_dataset(workspace: Workspace, dataset_id: str, name: str, who: str) -> str:
    """Call a data set otherwise, and log it; its new name. Raises as ``Datasets.rename`` does."""
    before = workspace.datasets.get(dataset_id).name
    made = workspace.datasets.rename(dataset_id, name).name
    workspace.activity.log("renamed", who, f"data set {before} to {made}", subject=dataset_id)
    return made


def delete_dataset(workspace: Workspace, dataset_id: str, who: str) -> None:
    """Delete a data set for good, with the uploads it was made from.

    Raises ``NotFoundError`` where there is none.
    """
    name = workspace.datasets.get(dataset_id).name
    workspace.datasets.delete(dataset_id)
    there = {upload.id for upload in workspace.uploads.list(limit=None)}
    for made in workspace.runs.list(kind="ingest", states=("done",), limit=None):
        if made.result.get("dataset_id") == dataset_id:
            for upload_id in uploads_of(made.settings) & there:
                workspace.uploads.delete(upload_id)
    workspace.activity.log("deleted", who, f"data set {name}")


def _keep(workspace: Workspace, file: UploadedFile, ids: list[str]) -> str:
    with file.path.open("rb") as stream:
        ids.append(workspace.uploads.add(file.name, stream).id)
    return ids[-1]
