"""What the stores of a workspace share: transactions, and values that outlive them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from llm4top.errors import NotFoundError, WorkspaceError
from llm4top.workspace._engine import WRITING
from llm4top.workspace._tables import Base

CHUNK = 500
"""Rows or ids in one statement: far below the number of variables any database allows."""

_Value = TypeVar("_Value")
_Row = TypeVar("_Row", bound=Base)


class Transactions(Protocol):
    """Gives a session for one short transaction: committed at its end, undone by an error."""

    def __call__(self, *, write: bool = True) -> AbstractContextManager[Session]: ...


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
        f"there is no {what} {row_id!r:.80}.", hint="It may have been deleted meanwhile."
    )


def changed_rows(result: Any) -> int:
    """How many rows an UPDATE or DELETE met."""
    count: int = result.rowcount
    return count
