"""What the stores of a workspace share: transactions, and values that outlive them."""

import json
import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Engine,
    Interval,
    create_engine,
    event,
    func,
    literal,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from llm4top.errors import DatabaseError, MissingExtraError, NotFoundError, WorkspaceError
from llm4top.workspace.tables import Base, clean_text, now

DATABASE_FILE = "llm4top.db"
URL_VARIABLE = "LLM4TOP_DATABASE_URL"
PASSWORD_VARIABLE = "LLM4TOP_DATABASE_PASSWORD_FILE"
"""Names a file with the password, so that neither a URL nor the environment holds it."""
BUSY_TIMEOUT_S = 30
WRITING = {"llm4top_writing": True}
"""Execution options of a connection that is going to write."""

LOST_S = 60
"""Seconds after which a connection whose other end is silent counts as lost, on both ends.

Without it PostgreSQL would keep the locks of a machine that lost its power for two hours.
"""

RETRY_S = 0.5

log = logging.getLogger(__name__)


def database_url(folder: Path, url: str | None) -> URL:
    """The database to open: ``url``, else ``$LLM4TOP_DATABASE_URL``, else the folder's own file.

    Raises ``WorkspaceError`` for a URL of another kind of database.
    """
    chosen = url or os.environ.get(URL_VARIABLE)
    if not chosen:
        return URL.create("sqlite", database=str(folder / DATABASE_FILE))
    try:
        parsed = make_url(chosen)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
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
    return _with_password(parsed).set(drivername="postgresql+psycopg")


def _with_password(url: URL) -> URL:
    """The URL with the password of the file that ``PASSWORD_VARIABLE`` names, if it has none."""
    file = os.environ.get(PASSWORD_VARIABLE)
    if not file or url.password is not None:
        return url
    try:
        password = Path(file).read_text("utf-8").strip()
        problem = "it has more than one line" if set(password) & set("\0\r\n") else None
    except UnicodeDecodeError:
        password, problem = "", "it is not text"
    except OSError as error:
        password, problem = "", str(error.strerror)
    if problem is None:
        return url.set(password=password)
    raise WorkspaceError(
        f"the password of the database cannot be read ({problem}).",
        where=file,
        hint=f"{PASSWORD_VARIABLE} names a text file that holds only the password.",
    )


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
        found = {"connect_timeout": 10, "keepalives_idle": LOST_S // 2, "keepalives_interval": 10}
        found |= {"keepalives_count": 3, "tcp_user_timeout": LOST_S * 1000}
        engine = create_engine(url, pool_pre_ping=True, connect_args=found, **common)
        event.listen(engine, "connect", _on_connect_to_server)
        return engine
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **common)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect_to_server(connection: Any, _record: Any) -> None:
    seconds = {
        "idle_in_transaction_session_timeout": f"{LOST_S}s",
        "tcp_keepalives_idle": LOST_S // 2,
        "tcp_keepalives_interval": 10,
        "tcp_keepalives_count": 3,
    }
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} = '{value}'" for name, value in seconds.items()))
    connection.commit()


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


Check = Callable[[Session], None]
_waits: ContextVar[bool] = ContextVar("waits", default=False)


@contextmanager
def waiting_for_database(wait: bool = True) -> Iterator[None]:
    """In this block and thread, a transaction that finds no server to begin on waits for it."""
    before = _waits.set(wait)
    try:
        yield
    finally:
        _waits.reset(before)


class EngineTransactions:
    """Transactions on ``engine``. One that only reads never waits for one that writes.

    ``check``, where it is set, sees each transaction that writes first, and may refuse it.
    """

    def __init__(self, engine: Engine):
        self._reader = engine
        self._writer = engine.execution_options(**WRITING)
        self.check: Check | None = None

    @contextmanager
    def __call__(self, *, write: bool = True) -> Iterator[Session]:
        """Open a session; without ``write`` for reading only."""
        try:
            with self._begun(write) as made:
                if write and self.check is not None:
                    self.check(made)
                yield made
                made.commit()
        except DBAPIError as error:
            if is_away(error):
                raise self._away(error) from error
            if not isinstance(error, OperationalError):
                raise
            reason = " ".join(str(error.orig).split())[:300]
            raise WorkspaceError(
                f"the database did not answer: {reason}.",
                hint="Nothing was changed. Check that the disk is not full and try again.",
            ) from error

    def _begun(self, write: bool) -> Session:
        waited = False
        while True:
            made = Session(self._writer if write else self._reader, expire_on_commit=False)
            try:
                made.connection()
            except DBAPIError as error:
                made.close()
                if not (_waits.get() and is_away(error)):
                    raise
                if not waited:
                    log.warning("%s Waiting for it.", self._away(error))
                waited = True
                time.sleep(RETRY_S)
            else:
                if waited:
                    log.info("The database answers again.")
                return made

    def _away(self, error: DBAPIError) -> DatabaseError:
        url = self._reader.url
        # The driver's first line repeats the address before the reason.
        reason = str(error.orig).partition("\n")[0].rpartition("failed: ")[2].strip()
        return DatabaseError(
            f"the database at {url.host or 'this machine'}{f':{url.port}' if url.port else ''} "
            f"does not answer ({reason or type(error.orig).__name__}).",
            hint="What is finished is kept; the work goes on when it answers.",
        )


def is_away(error: DBAPIError) -> bool:
    """Whether a database server could not be reached, or broke the connection off."""
    if isinstance(error.orig, sqlite3.Error):
        return False
    if error.connection_invalidated:
        return True
    # Connections that cannot be made have no code; 57P03: it is starting; 53300: it is full.
    code = getattr(error.orig, "sqlstate", None)
    return isinstance(error, OperationalError) and (
        code is None or code[:2] in ("08", "57") or code == "53300"
    )


def moment_ahead(session: Session, seconds: float) -> Any:
    """The moment in so many seconds, by the database's clock: those of machines differ."""
    if session.get_bind().dialect.name == "sqlite":
        return now() + timedelta(seconds=seconds)
    clock = func.clock_timestamp(type_=DateTime(timezone=True))
    return clock + literal(timedelta(seconds=seconds), Interval())


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
