"""The files a data set is made from: TOP's folder under its own names, or registry records."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm4top.data.labels import read_columns
from llm4top.errors import DatasetError, LimitError, RegistryError, UnsafeRecordError
from llm4top.files import scratch_folder, sha256_of
from llm4top.registry.codes import iso_date
from llm4top.registry.detect import HEAD, detect
from llm4top.registry.limits import Limits
from llm4top.registry.zip_reader import Archive, Member
from llm4top.text import thousands

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
    too, are left as they are for the reader.

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
    with scratch_folder(beside, ".top-") as scratch:
        # A folder of its own: what lies beside it is no file of TOP's.
        folder = scratch / "files"
        folder.mkdir()
        _unpack(path, folder, limits)
        yield folder


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


PHASES = ("I", "II", "III", "IV")
TITLES_AND_DATES = "titles_and_dates.csv"

_TOP_NAME = re.compile(r"phase_(I|II|III)_(train|valid|test)\.csv")
_TOP_FILES = tuple(
    f"phase_{phase}_{split}.csv"
    for phase in ("I", "II", "III")
    for split in ("train", "valid", "test")
)
_PHASE_NUMBERS = {"1": "I", "2": "II", "3": "III", "4": "IV"}


@dataclass(frozen=True, slots=True)
class SourcePath:
    """One path to read; a file under one of TOP's names brings its phase and its split."""

    path: Path
    top_phase: str | None = None
    own_split: str | None = None


def find_sources(paths: Sequence[str | os.PathLike[str]]) -> list[SourcePath]:
    """The paths to read. A folder with files of TOP's names stands for those files alone.

    Raises ``DatasetError`` for a path that does not exist.
    """
    found: list[SourcePath] = []
    for path in map(Path, paths):
        if not path.exists():
            raise DatasetError("does not exist.", where=str(path), hint="Check the path.")
        top = [path / name for name in _TOP_FILES if (path / name).is_file()]
        found += [_named(file) for file in top or [path]]
    return found


def _named(path: Path) -> SourcePath:
    match = _TOP_NAME.fullmatch(path.name)
    return SourcePath(path, match[1], match[2]) if match else SourcePath(path)


def top_phase(file: str) -> str | None:
    """The phase of a file under one of TOP's names; None for any other name."""
    match = _TOP_NAME.fullmatch(file)
    return match[1] if match else None


def is_top_file(file: str) -> bool:
    """Whether a file's name is one of TOP's: a table, or its titles and dates."""
    return top_phase(file) is not None or file == TITLES_AND_DATES


@dataclass(frozen=True, slots=True)
class TrialDates:
    """Dates of a trial (ISO), or None where they are unknown."""

    start: str | None = None
    first_submitted: str | None = None
    completion: str | None = None


def top_dates(sources: Iterable[SourcePath]) -> dict[str, TrialDates]:
    """Dates by NCT id, from the files of dates next to TOP's."""
    columns = ("start_date", "first_submitted", "completion_date")
    dates: dict[str, TrialDates] = {}
    for file in dates_files(sources):
        for _, nct_id, cells in read_columns(file, columns):
            dates[nct_id] = TrialDates(*map(iso_date, cells))
    return dates


def dates_files(sources: Iterable[SourcePath]) -> list[Path]:
    """The files of titles and dates next to TOP's files."""
    folders = dict.fromkeys(s.path.parent for s in sources if s.top_phase)
    return [file for f in folders if (file := f / TITLES_AND_DATES).is_file()]


def phases_of(phase: str | None) -> frozenset[str]:
    """The phases that a phase as registered stands for: "Phase 1/Phase 2" for I and II."""
    return frozenset(_PHASE_NUMBERS[digit] for digit in re.findall("[1-4]", phase or ""))


def check_phases(phases: Iterable[str]) -> frozenset[str]:
    """The phases as a set; ``DatasetError`` for one that does not exist."""
    chosen = frozenset(phases)
    unknown = sorted(chosen - set(PHASES))
    if unknown:
        raise DatasetError(
            f"{', '.join(map(repr, unknown))}: no phase.", hint=f"Phases are {', '.join(PHASES)}."
        )
    return chosen


def path_sha256(path: Path) -> str:
    """sha256 of a file's bytes; for a folder, of the names and hashes of the files in it."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file_path.relative_to(path)}\0{path_sha256(file_path)}\n".encode())
    return digest.hexdigest()
