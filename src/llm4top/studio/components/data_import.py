"""Importing data: files become uploads of the workspace, and a run makes a data set of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import run as work
from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.errors import ConfigError, LLM4TOPError, TaskError, UploadError
from llm4top.studio.components.drop_zone import drop_zone
from llm4top.studio.components.elements import Words, choice, error_box, things
from llm4top.studio.components.run_watch import watch_run
from llm4top.studio.components.temp_files import kept
from llm4top.workspace.jobs.resolve import uploads_of

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.serving.request import UploadedFile
    from llm4top.workspace.workspace import Workspace

_NAMED = 3


@dataclass(frozen=True, slots=True)
class DroppedFiles:
    """The files of one data set; TOP's tables are among the records."""

    records: tuple[UploadedFile, ...]
    labels: UploadedFile | None
    task: UploadedFile | None


def sort_files(files: Sequence[UploadedFile]) -> DroppedFiles:
    """Tell the files apart by their names.

    Raises ``UploadError`` where they make no data set, ``TaskError`` for a task file that is none.
    """
    from llm4top.data.sources import is_top_file

    tasks = [file for file in files if _ends(file, ".yaml", ".yml")]
    labels = [file for file in files if _ends(file, ".csv") and not is_top_file(file.name)]
    records = tuple(file for file in files if file not in tasks and file not in labels)
    if len(labels) > 1:
        raise UploadError(
            f"{things(len(labels), 'CSV file')} that are not TOP's: which holds the labels?",
            where=_named(labels),
            hint="Drop one CSV of labels with its records.",
        )
    if len(tasks) > 1:
        raise UploadError(
            f"{things(len(tasks), 'task file')}: a data set answers one question.",
            where=_named(tasks),
            hint="Drop one of them.",
        )
    if not records:
        alone = "a CSV of labels" if labels else "a task file"
        raise UploadError(
            f"{alone} alone is not a data set.",
            where=_named([*labels, *tasks]),
            hint="Drop it together with the records of its trials (XML, JSON or zip).",
        )
    if tasks:
        _check_task(tasks[0], labelled=bool(labels))
    return DroppedFiles(records, next(iter(labels), None), next(iter(tasks), None))


def _check_task(file: UploadedFile, *, labelled: bool) -> None:
    from llm4top.tasks.task_file import load_task

    try:
        load_task(file.path)
    except TaskError as error:
        # Where it lies for now says nothing to whoever brought it.
        raise TaskError(error.message, where=file.name, hint=error.hint) from None
    if not labelled:
        raise UploadError(
            "asks a question of its own, and its answers are missing.",
            where=file.name,
            hint="Drop a CSV of labels with it: a column nctid and one of labels.",
        )


def _ends(file: UploadedFile, *ends: str) -> bool:
    return file.name.lower().endswith(ends)


def _named(files: Sequence[UploadedFile]) -> str | None:
    return ", ".join(file.name for file in files[:_NAMED]) or None


SPLITS = {
    "": "The source's own, else by date",
    "own": "TOP's own",
    "time": "By start date",
    "random": "At random",
}
_SAID = {
    "": "TOP's files keep the split they came with. Registry records bring none: the oldest "
    "80\u00a0% are learnt from, the next 10\u00a0% validate, the newest 10\u00a0% test.",
    "own": "Each trial stays in the part that TOP's files put it in.",
    "time": "Learns from the older trials and is checked on the newer, as in use. Without dates: "
    "80, 10 and 10\u00a0% of the trials.",
    "random": "80, 10 and 10\u00a0% of the trials, whatever their year. Figures are optimistic: "
    "the model is checked on the years it has learnt from.",
}


class SplitChoice:
    """A select with what the choice means, and the fields that it needs."""

    def __init__(self) -> None:
        self._rule = ""
        with ui.element("div").classes("l4-controls"):
            choice("Split", SPLITS, "", self._choose)
            self._learn = _split_field("Learn from trials before (2010 or 2010-06-30)")
            self._validate = _split_field("Validate on those before; later ones test")
            self._seed = _split_field("Seed", value="0")
        self._said = Words("p", _SAID[""]).classes("l4-small l4-muted")
        self._choose("")

    def settings(self) -> dict[str, Any]:
        """What the run is asked: ``{}`` for the usual split. Raises ``UploadError``."""
        return split_settings(
            self._rule,
            learn_until=str(self._learn.value or ""),
            validate_until=str(self._validate.value or ""),
            seed=str(self._seed.value or ""),
        )

    def _choose(self, rule: str) -> None:
        self._rule = rule
        self._said.set_text(_SAID[rule])
        for field in (self._learn, self._validate):
            field.set_visibility(rule == "time")
        self._seed.set_visibility(rule == "random")


def split_settings(
    rule: str, *, learn_until: str = "", validate_until: str = "", seed: str = ""
) -> dict[str, Any]:
    """The setting ``split`` of an ingest run, as it was chosen; ``{}`` for the usual split.

    Raises ``UploadError`` for fields that contradict each other. Dates are checked with the rest
    of the settings.
    """
    if not rule:
        return {}
    made: dict[str, Any] = {"rule": rule}
    if rule == "time":
        learn, validate = learn_until.strip(), validate_until.strip()
        if validate and not learn:
            raise UploadError(
                "the trials to validate on begin nowhere.",
                where="Split",
                hint="Say too before which date to learn.",
            )
        if learn:
            made["valid_from"] = learn
        if validate:
            made["test_from"] = validate
    if rule == "random" and seed.strip():
        if not seed.strip().isdecimal():
            raise UploadError("the seed is a whole number.", where="Split", hint="Such as 0.")
        made["seed"] = int(seed.strip())
    return {"split": made}


def _split_field(label: str, value: str = "") -> ui.input:
    return ui.input(label, value=value).props("outlined dense maxlength=20").classes("l4-field")


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
    from llm4top.workspace.jobs.jobs import submit

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
