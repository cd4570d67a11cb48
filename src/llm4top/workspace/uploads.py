"""Uploaded files, readable by their owner only and stored until they are deleted."""

import hashlib
import os
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from sqlalchemy import delete, func, select

from llm4top.errors import UploadError
from llm4top.files import delete_path
from llm4top.text import counted, file_size
from llm4top.workspace.batches import batches_of, settle_batches
from llm4top.workspace.database import Transactions, changed_rows, find, missing, value_of
from llm4top.workspace.deletion import PART, Eraser, place_of, sweep
from llm4top.workspace.tables import UploadRow, clean_text, new_id

_CHUNK = 1 << 20
_LONGEST_NAME = 200


class Readable(Protocol):
    """What an upload is read from: a binary file, or anything with its ``read``."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Caps on what is taken in. What is inside a file is capped where it is read."""

    file_bytes: int = 2_000_000_000
    """Bytes of one file."""

    files: int = 10_000
    """Files that are stored at any time."""

    total_bytes: int = 50_000_000_000
    """Bytes of all stored files."""

    free_bytes: int = 1_000_000_000
    """Bytes of the disk that stay free."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was brought in. ``name`` is what its owner calls it, cleaned; never a path."""

    id: str
    name: str
    sha256: str
    size: int
    created: datetime


class Uploads:
    """The uploads of a workspace: rows in the database, bytes in ``uploads/<id>`` (mode 0600)."""

    def __init__(self, session: Transactions, folder: Path, eraser: Eraser):
        self._session = session
        self._folder = folder
        self._eraser = eraser

    def add(
        self,
        name: str,
        stream: Readable,
        *,
        limits: UploadLimits = UploadLimits(),
    ) -> Upload:
        """Take in a file, as it is read; all of it is there afterwards, or nothing.

        Raises ``UploadError`` where it is beyond ``limits`` or the disk is full.
        """
        self._check_room(limits)
        row = UploadRow(id=new_id(), name=shown_name(name))
        part = self._folder / f"{PART}{row.id}"
        try:
            row.size, row.sha256 = self._receive(stream, part, row.name, limits)
            with self._session() as session:
                session.add(row)
                session.flush()
                part.rename(self._folder / row.id)
        except OSError as error:
            raise UploadError(
                f"cannot be stored ({error.strerror or error}).",
                where=row.name,
                hint="Free some disk space, then upload it again.",
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return value_of(Upload, row)

    def get(self, upload_id: str) -> Upload:
        """The upload; ``NotFoundError`` where there is none."""
        with self._session(write=False) as session:
            return value_of(Upload, find(session, UploadRow, upload_id, "upload"))

    def path(self, upload_id: str) -> Path:
        """Where its bytes lie, for a process of this machine; never to be shown to a browser.

        Raises ``NotFoundError`` for an id that no upload has, whatever file it may spell.
        """
        self.get(upload_id)
        path = place_of(self._folder, upload_id, "upload")
        if path.is_symlink() or not path.is_file():
            raise missing("upload", upload_id)
        return path

    def open(self, upload_id: str) -> BinaryIO:
        """Its bytes, to be read and closed by the caller."""
        return self.path(upload_id).open("rb")

    def list(
        self, *, sha256: str | None = None, limit: int | None = 100, offset: int = 0
    ) -> Sequence[Upload]:
        """Uploads, newest first; with ``sha256`` those of that content."""
        query = select(UploadRow).order_by(UploadRow.created.desc(), UploadRow.id)
        if sha256 is not None:
            query = query.where(UploadRow.sha256 == sha256)
        with self._session(write=False) as session:
            rows = session.scalars(query.limit(limit).offset(offset))
            return [value_of(Upload, row) for row in rows]

    def count(self) -> int:
        """How many there are."""
        with self._session(write=False) as session:
            return session.scalar(select(func.count()).select_from(UploadRow)) or 0

    def kept(self) -> tuple[int, int]:
        """How many files there are, and their bytes together."""
        query = select(func.count(), func.coalesce(func.sum(UploadRow.size), 0))
        with self._session(write=False) as session:
            count, size = session.execute(query).one()
        return int(count), int(size)

    def delete(self, upload_id: str) -> None:
        """Delete it for good, with the forecasts that were made from it.

        Raises ``NotFoundError`` where there is none.
        """
        with self._session() as session:
            batches = batches_of(session, upload_id)
            gone = session.execute(delete(UploadRow).where(UploadRow.id == upload_id))
            if changed_rows(gone) != 1:
                raise missing("upload", upload_id)
            settle_batches(session, batches)
            self._eraser.forget(session, upload_id)
            delete_path(place_of(self._folder, upload_id, "upload"))
        self._eraser.wipe()

    def sweep(self) -> None:
        """Remove what killed processes left behind."""
        with self._session(write=False) as session:
            sweep(self._folder, set(session.scalars(select(UploadRow.id))))

    def _check_room(self, limits: UploadLimits) -> None:
        count, total = self.kept()
        if count >= limits.files or total >= limits.total_bytes:
            raise UploadError(
                f"the workspace is full: it holds {counted(count, 'upload')}, {file_size(total)}.",
                hint="Delete uploads that you no longer need.",
            )

    def _receive(
        self, stream: Readable, part: Path, name: str, limits: UploadLimits
    ) -> tuple[int, str]:
        size, digest = 0, hashlib.sha256()
        room = shutil.disk_usage(self._folder).free - limits.free_bytes
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > limits.file_bytes:
                    raise UploadError(
                        f"is larger than {file_size(limits.file_bytes)}.",
                        where=name,
                        hint="Split it, or read it in a terminal: llm4top forecast FILE.",
                    )
                if size > room:
                    raise UploadError(
                        f"would leave less than {file_size(limits.free_bytes)} of the disk free.",
                        where=name,
                        hint="Free some disk space, then upload it again.",
                    )
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return size, digest.hexdigest()


def shown_name(name: str) -> str:
    """A name to show, from what a browser sent: the last part of it, printable, not too long."""
    last = clean_text(name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    printable = "".join(c for c in last if unicodedata.category(c)[0] not in "CZ" or c == " ")
    shown = printable.strip(" .")
    if len(shown) > _LONGEST_NAME:
        shown = f"{shown[: _LONGEST_NAME - 20]}…{shown[-19:]}"
    return shown or "upload"
