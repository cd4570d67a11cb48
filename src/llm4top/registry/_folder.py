"""Files as the system gives them: those of a folder, and why one cannot be read."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from llm4top.errors import RegistryError, UnknownFormatError

_NEXT_STEPS = {
    errno.EACCES: "Check its permissions.",
    errno.EPERM: "Check its permissions.",
    errno.ENOENT: "It was moved or deleted meanwhile; give it again.",
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
