"""Deleting for good: what was deleted is found nowhere in the workspace's folder afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from llm4top.workspace._engine import BUSY_TIMEOUT_S
from llm4top.workspace._migrate import BACKUPS
from llm4top.workspace._tables import ActivityRow

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
