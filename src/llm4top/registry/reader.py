"""Read registry records from files, folders and archives, one at a time."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from llm4top.errors import LimitError, RegistryError, UnknownFormatError, UnsafeRecordError
from llm4top.registry import input_files
from llm4top.registry.api import read_study
from llm4top.registry.detect import HEAD, Foreign, file_kind, foreign_json, look
from llm4top.registry.json_cutter import Piece, Readable, cut
from llm4top.registry.json_pages import load
from llm4top.registry.limits import Limits, beyond
from llm4top.registry.top_csv import read_rows
from llm4top.registry.trial import NO_RECORD, ReadNote, Record
from llm4top.registry.xml_record import read_xml
from llm4top.registry.zip_reader import Archive, Member
from llm4top.text import thousands

PathLike = str | os.PathLike[str]
_Items = Iterator[Record | RegistryError | ReadNote]
_Part = TypeVar("_Part")

# How nearly every member begins.
_ROOT = b"<clinical_study"
_XML = (_ROOT, b"<?xml ")

_NCT_ID = re.compile(r"NCT\d{8}", re.ASCII | re.IGNORECASE)
RECORD_ADDRESS = "https://clinicaltrials.gov/api/v2/studies/{}?format=json"
"""Where the registry itself gives the record of an NCT id. Nothing here ever opens it."""

CHUNK = 500
"""Files or members that one process reads at a time where several share them."""

KEPT_REFUSALS = 100
"""How many refusals, and how many notes, a summary keeps whole; the rest are only counted."""


@dataclass(slots=True)
class ReadSummary:
    """What has been read so far.

    ``reasons`` counts the skipped by the name of their error class; ``refusals`` holds the first
    hundred errors themselves. ``noted`` counts the notes, of which ``notes`` holds the first
    hundred: what a person should know of a file although nothing is refused for it.
    """

    read: int = 0
    skipped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    refusals: list[RegistryError] = field(default_factory=list)
    noted: int = 0
    notes: list[ReadNote] = field(default_factory=list)

    def __str__(self) -> str:
        reasons = ", ".join(f"{thousands(n)} {name}" for name, n in self.reasons.most_common())
        return f"{thousands(self.read)} read, {thousands(self.skipped)} skipped" + (
            f" ({reasons})" if reasons else ""
        )


class RecordReader(Iterator[Record]):
    """An iterator of records; ``summary`` tells at any time what was read and what was skipped."""

    def __init__(
        self,
        items: _Items,
        on_refusal: Callable[[RegistryError], None] | None = None,
        on_note: Callable[[ReadNote], None] | None = None,
    ):
        self.summary = ReadSummary()
        self._items = items
        self._on_refusal = on_refusal
        self._on_note = on_note

    def __iter__(self) -> RecordReader:
        return self

    def __next__(self) -> Record:
        for item in self._items:
            if isinstance(item, Record):
                self.summary.read += 1
                return item
            if isinstance(item, ReadNote):
                self._note(item)
            else:
                self._refuse(item)
        raise StopIteration

    def _refuse(self, error: RegistryError) -> None:
        summary = self.summary
        summary.skipped += 1
        summary.reasons[type(error).__name__] += 1
        if len(summary.refusals) < KEPT_REFUSALS:
            summary.refusals.append(error)
        if self._on_refusal is not None:
            self._on_refusal(error)

    def _note(self, note: ReadNote) -> None:
        self.summary.noted += 1
        if len(self.summary.notes) < KEPT_REFUSALS:
            self.summary.notes.append(note)
        if self._on_note is not None:
            self._on_note(note)


def read_records(
    paths: PathLike | Iterable[PathLike],
    *,
    limits: Limits | None = None,
    on_refusal: Callable[[RegistryError], None] | None = None,
    on_note: Callable[[ReadNote], None] | None = None,
) -> RecordReader:
    """Read registry records: the legacy XML and v2 JSON of ClinicalTrials.gov, and TOP's CSV.

    The format is detected from the content. A record that cannot be read does not stop the
    others: its error is counted in the reader's ``summary`` and passed to ``on_refusal``. Bytes
    that belong to no record are an error too, so no text is skipped silently. Memory does not
    grow with the size of an archive or export.

    Args:
        paths: A file, a folder (read recursively) or a zip, or several of these.
        limits: Caps on the size of what is read; the defaults where None.
        on_refusal: Called with the error of each record that cannot be read.
        on_note: Called with remarks that cost no record: pages of a search that are missing,
            files that were passed over.

    Returns:
        An iterator of ``Record``, read as it is consumed. Its ``summary`` counts what was read
        and what was skipped.

    Raises:
        UnknownFormatError: A path does not exist or cannot be accessed.
    """
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [Path(path) for path in several]
    for path in found:
        if not _exists(path):
            if _NCT_ID.fullmatch(str(path)):
                raise UnknownFormatError(
                    "this is the id of a trial; LLM4TOP reads files and looks nothing up.",
                    file=str(path),
                    hint=f"Save its record first, from {RECORD_ADDRESS.format(str(path).upper())}, "
                    "and give that file.",
                )
            raise UnknownFormatError(
                "there is no such file or folder.",
                file=str(path),
                hint="Check the path; give a record's file, a folder of them, or a zip.",
            )
    return RecordReader(_all_items(found, limits or Limits()), on_refusal, on_note)


def shared_parts(path: PathLike, limits: Limits | None = None) -> int:
    """How many files of a folder, or members of a zip, several processes can share among them.

    0 for any other file, and for a zip that is refused as a whole.
    """
    whole = Path(path)
    if whole.is_dir():
        return sum(1 for _ in input_files.files_below(whole))
    try:
        with whole.open("rb") as file:
            if file_kind(file) != "zip":
                return 0
            archive = Archive(file, str(path), limits or Limits())
            return 0 if input_files.document_in(archive) else archive.count
    except (OSError, RegistryError):
        return 0


def read_share(
    path: PathLike,
    *,
    worker: int,
    workers: int,
    chunk: int = CHUNK,
    limits: Limits | None = None,
    on_refusal: Callable[[RegistryError], None] | None = None,
    on_note: Callable[[ReadNote], None] | None = None,
) -> Iterator[tuple[RecordReader, input_files.PassedOver]]:
    """One share of a folder or zip with ``shared_parts``, for one of several processes.

    Its files or members are taken ``chunk`` at a time in their order; the share has every
    ``workers``-th of these chunks, from number ``worker`` on.

    Returns:
        For each chunk of the share its records, to be read to their end before the next chunk,
        and what was passed over in it.
    """
    limits, whole, name = limits or Limits(), Path(path), str(path)
    if whole.is_dir():
        for files in _share(input_files.files_below(whole), worker, workers, chunk):
            passed = input_files.PassedOver(name)
            items = files_items(files, limits, passed)
            yield RecordReader(items, on_refusal, on_note), passed
        return
    with whole.open("rb") as file:
        archive = Archive(file, name, limits)
        for members in _share(archive.members(), worker, workers, chunk):
            passed = input_files.PassedOver(name)
            items = members_items(archive, members, name, limits, passed)
            yield RecordReader(items, on_refusal, on_note), passed


def _share(items: Iterable[_Part], worker: int, workers: int, size: int) -> Iterator[list[_Part]]:
    left = iter(items)
    for number in count():
        chunk = list(islice(left, size))
        if not chunk:
            return
        if number % workers == worker:
            yield chunk


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise input_files.unreadable(error, str(path)) from None


def _all_items(paths: Iterable[Path], limits: Limits) -> _Items:
    for path in paths:
        found = False
        for item in _folder_items(path, limits) if path.is_dir() else _file_items(path, limits):
            found = found or not isinstance(item, ReadNote)
            yield item
        if not found:  # neither a record nor a refusal
            yield ReadNote(str(path), NO_RECORD)


def _folder_items(folder: Path, limits: Limits) -> _Items:
    """The records of the files below ``folder``; one note names what is none of them."""
    passed = input_files.PassedOver(str(folder))
    yield from files_items(input_files.files_below(folder), limits, passed)
    yield from passed.note()


def files_items(
    files: Iterable[Path | RegistryError], limits: Limits, passed: input_files.PassedOver | None
) -> _Items:
    """The records, refusals and notes of files; ``passed``: of the folder that they are in."""
    for file in files:
        if isinstance(file, RegistryError):
            yield file
        else:
            yield from _file_items(file, limits, passed)


def _file_items(path: Path, limits: Limits, passed: input_files.PassedOver | None = None) -> _Items:
    """The records of one file, or the error that it cannot be read.

    ``passed``: of the folder that the file is in, if any.
    """
    name = str(path)
    try:
        input_files.check_file(path)
        with path.open("rb") as file:
            found = file_kind(file)
            if passed is not None and passed.takes(path.name, found):
                return
            if isinstance(found, Foreign):
                raise found.refusal(name)
            if found == "zip":
                yield from _archive_items(file, name, limits)
            else:
                yield from _stream_items(found, file, name, None, limits)
    except OSError as error:
        yield input_files.unreadable(error, name)
    except RegistryError as error:
        yield error


def _stream_items(
    kind: str, stream: Readable, file: str, member: str | None, limits: Limits
) -> _Items:
    if kind == "xml":
        data = _read_up_to(stream, limits.record_bytes + 1)
        yield read_xml(data, file, member, limits)
    elif kind == "csv":
        yield from read_rows(stream, file, member, limits)
    else:
        name = f"{file}!{member}" if member else file
        for piece in cut(stream, name, limits):
            if not isinstance(piece, Piece):
                yield piece
                continue
            position = f"{member}#{piece.number}" if member else f"#{piece.number}"
            try:
                study = load(piece.data, piece.line, f"{file}!{position}", limits)
                if foreign := foreign_json(study):
                    raise foreign.refusal(f"{file}!{position}", piece.line)
                yield read_study(study, piece.data, file, position, piece.line)
            except RegistryError as error:
                yield error


def _read_up_to(stream: Readable, size: int) -> bytes:
    parts, left = [], size
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _archive_items(file: BinaryIO, name: str, limits: Limits) -> _Items:
    archive = Archive(file, name, limits)
    if document := input_files.document_in(archive):
        raise document.refusal(name)
    passed = input_files.PassedOver(name)
    yield from members_items(archive, archive.members(), name, limits, passed)
    yield from passed.note()


def members_items(
    archive: Archive,
    members: Iterable[Member],
    name: str,
    limits: Limits,
    passed: input_files.PassedOver,
) -> _Items:
    """The records, refusals and notes of members of an archive."""
    for member in members:
        if member.is_folder or input_files.is_hidden(member.name):
            continue
        try:
            yield from _member_items(archive, member, name, limits, passed)
        except RegistryError as error:
            yield error


def _member_items(
    archive: Archive, member: Member, file: str, limits: Limits, passed: input_files.PassedOver
) -> _Items:
    refusal = archive.refusal(member)
    if refusal is not None:
        raise refusal
    if member.size <= limits.record_bytes:
        data = archive.read(member)
        if data.startswith(_XML) and data.find(_ROOT, 0, HEAD) >= 0:
            yield read_xml(data, file, member.name, limits)
            return
        head = data[:HEAD]
        stream: Readable = BytesIO(data)
    else:
        head = archive.open(member).read(HEAD)
        stream = archive.open(member)
    found = look(head)
    name = f"{file}!{member.name}"
    if passed.takes(member.name, found):
        return
    if isinstance(found, Foreign):
        raise found.refusal(name)
    if found == "zip":
        raise UnsafeRecordError(
            "there is an archive inside the archive.",
            file=name,
            hint="Unpack it and read it by itself.",
        )
    if found == "xml" and member.size > limits.record_bytes:
        raise LimitError(
            f"the record has {thousands(member.size)} bytes, the limit is "
            f"{thousands(limits.record_bytes)}.",
            file=name,
            hint=beyond("record_bytes"),
        )
    yield from _stream_items(found, stream, file, member.name, limits)
