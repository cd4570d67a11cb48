"""What the stores of a workspace share: transactions, and values that outlive them."""

import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from llm4top.errors import MissingExtraError, NotFoundError, WorkspaceError
from llm4top.workspace.tables import Base, clean_text

DATABASE_FILE = "llm4top.db"
URL_VARIABLE = "LLM4TOP_DATABASE_URL"
BUSY_TIMEOUT_S = 30
WRITING = {"llm4top_writing": True}
"""Execution options of a connection that is going to write."""


def database_url(folder: Path, url: str | None) -> URL:
    """The database to open: ``url``, else ``$LLM4TOP_DATABASE_URL``, else the folder's own file.

    Raises ``WorkspaceError`` for a URL of another kind of database.
    """
    chosen = url or os.environ.get(URL_VARIABLE)
    if not chosen:
        return URL.create("sqlite", database=str(folder / DATABASE_FILE))
    try:
        parsed = make_url(chosen)
    except ArgumentError:
        # The text may hold a password, so it is not repeated.
        raise WorkspaceError(
            "the database URL cannot be read.", hint=f"It has the form {_FORM}."
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise WorkspaceError(
            f"{parsed.get_backend_name()!r} is not a database that LLM4TOP can use.",
            hint=f"Leave the URL out to use SQLite in the folder, or give {_FORM}.",
        )
    if find_spec("psycopg") is None:
        raise MissingExtraError(
            "PostgreSQL needs a package that is not installed.",
            hint='Install it with: pip install "llm4top[postgresql]"',
        )
    return parsed.set(drivername="postgresql+psycopg")


_FORM = "postgresql://user:password@host/database"


def prepare_file(url: URL) -> None:
    """Make SQLite's file, readable by its owner alone; its log takes over the same rights."""
    if url.get_backend_name() == "sqlite" and url.database:
        # One that is there is left alone: closing a file that SQLite has open in this process
        # would drop SQLite's locks on it, and another process would take away its log.
        with suppress(FileExistsError):
            os.close(os.open(url.database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def make_engine(url: URL) -> Engine:
    """An engine for the database at ``url``; nothing is opened yet."""
    common: dict[str, Any] = {"json_serializer": _to_json, "hide_parameters": True}
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url, pool_pre_ping=True, connect_args={"connect_timeout": 10}, **common
        )
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **common)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transactions would leave out DDL; ours begin in _on_begin.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
        "journal_mode = WAL",
        "foreign_keys = ON",
        "synchronous = FULL",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("llm4top_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _to_json(value: Any) -> str:
    return json.dumps(storable(value), ensure_ascii=False, allow_nan=False)


def storable(value: Any) -> Any:
    """``value`` as every database can keep it: NaN and infinity become None, text is cleaned."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean_text(str(k)): storable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(v) for v in value]
    return str(value) if isinstance(value, Path) else value


CHUNK = 500
"""Rows or ids in one statement: far below the number of variables any database allows."""

_Value = TypeVar("_Value")
_Row = TypeVar("_Row", bound=Base)


class Transactions(Protocol):
    """Gives a session for one short transaction: committed at its end, undone by an error."""

    def __call__(self, *, write: bool = True) -> AbstractContextManager[Session]:
        """Open a session; without ``write`` for reading only."""


def transactions(engine: Engine) -> Transactions:
    """Transactions on ``engine``. One that only reads never waits for one that writes."""
    writer = engine.execution_options(**WRITING)

    @contextmanager
    def session(*, write: bool = True) -> Iterator[Session]:
        try:
            with Session(writer if write else engine, expire_on_commit=False) as made:
                yield made
                made.commit()
        except OperationalError as error:
            raise WorkspaceError(
                f"the database did not answer: {' '.join(str(error.orig).split())[:300]}.",
                hint="Nothing was changed. Check that the disk is not full and try again.",
            ) from error

    return session


def value_of(kind: Callable[..., _Value], row: Base) -> _Value:
    """The row as an immutable value of dataclass ``kind``, whose fields are columns."""
    return kind(**{f.name: getattr(row, f.name) for f in fields(kind)})  # type: ignore[arg-type]


def find(session: Session, table: type[_Row], row_id: str, what: str) -> _Row:
    """The row with this id; ``NotFoundError`` says that there is no such ``what``."""
    row: Any = session.get(table, row_id)
    if row is None:
        raise missing(what, row_id)
    found: _Row = row
    return found


def missing(what: str, row_id: str) -> NotFoundError:
    """The error for an id that nothing has."""
    return NotFoundError(
        f"there is no {what} {row_id!r:.80}.", hint="It may have been deleted in the meantime."
    )


def changed_rows(result: Any) -> int:
    """How many rows an UPDATE or DELETE met."""
    count: int = result.rowcount
    return count
