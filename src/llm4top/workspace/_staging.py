"""Uploads laid out for reading: links under plain names, so that what is said names the files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from llm4top.errors import LLM4TOPError, UploadError

if TYPE_CHECKING:
    from llm4top.workspace._uploads import Uploads

_FOLDER = "sources"
_LONGEST = 100


class Staging:
    """A folder of links to uploads, gone when the block is left.

    A link bears its upload's name, reduced to plain letters and digits, in a folder of its own;
    TOP's files lie together, because they are known by their names. An error that leaves the
    block names the files as they are called there, without the place where they lie.
    """

    def __init__(self, uploads: Uploads, folder: Path):
        self._uploads = uploads
        self._folder = folder / _FOLDER
        self._count = 0
        # What ``ingest`` unpacks lies beside, in a hidden folder.
        place = re.escape(str(folder))
        self._place = re.compile(rf"{place}/(?:{_FOLDER}/(?:\d+|top)|\.top-\w+)/")

    def __enter__(self) -> Staging:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if isinstance(error, LLM4TOPError):
            error.message = self.plain(error.message)
            error.where = self.plain(error.where) if error.where else None

    def all(self, upload_ids: Sequence[str]) -> list[Path]:
        """What to read of these uploads: TOP's files as their folder, the others one by one.

        Raises ``UploadError`` for two of TOP's files of one name.
        """
        from llm4top.data._sources import is_top_file

        top = self._folder / "top"
        found = []
        for upload_id in upload_ids:
            name = self._uploads.get(upload_id).name
            if not is_top_file(name):
                found.append(self._link(upload_id, name))
                continue
            top.mkdir(exist_ok=True)
            if (top / name).exists():
                raise UploadError(
                    "was brought in twice.", where=name, hint="Bring in each of TOP's files once."
                )
            (top / name).hardlink_to(self._uploads.path(upload_id))
        return [top, *found] if top.exists() else found

    def one(self, upload_id: str | None) -> Path | None:
        """One upload under its name; None for none."""
        return self._link(upload_id, self._uploads.get(upload_id).name) if upload_id else None

    def plain(self, words: str) -> str:
        """``words`` without the places of the files that they name."""
        return self._place.sub("", words)

    def _link(self, upload_id: str, name: str) -> Path:
        self._count += 1
        place = self._folder / str(self._count) / link_name(name)
        place.parent.mkdir()
        place.hardlink_to(self._uploads.path(upload_id))
        return place


def link_name(name: str) -> str:
    """A name that is safe on any disk: ASCII letters, digits and ``._-``, no dot in front."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")
    return plain[-_LONGEST:].lstrip(".") or "upload"
