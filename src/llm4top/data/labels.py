"""Labels from a user's CSV: one row per trial, joined by NCT id."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from pathlib import Path

from llm4top.errors import DatasetError, TaskError
from llm4top.registry.detect import EMPTY, PLAIN_TEXT, Foreign, delimiter_of, file_kind
from llm4top.registry.input_files import document_in
from llm4top.registry.limits import Limits
from llm4top.registry.top_csv import column_name
from llm4top.registry.zip_reader import Archive
from llm4top.tasks.builtin import label_of_text, labels_of
from llm4top.tasks.task import Task
from llm4top.text import thousands

_ID = "nctid"
_NAMED_AT_MOST = 5
_SAVE_AS_CSV = "Save it as CSV in UTF-8, with the columns nctid and label."


@dataclass(frozen=True, slots=True)
class LabelFile:
    """Labels by NCT id.

    ``conflicts`` are ids with different labels, which have none, each with the lines it is on;
    ``empty`` counts the rows without a label.
    """

    labels: dict[str, str]
    conflicts: Mapping[str, Sequence[int]]
    empty: int
    rows: int

    @property
    def conflicts_named(self) -> str:
        """The first conflicts in words."""
        count = len(self.conflicts)
        trials = "1 trial has" if count == 1 else f"{thousands(count)} trials have"
        named = "; ".join(
            f"{nct_id} (lines {', '.join(map(str, lines[:_NAMED_AT_MOST]))})"
            for nct_id, lines in list(self.conflicts.items())[:_NAMED_AT_MOST]
        )
        more = f" and {thousands(count - _NAMED_AT_MOST)} more" if count > _NAMED_AT_MOST else ""
        return f"{trials} two different labels and no label therefore: {named}{more}."


def read_label_file(path: Path, task: Task, *, column: str = "label") -> LabelFile:
    """Read a CSV with a column of NCT ids and ``column``; others are passed over.

    The cells may be separated by commas, semicolons or tabs, and the ids' column may be called
    nctid, nct_id, NCT Number or the like. A label is one of the task's labels in any case; 0 or 1,
    no or yes, false or true for a binary task; for an ordinal task a number, which goes into its
    bin. The same label may appear several times.

    Raises ``DatasetError`` where the file or a column is missing, a column appears twice, a row
    has more or fewer cells than the header, or labels are none of these; it names the first ones
    by line.
    """
    labels: dict[str, str] = {}
    lines: dict[str, list[int]] = {}
    conflicting: set[str] = set()
    faults: list[str] = []
    empty = rows = 0
    for line, nct_id, (text,) in read_columns(path, (column,)):
        rows += 1
        if not text:
            empty += 1
            continue
        try:
            label = label_of_text(task, text)
        except TaskError:
            faults.append(f"line {line}: {text!r}")
            continue
        lines.setdefault(nct_id, []).append(line)
        if labels.setdefault(nct_id, label) != label:
            conflicting.add(nct_id)
    if faults:
        count = "1 label is" if len(faults) == 1 else f"{thousands(len(faults))} labels are"
        raise DatasetError(
            f"{count} not of task {task.name!r}: {_first(faults)}.",
            where=f"{path}, column {column!r}",
            hint=f"{labels_of(task)}.",
        )
    for nct_id in conflicting:
        del labels[nct_id]
    conflicts = {nct_id: found for nct_id, found in lines.items() if nct_id in conflicting}
    return LabelFile(labels, conflicts, empty, rows)


def read_columns(path: Path, columns: tuple[str, ...]) -> list[tuple[int, str, tuple[str, ...]]]:
    """Line, NCT id and the stripped cells of ``columns`` of each row of a CSV file.

    Raises ``DatasetError`` where the file is missing, broken, something else than a CSV, or
    without those columns, and for a row with more or fewer cells than the header.
    """
    try:
        _check_kind(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_rows(file.read(), path, columns))
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror or error}.",
            where=str(path),
            hint="Check the path and its permissions.",
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(
            f"is not a CSV file in UTF-8: {error}.", where=str(path), hint="Save it as CSV again."
        ) from error


def _check_kind(path: Path) -> None:
    """Name a file that is something else than a table of text."""
    with path.open("rb") as file:
        found = file_kind(file)
        if found == "zip":
            found = document_in(Archive(file, str(path), Limits())) or found
    if isinstance(found, Foreign) and found not in (PLAIN_TEXT, EMPTY) and not found.columns:
        raise DatasetError(found.what, where=str(path), hint=_SAVE_AS_CSV)
    if found in ("zip", "xml", "json"):
        raise DatasetError(
            f"is not a CSV file but {found.upper()}.", where=str(path), hint=_SAVE_AS_CSV
        )


def _rows(
    text: str, path: Path, columns: tuple[str, ...]
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    lines = StringIO(text, newline="")
    first, skipped = lines.readline(), 0
    if first.lower().startswith("sep="):  # Excel's own
        first, skipped = lines.readline(), 1
    reader = csv.reader(chain([first], lines), delimiter=delimiter_of(first), strict=True)
    header = [cell.strip() for cell in next(reader, [])]
    places = [_place(header, name, path) for name in (_ID, *columns)]
    if None in places:
        missing = [n for n, p in zip((_ID, *columns), places, strict=True) if p is None]
        raise DatasetError(
            f"has no column {', '.join(missing)}.",
            where=str(path),
            hint=f"Its columns are: {', '.join(header[:20]) or 'none'}. A column of labels with "
            "another name is chosen by --label-column.",
        )
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        line = reader.line_num + skipped
        if len(row) != len(header):
            raise DatasetError(
                f"line {line} has {len(row)} cells, the header {len(header)}.",
                where=str(path),
                hint="Save it as CSV again; a quotation mark or separator may be missing.",
            )
        nct_id, *cells = (row[place or 0].strip() for place in places)
        yield line, nct_id.upper(), tuple(cells)


def _place(header: list[str], name: str, path: Path) -> int | None:
    """Where a column is: the one of this very name, or of one in another spelling."""
    for spelled in (header, [column_name(cell) for cell in header]):
        found = [place for place, cell in enumerate(spelled) if cell == name]
        if len(found) > 1:
            raise DatasetError(
                f"the column {name} appears twice.",
                where=str(path),
                hint="Delete the one that is not to be read, or give it another name.",
            )
        if found:
            return found[0]
    return None


def _first(faults: list[str]) -> str:
    more = len(faults) - _NAMED_AT_MOST
    return ", ".join(faults[:_NAMED_AT_MOST]) + (f" and {thousands(more)} more" if more > 0 else "")
