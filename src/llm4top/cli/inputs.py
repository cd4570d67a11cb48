"""The records that a command is given: paths, and "-" for standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.cli.console import note
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
def opened(paths: Sequence[Path]) -> Iterator[Records]:
    """The records of ``paths``; "-" is standard input, copied to a file while it is read.

    Raises what ``read_records`` raises.
    """
    from llm4top.registry.reader import read_records

    if STANDARD_INPUT not in paths:
        reader = read_records(paths, on_refusal=_noting("Refused"), on_note=_noting("Note"))
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
