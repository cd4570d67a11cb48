"""Labels from a CSV of a user's own: one row a trial, joined by NCT id."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from llm4top.errors import DatasetError, TaskError
from llm4top.tasks import Task

_ID_COLUMNS = ("nctid", "nct_id")
_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class LabelFile:
    """Labels by NCT id; ``conflicting`` are ids with two labels, ``empty`` rows without one."""

    labels: dict[str, str]
    conflicting: frozenset[str]
    empty: int
    rows: int


def read_label_file(path: Path, task: Task, *, column: str = "label") -> LabelFile:
    """Read a CSV with the columns ``nctid`` and ``column``; others are passed over.

    A label is one of the task's labels, 0 or 1 for a binary task, or for an ordinal task a
    number, which goes into its bin. The same label may stand several times.

    Raises ``DatasetError`` where the file or a column is missing, or labels are none of these;
    it names the first ones by line.
    """
    values = read_columns(path, (column,))
    labels: dict[str, str] = {}
    conflicting: set[str] = set()
    faults: list[str] = []
    empty = 0
    for line, nct_id, (text,) in values:
        if not text:
            empty += 1
            continue
        try:
            label = label_from_text(task, text)
        except TaskError:
            faults.append(f"line {line}: {text!r}")
            continue
        if labels.setdefault(nct_id, label) != label:
            conflicting.add(nct_id)
    if faults:
        named = ", ".join(faults[:_NAMED_AT_MOST])
        more = f" and {len(faults) - _NAMED_AT_MOST} more" if len(faults) > _NAMED_AT_MOST else ""
        raise DatasetError(
            f"{len(faults)} labels are no labels of task {task.name!r}: {named}{more}.",
            where=f"{path}, column {column!r}",
            hint=f"Its labels are: {', '.join(task.labels)}.",
        )
    for nct_id in conflicting:
        del labels[nct_id]
    return LabelFile(labels, frozenset(conflicting), empty, len(values))


def label_from_text(task: Task, text: str) -> str:
    """The label of ``task`` that ``text`` means; ``TaskError`` where it means none."""
    if text in task.labels:
        return text
    try:
        number = float(text)
    except ValueError:
        return task.labels[task.label_index(text)]
    if task.kind == "ordinal":
        return task.label_of_value(number)
    if task.kind == "binary" and number in (0.0, 1.0):
        return task.labels[int(number)]
    return task.labels[task.label_index(text)]


def read_columns(path: Path, columns: tuple[str, ...]) -> list[tuple[int, str, tuple[str, ...]]]:
    """Line, NCT id and the stripped cells of ``columns`` of each row of a CSV file.

    Raises ``DatasetError`` where the file is missing, broken or without those columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = list(reader.fieldnames or ())
            id_column = next((name for name in header if name.strip().lower() in _ID_COLUMNS), None)
            missing = [name for name in columns if name not in header]
            if id_column is None:
                missing.insert(0, "nctid")
            if id_column is None or missing:
                raise DatasetError(
                    f"has no column {', '.join(missing)}.",
                    where=str(path),
                    hint=f"Its columns are: {', '.join(header[:20]) or 'none'}.",
                )
            return [
                (
                    reader.line_num,
                    (row[id_column] or "").strip().upper(),
                    tuple((row[name] or "").strip() for name in columns),
                )
                for row in reader
            ]
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror or error}.",
            where=str(path),
            hint="Check the path and its permissions.",
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(
            f"is no CSV file in UTF-8: {error}.", where=str(path), hint="Save it as CSV again."
        ) from error
