"""Files and folders that are written whole or not at all, even if the power fails.

Content is written under a scratch name, synced to the disk and renamed into place, so that a
reader sees the old or the new one and never a part.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm4top.errors import LLM4TOPError

SCRATCH = ".unfinished-"
"""In the name of every scratch file and folder; what a killed process leaves can be removed."""
DELETED = ".deleted-"
"""Begins the name of what is being deleted."""


@contextmanager
def replacing(path: Path, *, scratch_folder: Path | None = None) -> Iterator[Path]:
    """Give a scratch file to write; it replaces ``path`` when the block ends without an error.

    Args:
        path: The file that is to be written. Its folder must exist.
        scratch_folder: Where the scratch file is put, on the same disk; the file's own folder
            where None.

    Raises:
        OSError: The disk is full, or the folder cannot be written. ``path`` is unchanged.
    """
    folder = path.parent if scratch_folder is None else scratch_folder
    scratch = folder / f".{path.name}{SCRATCH}{os.getpid()}"
    try:
        yield scratch
        publish(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, scratch_folder: Path | None = None) -> None:
    """Replace a file's content in one step; see ``replacing``."""
    with replacing(path, scratch_folder=scratch_folder) as scratch:
        scratch.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content by UTF-8 text in one step; line ends stay as they are."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace a file's content by indented JSON in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Give an empty scratch folder to fill; it becomes ``folder`` when the block ends.

    An existing ``folder`` is exchanged; after an error it stays as it was. Missing parent folders
    are made.

    Raises:
        OSError: The disk is full, or the parent folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}{SCRATCH}{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
        publish(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def publish(scratch: Path, target: Path) -> None:
    """Sync a file or folder to the disk and rename it to ``target``, which it replaces."""
    for path in sorted(scratch.rglob("*"), reverse=True):
        _sync(path)
    _sync(scratch)
    # A folder that holds files cannot be replaced in one step: the old one is moved away first.
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    if target.is_dir():
        target.rename(old)
    try:
        scratch.replace(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    _sync(target.parent)
    if old.is_symlink():  # rmtree follows none
        old.unlink()
    shutil.rmtree(old, ignore_errors=True)


def check_vacant(
    folder: Path,
    what: str,
    *,
    is_one: bool,
    replace: bool,
    error: type[LLM4TOPError],
    how: str = "",
) -> None:
    """Refuse to write a folder over what is there.

    Args:
        folder: What is to be written.
        what: What it will be: "a data set".
        is_one: Whether such a thing is there, which may be replaced.
        replace: Whether to replace it.
        error: The class of the error.
        how: How a person says ``replace``: "--overwrite".

    Raises:
        LLM4TOPError: Of the class ``error``, unless ``folder`` is missing, empty, or replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    where = str(folder)
    if not is_one:
        hint = "Choose a folder that does not exist yet."
        raise error(f"exists and is not {what}.", where=where, hint=hint)
    if not replace:
        hint = f"Choose another folder, or replace it{f' ({how})' if how else ''}."
        raise error(f"already holds {what}.", where=where, hint=hint)


def delete_path(path: Path) -> None:
    """Delete a file or a whole folder, if there is one.

    It is renamed first, so that a killed process never leaves half of it under its name.
    """
    old = path.with_name(f"{DELETED}{path.name}")
    _unlink(old)
    try:
        path.rename(old)
    except FileNotFoundError:
        return
    _unlink(old)


def delete_remains(folder: Path) -> None:
    """Remove what killed processes left half deleted in ``folder``."""
    for path in folder.glob(f"{DELETED}*"):
        _unlink(path)


_USED = ".used"
_YOUNG_S = 60.0
"""A scratch folder that is younger may not have got its lock yet."""


@contextmanager
def scratch_folder(beside: Path, prefix: str) -> Iterator[Path]:
    """Give an empty folder in ``beside``, which is removed when the block ends, however it ends.

    What killed processes left there under the same ``prefix`` is removed first: a folder of this
    user's whose lock no process holds. Missing parent folders are made.
    """
    beside.mkdir(parents=True, exist_ok=True)
    for path in beside.glob(f"{prefix}*"):
        if _is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=beside) as folder:
        place = Path(folder)
        with locked(place / _USED):
            yield place


def _is_abandoned(folder: Path) -> bool:
    used = folder / _USED
    try:
        found = used.lstat()
        if folder.is_symlink() or not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            return False
        return time.time() - found.st_mtime > _YOUNG_S and not is_locked(used)
    except OSError:
        return False


class LockedError(Exception):
    """Another process holds the lock; ``holder`` is its process number where known."""

    def __init__(self, holder: int | None):
        self.holder = holder
        super().__init__(f"another process ({holder or 'unknown'}) holds the lock")


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path`` for this process alone, until the block or the process ends.

    Args:
        path: The lock file, made where it is missing; it stays afterwards. Its folder must exist.
        wait: Whether to wait until other processes have released the lock.

    Raises:
        LockedError: Another process holds the lock, and ``wait`` is false.
        OSError: The lock file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise LockedError(_holder(path)) from None
    try:
        path.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock file ``path`` at this moment.

    A lock file that this process may not open counts as free.
    """
    from filelock import FileLock, Timeout

    if not path.is_file():
        return False
    try:
        with FileLock(path, mode=0o600, thread_local=False).acquire(timeout=0):
            return False
    except PermissionError:
        return False
    except Timeout:
        return True


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holder(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _unlink(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
