"""Deleting for good: what was deleted is found nowhere in the workspace's folder afterwards."""

import re
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from llm4top.errors import NotFoundError
from llm4top.files import delete_path, delete_remains
from llm4top.workspace.database import BUSY_TIMEOUT_S
from llm4top.workspace.migrate import BACKUPS
from llm4top.workspace.tables import ActivityRow

_ID = re.compile(r"[0-9a-f]{32}")
_UNFINISHED_S = 24 * 3600.0
"""An unfinished file this old belongs to a process that is no more."""

PART = ".part-"


def place_of(folder: Path, thing_id: str, what: str) -> Path:
    """``folder/<id>``, for an id as we make them and never for anything else.

    Raises ``NotFoundError``, which does not reveal whether anything is there.
    """
    if not _ID.fullmatch(thing_id):
        raise NotFoundError(f"there is no {what} with this id.", hint="It may have been deleted.")
    return folder / thing_id


def sweep(folder: Path, known: Collection[str]) -> None:
    """Remove what a killed process left: half-deleted things, and old ones without a row."""
    delete_remains(folder)
    for path in folder.iterdir():
        stray = path.name.startswith(PART) or (
            _ID.fullmatch(path.name) is not None and path.name not in known
        )
        if stray and path.lstat().st_mtime < time.time() - _UNFINISHED_S:
            delete_path(path)


DELETED = "(deleted)"
_PATIENCE_S = 5.0


class Eraser:
    """Wipes traces of deleted rows from the database's own files.

    SQLite overwrites what is deleted with zeros (``secure_delete``); what is left is its
    write-ahead log, which is emptied, and the copies made before migrations, which go. On
    PostgreSQL the server decides when the bytes of deleted rows are used again.
    """

    def __init__(self, engine: Engine, folder: Path):
        self._engine = engine
        self._folder = folder

    def forget(self, session: Session, subject: str) -> None:
        """Blank what the activity log says of a deleted thing; that it was done stays."""
        changed = update(ActivityRow).where(ActivityRow.subject == subject)
        session.execute(changed.values(what=DELETED))

    def wipe(self) -> bool:
        """Empty the log and drop old copies.

        False where a reader held the log all the while; it is emptied by the next deletion, or
        when the last user of the workspace closes it.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        shutil.rmtree(self._folder / BACKUPS, ignore_errors=True)
        with self._engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            cursor = raw.cursor()
            try:
                cursor.execute(f"PRAGMA busy_timeout = {round(_PATIENCE_S * 1000)}")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                busy: int = cursor.fetchall()[0][0]
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
                cursor.close()
        return not busy
