"""What each of the dropped files is for: records, their labels, or the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm4top.errors import TaskError, UploadError
from llm4top.studio._components._parts import things

if TYPE_CHECKING:
    from llm4top.workspace._forecast_request import UploadedFile

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
    from llm4top.data._sources import is_top_file

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
    from llm4top.tasks import load_task

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
