"""What a bulk forecast reads, in shards: each is forecast as a whole and becomes one file.

A shard is named by what it reads (members, files or rows, and the marks of their content), so that
a later call knows it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from llm4top.data.dataset import CARD_FILE, TRIALS_FILE
from llm4top.data.parquet_records import MAGIC, rows_of
from llm4top.errors import RegistryError
from llm4top.registry.input_files import files_below
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records, shared_parts
from llm4top.registry.zip_reader import Archive
from llm4top.text import thousands

SHARD_RECORDS = 256
"""Members, files or rows of a shard: what is lost at most when a worker dies."""

_MOST_BYTES = 32_000_000
"""Bytes of the files of one shard; larger files stand alone."""
_RECORDS = (".xml", ".json", ".csv", ".txt", ".md")
"""Endings of files that are not looked into before they are read."""
Kind = Literal["files", "members", "rows"]


@dataclass(frozen=True)
class Shard:
    """A share of the records.

    Attributes:
        number: Its position among all, from 0.
        source: The position of the path that the user gave.
        kind: Files, members of a zip, or rows of a Parquet file.
        path: The zip, the Parquet file, the folder that the files lie in, or the one file.
        name: The same as the user named it.
        start, stop: The first member or row, from 0, and the one behind the last.
        files: The files within the folder.
        mark: Tells whether what is read is still the same.
    """

    number: int
    source: int
    kind: Kind
    path: str
    name: str
    start: int = 0
    stop: int = 0
    files: tuple[str, ...] = ()
    mark: str = ""

    @property
    def expected(self) -> int:
        """How many records it has if none is refused; a JSON or CSV file counts as one."""
        return self.stop - self.start if self.kind != "files" else max(1, len(self.files))

    @property
    def place(self) -> str:
        """What it reads, for people: "registry.zip, members 1 to 256"."""
        if self.kind == "files":
            if not self.files:
                return self.name
            ends = dict.fromkeys((self.files[0], self.files[-1]))
            return f"{self.name}, {' to '.join(ends)}"
        return f"{self.name}, {self.kind} {thousands(self.start + 1)} to {thousands(self.stop)}"

    @cached_property
    def key(self) -> str:
        """Names it for good: 12 hexadecimal digits over all that is above but its path."""
        values = {k: v for k, v in asdict(self).items() if k != "path"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def file(self) -> str:
        """The name of the file of its forecasts."""
        return f"part-{self.number:06d}-{self.key}.parquet"

    def to_json(self) -> str:
        """All of it as text, for another machine."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Shard:
        """Inverse of ``to_json``."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "files": tuple(values["files"])})


def plan(sources: Sequence[Path], size: int = SHARD_RECORDS) -> list[Shard]:
    """The shards of all sources, in the order in which ``read_records`` would read them.

    Reads lists of members and of files, no record.

    Raises:
        UnknownFormatError: A path does not exist or cannot be accessed.
    """
    read_records(sources)  # only for its errors: nothing is read before the first record is asked
    found: list[Shard] = []
    for source, path in enumerate(sources):
        whole = path.absolute()
        divide = _folder if whole.is_dir() else _file
        shards = enumerate(divide(whole, str(path), size), len(found))
        found += [replace(shard, number=number, source=source) for number, shard in shards]
    return found


def _folder(folder: Path, name: str, size: int) -> Iterator[Shard]:
    if (folder / CARD_FILE).is_file() and (folder / TRIALS_FILE).is_file():
        yield from _file(folder / TRIALS_FILE, str(Path(name) / TRIALS_FILE), size)
        return
    held: list[tuple[str, str]] = []
    taken = 0
    for found in files_below(folder):
        # An error stands for a folder that cannot be listed: it is one when it is read, too.
        file = Path(found.file) if isinstance(found, RegistryError) else found
        inner = str(file.relative_to(folder))
        looked = file.suffix.lower() not in _RECORDS
        parts = _parts(file, str(Path(name) / inner), size) if looked else ()
        weight, mark = _weight(file)
        if held and (parts or len(held) >= size or taken + weight > _MOST_BYTES):
            yield _files(folder, name, held)
            held, taken = [], 0
        if parts:
            yield from parts
            continue
        held.append((inner, mark))
        taken += weight
    if held:
        yield _files(folder, name, held)


def _files(folder: Path, name: str, held: Sequence[tuple[str, str]]) -> Shard:
    files, marks = zip(*held, strict=True)
    mark = hashlib.sha256(json.dumps(marks).encode()).hexdigest()
    return Shard(0, 0, "files", str(folder), name, files=files, mark=mark)


def _file(path: Path, name: str, size: int) -> Iterable[Shard]:
    whole = Shard(0, 0, "files", str(path), name, mark=_weight(path)[1])
    return _parts(path, name, size) or (whole,)


def _parts(path: Path, name: str, size: int) -> Sequence[Shard]:
    """The shards of a zip or Parquet file; none for any other file."""
    kind: Kind = "members"
    count, mark = shared_parts(path), ""
    try:
        with path.open("rb") as file:
            if count:
                mark = Archive(file, name, Limits()).digest()
            elif file.read(len(MAGIC)) == MAGIC:
                kind, count = "rows", rows_of(path) or 0
                mark = _footer(path) if count else ""
    except (OSError, RegistryError):
        return ()
    return [
        Shard(0, 0, kind, str(path), name, start, min(start + size, count), mark=mark)
        for start in range(0, count, size)
    ]


def _footer(path: Path) -> str:
    """The hash of what a Parquet file says of itself: the place and size of each of its columns."""
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    found = pq.read_metadata(path).to_dict()
    digest.update(json.dumps(found, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _weight(path: Path) -> tuple[int, str]:
    """A file's size, and what tells whether it has changed."""
    try:
        found = path.stat()
    except OSError:
        return 0, "?"
    return found.st_size, f"{found.st_size}, {found.st_mtime_ns}"
