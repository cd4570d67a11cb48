"""Dropped files become uploads, and a run that makes a data set or forecasts of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm4top.errors import LLM4TOPError, TaskError, UploadError
from llm4top.text import counted
from llm4top.workspace.jobs.jobs import submit
from llm4top.workspace.kept_records import files_name, stored_upload
from llm4top.workspace.run_states import Run
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.workspace import Workspace

_NAMED = 3
"""Files that an error names."""


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """The files of one data set; TOP's tables are among the records."""

    records: tuple[UploadedFile, ...]
    labels: UploadedFile | None
    task: UploadedFile | None


def sort_files(files: Sequence[UploadedFile]) -> DatasetFiles:
    """Tell records, labels and task file apart by their names.

    Raises:
        UploadError: Together they make no data set.
        TaskError: The task file is not one.
    """
    from llm4top.data.sources import is_top_file

    tasks = [file for file in files if _ends(file, ".yaml", ".yml")]
    labels = [file for file in files if _ends(file, ".csv") and not is_top_file(file.name)]
    records = tuple(file for file in files if file not in tasks and file not in labels)
    if len(labels) > 1:
        raise UploadError(
            f"{counted(len(labels), 'CSV file')} that are not TOP's: which holds the labels?",
            where=_named(labels),
            hint="Drop one CSV of labels with its records.",
        )
    if len(tasks) > 1:
        raise UploadError(
            f"{counted(len(tasks), 'task file')}: a data set answers one question.",
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
    return DatasetFiles(records, next(iter(labels), None), next(iter(tasks), None))


def queue_ingest(
    workspace: Workspace, files: Sequence[UploadedFile], settings: dict[str, Any], who: str
) -> Run:
    """Store the files and queue the run that makes a data set of them.

    Args:
        files: Records, and perhaps a CSV of labels and a task file. The task file takes the place
            of ``settings["task"]``.
        settings: Settings of the run, as ``IngestWork`` takes them; "name" is needed.
        who: Who is named in the activity log.

    Raises:
        UploadError: The files make no data set, or cannot be stored. None of them is kept.
        TaskError: The task file is not one. None of them is kept.
        ConfigError: The settings are wrong. None of the files is kept.
    """
    chosen = sort_files(files)
    stored: list[str] = []

    def store(file: UploadedFile) -> str:
        stored.append(stored_upload(workspace, file))
        return stored[-1]

    try:
        made = dict(settings) | {"uploads": [store(file) for file in chosen.records]}
        if chosen.labels is None:
            made.pop("label_column", None)
        else:
            made["labels_upload"] = store(chosen.labels)
        if chosen.task is not None:
            made.pop("task", None)
            made["task_upload"] = store(chosen.task)
        title = f"Data set {settings['name']}"
        run = submit(workspace, "ingest", made, title=title, ids_only=True)
    except LLM4TOPError:
        for upload_id in stored:
            workspace.uploads.delete(upload_id)
        raise
    workspace.activity.log("queued", who, title, subject=run.id)
    return run


def queue_forecasts(
    workspace: Workspace,
    files: Sequence[UploadedFile],
    model: str,
    who: str,
    *,
    base_rate: str | None = None,
) -> Run:
    """Store the files and queue a run that forecasts them with ``model``, a bundle's id.

    ``base_rate`` states the shares to adapt to, as ``target_rates`` reads them. Raises what
    ``submit`` raises, and ``UploadError`` for a file that cannot be stored.
    """
    uploads = [stored_upload(workspace, file) for file in files]
    title = f"Forecasts of {files_name([file.name for file in files])}"[:200]
    settings: dict[str, Any] = {"uploads": uploads, "model": model}
    settings |= {"base_rate": base_rate} if base_rate else {}
    run = submit(workspace, "forecast", settings, title=title, ids_only=True)
    workspace.activity.log("queued", who, title, subject=run.id)
    return run


def _check_task(file: UploadedFile, *, labelled: bool) -> None:
    from llm4top.tasks.task_file import load_task

    try:
        load_task(file.path)
    except TaskError as error:
        # The file's place on this machine means nothing to the person who dropped it.
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
