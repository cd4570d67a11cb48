"""Files and folders that appear whole or not at all, whatever is killed when."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` into the file so that a reader finds the old or the new, never a part.

    The scratch file lies beside the file's folder: a kill leaves no stray file in it.
    """
    scratch = path.parent.with_name(f".{path.parent.name}.{path.name}.unfinished")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def publish_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Fill a scratch folder beside ``folder`` through ``write``, then rename it into place.

    What stood there before is exchanged; whatever ``write`` raises, it stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f".{folder.name}.unfinished-{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        write(staging)
        for path in sorted(staging.rglob("*"), reverse=True):
            _sync(path)
        _sync(staging)
        old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
        if folder.exists():
            folder.rename(old)
        staging.rename(folder)
        _sync(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
