"""Migrates a database to this version's tables; of several processes one does it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from llm4top.errors import WorkspaceError
from llm4top.files import locked

HEAD = "0004"
"""The newest step of ``migrations``."""

STEPS = Path(__file__).parent / "migrations"
LOCK_FILE = ".migrate.lock"
BACKUPS = "backups"
_ADVISORY_LOCK = 7_456_201_184_410_021


def bring_up_to_date(engine: Engine, folder: Path) -> None:
    """Migrate the database behind ``engine`` to ``HEAD``; nothing where it is there already.

    A SQLite file is copied to ``backups`` first. Two processes at once migrate once.

    Raises ``WorkspaceError`` for a file that is no database, for a database that another program
    made or a newer version wrote, and for one that cannot be reached or migrated.
    """
    try:
        with _locked(engine, folder), engine.connect() as connection:
            if revision(connection) == HEAD:
                return
            connection.rollback()
            with _alone(connection):
                before = revision(connection)
                connection.rollback()
                if before != HEAD:
                    _migrate(connection, engine, folder, before)
    except SQLAlchemyError as error:
        raise _unusable(error, engine) from error


@contextmanager
def _locked(engine: Engine, folder: Path) -> Iterator[None]:
    """One process at a time migrates a SQLite file; the others wait."""
    if engine.dialect.name != "sqlite":
        # The database has a lock of its own; the folder may be on a disk that knows none.
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK_FILE))
        except OSError as error:
            raise WorkspaceError(
                f"the folder cannot be written ({error.strerror or error}).",
                where=str(folder),
                hint="Choose one that you may write to: set LLM4TOP_HOME.",
            ) from error
        yield


def revision(connection: Connection) -> str | None:
    """The step the database is at; None where it holds no tables of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """On PostgreSQL, where other machines may open the same database: one at a time."""
    if connection.dialect.name != "postgresql":
        yield
        return
    key = {"key": _ADVISORY_LOCK}
    connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        connection.commit()


def _migrate(connection: Connection, engine: Engine, folder: Path, before: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(STEPS))
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    where = engine.url.render_as_string(hide_password=True)
    if before is not None and before not in known:
        raise WorkspaceError(
            f"this workspace was written by a newer version of LLM4TOP (its tables are at step "
            f"{before}, this version knows up to {HEAD}).",
            where=where,
            hint="Update LLM4TOP, or open another folder (LLM4TOP_HOME).",
        )
    if before is None and inspect(connection).get_table_names():
        raise WorkspaceError(
            "this database holds tables that LLM4TOP did not make.",
            where=where,
            hint="Use a separate database for LLM4TOP.",
        )
    connection.rollback()
    if before is not None and engine.dialect.name == "sqlite":
        back_up(Path(str(engine.url.database)), folder / BACKUPS, before)
    config.attributes["connection"] = connection
    with _without_foreign_keys(connection):
        command.upgrade(config, "head")
        connection.commit()


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Where Alembic copies a table on SQLite, dropping the old one must not empty its children."""
    raw = connection.connection.dbapi_connection
    if connection.dialect.name != "sqlite" or raw is None:
        yield
        return
    # On the raw connection: within a transaction SQLite ignores it.
    raw.cursor().execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        connection.rollback()
        raw.cursor().execute("PRAGMA foreign_keys = ON")


def back_up(database: Path, folder: Path, step: str) -> Path:
    """Copy a SQLite file, log included, to ``folder``; only the owner can read the copy."""
    folder.mkdir(mode=0o700, exist_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    copy = folder / f"{database.stem}-{step}-{moment}.db"
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with (
        closing(sqlite3.connect(database)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def _unusable(error: SQLAlchemyError, engine: Engine) -> WorkspaceError:
    where = engine.url.set(drivername=engine.dialect.name).render_as_string(hide_password=True)
    reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300].rstrip(".?")
    if "not a database" in reason and isinstance(error, DatabaseError):
        return WorkspaceError(
            "this file is not a database, or it is damaged.",
            where=str(engine.url.database),
            hint=f"Move it away, or put a copy from the folder {BACKUPS!r} in its place.",
        )
    return WorkspaceError(
        f"the database cannot be opened: {reason}.",
        where=where,
        hint="Check that it runs, that the address is right and that you may write to it.",
    )
