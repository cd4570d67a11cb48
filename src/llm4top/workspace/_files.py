"""Files and folders that are found by id, and that go for good when they are deleted."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from llm4top.errors import NotFoundError

_ID = re.compile(r"[0-9a-f]{32}")
_UNFINISHED_S = 24 * 3600.0
"""An unfinished file this old belongs to a process that is no more."""

DELETED = ".deleted-"
PART = ".part-"


def place_of(folder: Path, thing_id: str, what: str) -> Path:
    """``folder/<id>``, for an id as we make them and never for anything else.

    Raises ``NotFoundError``, which does not tell whether anything lies there.
    """
    if not _ID.fullmatch(thing_id):
        raise NotFoundError(f"there is no {what} with this id.", hint="It may have been deleted.")
    return folder / thing_id


def remove(path: Path) -> None:
    """Delete a file or a whole folder, moved out of sight first: a kill leaves no half of it."""
    grave = path.with_name(f"{DELETED}{path.name}")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return
    _unlink(grave)


def clear_graves(folder: Path) -> None:
    """Remove what a killed process left half deleted."""
    for path in folder.glob(f"{DELETED}*"):
        _unlink(path)


def sweep(folder: Path, known: Collection[str]) -> None:
    """Remove what a killed process left: half-deleted things, and old ones that nobody lists."""
    clear_graves(folder)
    for path in folder.iterdir():
        stray = path.name.startswith(PART) or (
            _ID.fullmatch(path.name) is not None and path.name not in known
        )
        if stray and path.lstat().st_mtime < time.time() - _UNFINISHED_S:
            remove(path)


def _unlink(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
