"""TOP's files in a zip: unpacked under names of our own, and read as the folder they were."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from llm4top._numbers import thousands
from llm4top.data._sources import is_top_file, top_phase
from llm4top.errors import DatasetError, LimitError, RegistryError, UnsafeRecordError
from llm4top.registry import Limits
from llm4top.registry._detect import HEAD, detect
from llm4top.registry._zip import Archive, Member

MOST_BYTES = 2_000_000_000
"""Bytes of all of TOP's files in one zip, unpacked; upstream's have under a hundred million."""

_CHUNK = 1 << 20


@contextmanager
def unpacked_top(
    paths: Sequence[Path], beside: Path, limits: Limits | None = None
) -> Iterator[list[Path]]:
    """The paths, with a folder of TOP's files in place of each zip that holds some of them.

    They may lie in any folder of the zip; what else is in it is left alone, as it is in a folder.
    The folders are made in ``beside`` and gone when the block is left. Other zips, broken ones
    too, stay as they are for whoever reads them.

    Raises ``RegistryError`` for a member that is not safe to unpack or is no CSV, ``DatasetError``
    for a zip that has two files of one name.
    """
    caps = limits or Limits()
    with ExitStack() as stack:
        yield [
            stack.enter_context(_unpacked(path, beside, caps)) if _holds_top(path, caps) else path
            for path in paths
        ]


def _holds_top(path: Path, limits: Limits) -> bool:
    """Whether it is a zip with a table of TOP's in it."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return False
            members = Archive(file, str(path), limits).members()
            return any(top_phase(_last(member)) for member in members)
    except (OSError, RegistryError):
        return False


@contextmanager
def _unpacked(path: Path, beside: Path, limits: Limits) -> Iterator[Path]:
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".top-", dir=beside) as folder:
        _unpack(path, Path(folder), limits)
        yield Path(folder)


def _last(member: Member) -> str:
    return member.name.replace("\\", "/").rpartition("/")[2]


def _unpack(path: Path, folder: Path, limits: Limits) -> None:
    with path.open("rb") as file:
        archive = Archive(file, str(path), limits)
        total = 0
        for member in archive.members():
            name = _last(member)
            if not is_top_file(name):
                continue
            if (folder / name).exists():
                raise DatasetError(
                    f"holds {name} more than once.",
                    where=str(path),
                    hint="Pack TOP's folder alone.",
                )
            total += member.size
            if total > MOST_BYTES:
                raise LimitError(
                    f"TOP's files unpack to more than {thousands(MOST_BYTES)} bytes.",
                    file=str(path),
                    hint="Unpack the zip yourself and give the folder.",
                )
            refusal = archive.refusal(member)
            if refusal is not None:
                raise refusal
            _write(archive, member, folder / name, f"{path}!{member.name}")


def _write(archive: Archive, member: Member, target: Path, name: str) -> None:
    if detect(archive.open(member).read(HEAD), name) != "csv":
        raise UnsafeRecordError(
            "bears the name of a file of TOP's, and is not a CSV file.",
            file=name,
            hint="Pack TOP's folder again.",
        )
    stream = archive.open(member)
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            file.write(chunk)
