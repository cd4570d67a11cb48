"""The activity log: who did what, when, and to which thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from llm4top.workspace.database import Transactions, value_of
from llm4top.workspace.tables import ActivityRow, clean_text

_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """One action. ``id`` grows with time.

    ``subject`` is the id of the thing it was done to; ``what`` names it for a person, and reads
    "(deleted)" once the thing is deleted.
    """

    id: int
    time: datetime
    action: str
    who: str
    what: str
    subject: str | None


class Activity:
    """The activity log of a workspace. Entries are only ever added."""

    def __init__(self, session: Transactions):
        self._session = session

    def log(self, action: str, who: str, what: str, *, subject: str | None = None) -> ActivityEntry:
        """Write one entry: ``action`` is a verb ("uploaded"), ``who`` did it, ``what`` it was.

        Where ``what`` holds a file's name or other text of the user's, give the thing's id as
        ``subject``: with the thing, that text goes too.
        """
        row = ActivityRow(
            action=clean_text(action)[:64],
            who=clean_text(who)[:_LONGEST],
            what=clean_text(what)[:_LONGEST],
            subject=subject,
        )
        with self._session() as session:
            session.add(row)
            session.flush()
        return value_of(ActivityEntry, row)

    def list(
        self,
        *,
        before: int | None = None,
        action: str | None = None,
        subject: str | None = None,
        limit: int | None = 100,
    ) -> Sequence[ActivityEntry]:
        """Entries, newest first; ``before`` an id, for the next page."""
        query = select(ActivityRow).order_by(ActivityRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(ActivityRow.id < before)
        if action is not None:
            query = query.where(ActivityRow.action == action)
        if subject is not None:
            query = query.where(ActivityRow.subject == subject)
        with self._session(write=False) as session:
            return [value_of(ActivityEntry, row) for row in session.scalars(query)]

    def count(self) -> int:
        """How many entries there are."""
        with self._session(write=False) as session:
            return session.scalar(select(func.count()).select_from(ActivityRow)) or 0
