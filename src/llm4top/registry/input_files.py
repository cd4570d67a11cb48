"""How many records to expect of a file, before it is read."""

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from llm4top.errors import RegistryError, UnknownFormatError
from llm4top.registry.detect import DOCUMENTS, EMPTY, PLAIN_TEXT, Foreign, file_kind
from llm4top.registry.limits import Limits
from llm4top.registry.trial import ReadNote
from llm4top.registry.zip_reader import Archive
from llm4top.text import thousands

_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_TEXTS = ("", "txt", "md", "rst", "log", "md5", "sha1", "sha256")
_NAMED = 3
_LOOKED_AT = 64


class PassedOver:
    """Files that are passed over, in one folder or archive.

    They are what a file manager writes, and plain texts such as a list of contents, a read-me or
    a licence. A file with the name of a record is never passed over.
    """

    def __init__(self, container: str):
        self.container = container
        self.count = 0
        self.first: list[str] = []

    def takes(self, name: str, found: str | Foreign) -> bool:
        """Whether a file of this name, found to be this, is passed over; counts it then."""
        last = last_part(name).lower()
        kind = last.rpartition(".")[2] if "." in last else ""
        text = kind in _TEXTS and (found is PLAIN_TEXT or found is EMPTY)
        if not text and not is_litter(name):
            return False
        self.add(1, [last_part(name)])
        return True

    def add(self, count: int, first: list[str]) -> None:
        """Count more of them, of which ``first`` are the first."""
        self.count += count
        self.first += first[: _NAMED - len(self.first)]

    def note(self) -> Iterator[ReadNote]:
        """What was passed over, if anything."""
        if self.count:
            rest = self.count - len(self.first)
            named = ", ".join(self.first) + (f" and {thousands(rest)} more" if rest else "")
            files = (
                "1 file that is not a record was"
                if self.count == 1
                else f"{thousands(self.count)} files that are not records were"
            )
            yield ReadNote(self.container, f"{files} passed over: {named}.")


def last_part(name: str) -> str:
    """A member's own name, whichever slash its folders are written with."""
    return name.replace("\\", "/").rpartition("/")[2]


def is_litter(name: str) -> bool:
    """Whether Windows wrote a file of this name, or Office for an open document."""
    last = last_part(name).lower()
    return last in _LITTER or last.startswith("~$")


def is_hidden(name: str) -> bool:
    """Whether a member is what file managers add ("__MACOSX/", ".DS_Store")."""
    *folders, last = name.replace("\\", "/").split("/")
    return last.startswith(".") or "__MACOSX" in folders


def document_in(archive: Archive) -> Foreign | None:
    """The document that an archive is, as those of Office are; None for any other archive."""
    names = [member.name for member in islice(archive.members(), _LOOKED_AT)]
    if "[Content_Types].xml" in names or "mimetype" in names[:1]:
        for start, document in DOCUMENTS:
            if any(name.startswith(start) for name in names):
                return document
    return None


_NEXT_STEPS = {
    errno.EACCES: "Check its permissions.",
    errno.EPERM: "Check its permissions.",
    errno.ENOENT: "It was moved or deleted in the meantime. Give its new path.",
    errno.ENAMETOOLONG: "Check the path.",
}


def files_below(folder: Path) -> Iterator[Path | RegistryError]:
    """The files below ``folder`` in sorted order, hidden ones left out; links to folders stay.

    An error stands in for a folder that cannot be listed.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield unreadable(error, str(folder))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(Path(entry.path))
        elif not entry.is_dir():
            yield Path(entry.path)


def check_file(path: Path) -> None:
    """``UnknownFormatError`` for a pipe, a device, or a link to nothing."""
    if path.is_file():
        return
    lost = path.is_symlink() and not path.exists()
    raise UnknownFormatError(
        "it is a link to a file that is not there." if lost else "it is not a file or a folder.",
        file=str(path),
        hint="Give a record's file.",
    )


def unreadable(error: OSError, name: str) -> UnknownFormatError:
    """What the system says of a file or folder, with the next step."""
    return UnknownFormatError(
        f"it cannot be read: {error.strerror}.",
        file=name,
        hint=_NEXT_STEPS.get(error.errno or 0, "Check the disk or network that it is on."),
    )


def expected_records(file: Path, limits: Limits | None = None) -> int | None:
    """The number of records, from a file's first bytes and a zip's directory alone.

    For showing progress: whether each can be read turns out later. None where only reading tells
    (JSON and CSV hold any number of records), and for a zip that cannot be read at all. A file of
    another kind counts as the one that will be refused.
    """
    try:
        with file.open("rb") as stream:
            kind = file_kind(stream)
            if kind != "zip":
                return None if kind in ("json", "csv") else 1
            found = 0
            for member in Archive(stream, file.name, limits or Limits()).members():
                if member.is_folder or is_hidden(member.name) or is_litter(member.name):
                    continue
                if member.name.lower().endswith(".txt"):  # a list of contents, a licence
                    continue
                if not member.name.lower().endswith(".xml"):
                    return None
                found += 1
            return found
    except (OSError, RegistryError):
        return None
