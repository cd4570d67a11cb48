"""Where forecasts are written: standard output, or a file that keeps finished forecasts.

A file that is being written has ".partial" after its name and is kept when the call is
interrupted; ``kept_rows`` reads what it holds, so that a later call can continue it.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

from llm4top.cli.console import note
from llm4top.errors import WorkspaceError
from llm4top.text import counted

PARTIAL = ".partial"


@dataclass(slots=True)
class Target:
    """A stream for forecasts; ``done`` counts those in it, ``part`` is its file, if it is one."""

    stream: TextIO
    part: Path | None = None
    done: int = 0
    resumable: bool = False

    def cut_to(self, size: int) -> None:
        """Keep the first ``size`` bytes of the part and write behind them."""
        self.stream.seek(size)
        self.stream.truncate()


@contextmanager
def written(out: Path | None, *, resume: bool, resumable: bool) -> Iterator[Target]:
    """Standard output, or a part of ``out`` that becomes ``out`` when all is done.

    ``resume`` opens the part that an earlier call has left. An interrupted call leaves the part,
    unless it is empty; ``resumable`` says whether a later call can continue it.
    """
    if out is None:
        try:
            yield Target(sys.stdout)
        except OSError as error:
            error.filename = error.filename or "standard output"
            raise
        return
    part = out.with_name(out.name + PARTIAL)
    if part.exists() and not resume:
        raise WorkspaceError(
            "exists from an interrupted call.",
            where=str(part),
            hint="Continue it with --resume, or remove it to start again.",
        )
    if out.is_dir():
        raise WorkspaceError("is a folder.", where=str(out), hint="Give the name of a file.")
    resumed = part.exists()
    stream = part.open("r+" if resumed else "w", encoding="utf-8", newline="")
    target = Target(stream, part, resumable=resumable)
    try:
        yield target
        stream.close()
    except BaseException as error:
        _close(stream)
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(part)
        _keep(target, resumed)
        raise
    part.replace(out)


def _close(stream: IO[str]) -> None:
    try:
        stream.close()
    except OSError:
        return  # the disk is as full as it was; what was flushed before is in the file


def _keep(target: Target, resumed: bool) -> None:
    """Note where the finished forecasts are; remove a file without any."""
    assert target.part is not None
    if not target.done and not resumed:
        target.part.unlink(missing_ok=True)
        return
    how = " Continue with the same command and --resume." if target.resumable else ""
    note(f"{counted(target.done, 'forecast')} kept in {target.part}.{how}")


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A record that a part holds: a forecast, or (without a bundle) that none applies.

    ``end`` is the size of the part up to and with this row.
    """

    record: str
    nct_id: str | None
    bundle: str | None
    probability: float
    base_rate: float | None
    end: int


class _Lines(Iterator[str]):
    """A part's whole lines; ``end`` is where the last one that was taken ends."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.end = 0

    def __next__(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise StopIteration
        self.end += len(line)
        return line.decode("utf-8", "replace")


def kept_rows(part: Path, form: str, columns: tuple[str, ...]) -> Iterator[KeptRow]:
    """The rows of a part in format "csv" or "jsonl", without a last one that is incomplete.

    Raises ``WorkspaceError`` for a file that is not such a part.
    """
    with part.open("rb") as file:
        lines = _Lines(file)
        try:
            yield from _csv_rows(lines, columns) if form == "csv" else _json_rows(lines)
        except (csv.Error, ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"is not a part of forecasts as {form} from this version.",
                where=str(part),
                hint="Remove it and run the command without --resume.",
            ) from error


def _csv_rows(lines: _Lines, columns: tuple[str, ...]) -> Iterator[KeptRow]:
    reader = csv.reader(lines, strict=True)
    heading = next(reader, None)
    if heading is not None and tuple(heading) != columns:
        raise ValueError("other columns")
    for cells in reader:
        row = dict(zip(columns, cells, strict=True))
        yield KeptRow(
            row["record"],
            row["nct_id"] or None,
            row["bundle"] or None,
            float(row["probability"] or 0),
            float(row["base_rate"]) if row["base_rate"] else None,
            lines.end,
        )


def _json_rows(lines: _Lines) -> Iterator[KeptRow]:
    for line in lines:
        row = json.loads(line)
        apart = row["status"] != "forecast"
        yield KeptRow(
            row["record"],
            row["nct_id"],
            None if apart else row["bundle"],
            0.0 if apart else float(row["probability"]),
            None if apart else row["base_rate"],
            lines.end,
        )
