"""Where commands read and write: files, "-" for standard input, standard output and error.

A file of forecasts that is being written has ".partial" after its name and is kept when the call
is interrupted; ``kept_rows`` reads what it holds, so that a later call can continue it. Standard
output may have an old encoding, a reader that goes away, or a full disk.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO

from llm4top.cli.console import note
from llm4top.cli.exit_codes import BROKEN_PIPE, IN_PART, sentence_of
from llm4top.errors import WorkspaceError
from llm4top.text import counted, printable

if TYPE_CHECKING:
    from llm4top.registry.reader import RecordReader
    from llm4top.registry.trial import Record

STANDARD_INPUT = Path("-")
_NAME = "stdin"


class Records(Iterator["Record"]):
    """Records of paths, with refusals on standard error; ``refused`` counts them."""

    def __init__(self, reader: RecordReader, paths: Sequence[Path], copy: str | None):
        self._reader = reader
        self._paths = paths
        self._copy = copy

    def __next__(self) -> Record:
        record = next(self._reader)
        if self._copy is None or record.source.file != self._copy:
            return record
        return replace(record, source=replace(record.source, file=_NAME))

    @property
    def read(self) -> int:
        """How many records were read so far."""
        return self._reader.summary.read

    @property
    def refused(self) -> int:
        """How many records were refused so far."""
        return self._reader.summary.skipped

    def explain_nothing(self) -> None:
        """Note why there was nothing, where nothing was refused either."""
        names = ", ".join(_NAME if path == STANDARD_INPUT else str(path) for path in self._paths)
        note(
            f"There is no record in {printable(names)}: it is empty. Folders are read with their "
            "subfolders; hidden files are skipped."
        )


@contextmanager
def opened(paths: Sequence[Path], *, again: bool = False) -> Iterator[Records]:
    """The records of ``paths``; "-" is standard input, copied to a file while it is read.

    Where they are read ``again``, what is refused was named before.

    Raises what ``read_records`` raises.
    """
    from llm4top.registry.reader import read_records

    if STANDARD_INPUT not in paths:
        refuse = None if again else _noting("Refused")
        reader = read_records(paths, on_refusal=refuse, on_note=None if again else _noting("Note"))
        yield Records(reader, paths, None)
        return
    with tempfile.TemporaryDirectory(prefix="llm4top-") as folder:
        copy = Path(folder) / _NAME
        if sys.stdin.isatty():
            note("Reading a record from the terminal; end it with Ctrl-D.")
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        files = [copy if path == STANDARD_INPUT else path for path in paths]
        refuse, remark = _noting("Refused", str(copy)), _noting("Note", str(copy))
        reader = read_records(files, on_refusal=refuse, on_note=remark)
        yield Records(reader, paths, str(copy))


def _noting(word: str, copy: str | None = None) -> Callable[[object], None]:
    """Notes a refusal or a remark on standard error, under the name that the user gave."""

    def write(remark: object) -> None:
        text = str(remark) if copy is None else str(remark).replace(copy, _NAME)
        note(f"{word}: {printable(text)}")

    return write


def expected(path: Path) -> str:
    """How many records are to be expected of a file or folder: "29 records", or "several"."""
    from llm4top.registry.input_files import expected_records

    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    counts = [expected_records(file) for file in files]
    known = [count for count in counts if count is not None]
    return counted(sum(known), "record") if len(known) == len(counts) else "several records"


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
    adapted_to: str | None
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
            float(base) if (base := row["target_rate"] or row["base_rate"]) else None,
            row["adapted_to"] or None,
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
            None if apart else row["target_rate"] or row["base_rate"],
            None if apart else row["adapted_to"],
            lines.end,
        )


_PLAIN = {
    "\N{THIN SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{NO-BREAK SPACE}": " ",
    "…": "...",
    "→": "->",
    "✓": "ok",
    "○": "-",
    "✗": "X",
    "✂": "-",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "≤": "<=",
    "≥": ">=",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "•": "-",
}
"""What is written where the terminal's encoding lacks a character; "?" for any other."""


def _as_plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), error.end


def adapt_streams() -> None:
    """Let standard output and error take any text, whatever the terminal's encoding."""
    codecs.register_error("llm4top.plain", _as_plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not is_unicode(stream):
            stream.reconfigure(errors="llm4top.plain")


def is_unicode(stream: object) -> bool:
    """Whether a stream takes every character."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")


def silence() -> None:
    """Send to nowhere what is still to be written: the interpreter flushes once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError):
            continue  # a stream without a file has nothing that could break


def flush() -> int | None:
    """Write out what is buffered; the exit code where that fails, else None."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
        return BROKEN_PIPE
    except OSError as error:
        print(f"Error: standard output: {sentence_of(error)}", file=sys.stderr)
        silence()
        return IN_PART
    return None


def broke(end: BaseException) -> bool:
    """Whether the reader of a pipe is gone: rich ends the program in its own way then."""
    return isinstance(end, BrokenPipeError) or isinstance(end.__context__, BrokenPipeError)
