"""Drafts of a workspace: trials that have no record yet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select

from llm4top.registry.api_writer import study_of
from llm4top.registry.draft import Draft
from llm4top.text import one_line
from llm4top.workspace.database import Transactions, changed_rows, find, missing, storable, value_of
from llm4top.workspace.deletion import Eraser
from llm4top.workspace.tables import DraftRow, now

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class SavedDraft:
    """A draft that is kept. ``study`` is its JSON; ``name`` its title."""

    id: str
    name: str
    study: dict[str, Any]
    created: datetime
    changed: datetime

    @property
    def draft(self) -> Draft:
        """The draft itself."""
        return Draft.from_json(json.dumps(self.study), name=self.name)


class Drafts:
    """The drafts of a workspace; what each was read from is not kept."""

    def __init__(self, session: Transactions, eraser: Eraser):
        self._session = session
        self._eraser = eraser

    def add(self, draft: Draft) -> SavedDraft:
        """Keep a draft; it need not be complete enough to be a record."""
        row = DraftRow(**_columns(draft))
        with self._session() as session:
            session.add(row)
            session.flush()
            return value_of(SavedDraft, row)

    def change(self, draft_id: str, draft: Draft) -> SavedDraft:
        """Put another draft in the place of one; ``NotFoundError`` where there is none."""
        with self._session() as session:
            row = find(session, DraftRow, draft_id, "draft")
            for name, value in _columns(draft).items():
                setattr(row, name, value)
            row.changed = now()
            session.flush()
            return value_of(SavedDraft, row)

    def get(self, draft_id: str) -> SavedDraft:
        """The draft; ``NotFoundError`` where there is none."""
        with self._session(write=False) as session:
            return value_of(SavedDraft, find(session, DraftRow, draft_id, "draft"))

    def list(self, *, limit: int | None = 100, offset: int = 0) -> Sequence[SavedDraft]:
        """Drafts, the one changed last first."""
        query = select(DraftRow).order_by(DraftRow.changed.desc(), DraftRow.id)
        with self._session(write=False) as session:
            rows = session.scalars(query.limit(limit).offset(offset))
            return [value_of(SavedDraft, row) for row in rows]

    def count(self) -> int:
        """How many there are."""
        with self._session(write=False) as session:
            return session.scalar(select(func.count()).select_from(DraftRow)) or 0

    def delete(self, draft_id: str) -> None:
        """Delete a draft for good; its forecasts stay. ``NotFoundError`` where there is none."""
        with self._session() as session:
            gone = session.execute(delete(DraftRow).where(DraftRow.id == draft_id))
            if not changed_rows(gone):
                raise missing("draft", draft_id)
            self._eraser.forget(session, draft_id)
        self._eraser.wipe()


def _columns(draft: Draft) -> dict[str, Any]:
    name = one_line(draft.title, _LONGEST_NAME)
    return {"name": name, "study": storable(study_of(draft.trial))}
