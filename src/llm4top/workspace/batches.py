"""Batches: what was forecast together, under a name, with what of it got no forecast."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, cast, delete, exists, func, insert, or_, select
from sqlalchemy.orm import Session

from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.database import CHUNK, Transactions, changed_rows, find, missing, storable
from llm4top.workspace.deletion import Eraser
from llm4top.workspace.serving.parsing import NOTE, Refusal
from llm4top.workspace.tables import BatchRow, ForecastRow, LeftOutRow, clean_text, new_id

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """Forecasts that were requested together.

    ``count`` forecasts were made (by ``bundle``, the newest where there were several) and
    ``left_out`` files or records got none. ``run_id`` is the run that made them, if one did.
    """

    id: str
    name: str
    run_id: str | None
    created: datetime
    bundle: str | None
    count: int
    left_out: int


class Batches:
    """The batches of a workspace."""

    def __init__(self, session: Transactions, eraser: Eraser):
        self._session = session
        self._eraser = eraser

    def open(self, name: str, *, run_id: str | None = None, batch: str | None = None) -> str:
        """Begin a batch; returns its id. One of that id that is there already stays as it is."""
        batch = batch or new_id()
        with self._session() as session:
            ensure_batch(session, batch, name, run_id)
        return batch

    def get(self, batch: str) -> Batch:
        """The batch; ``NotFoundError`` where there is none."""
        with self._session(write=False) as session:
            row = session.execute(_overview().where(BatchRow.id == batch)).one_or_none()
        if row is None:
            raise missing("batch of forecasts", batch)
        return Batch(*row)

    def list(self, *, search: str = "", limit: int | None = 100, offset: int = 0) -> list[Batch]:
        """Batches, newest first; with ``search`` those whose name or trials hold its words."""
        query = _overview().where(*_holds_any(), *_matches(search))
        query = query.order_by(BatchRow.created.desc(), BatchRow.id).limit(limit).offset(offset)
        with self._session(write=False) as session:
            return [Batch(*row) for row in session.execute(query)]

    def count(self, *, search: str = "") -> int:
        """How many batches ``list`` would give without a limit."""
        query = select(func.count()).select_from(BatchRow)
        with self._session(write=False) as session:
            return session.scalar(query.where(*_holds_any(), *_matches(search))) or 0

    def rename(self, batch: str, name: str) -> None:
        """Give it another name; ``NotFoundError`` where there is none."""
        with self._session() as session:
            find(session, BatchRow, batch, "batch of forecasts").name = _short(name)

    def delete(self, batch: str) -> None:
        """Delete a batch with all forecasts for good; ``NotFoundError`` where there is none."""
        with self._session() as session:
            session.execute(delete(ForecastRow).where(ForecastRow.batch == batch))
            gone = session.execute(delete(BatchRow).where(BatchRow.id == batch))
            if not changed_rows(gone):
                raise missing("batch of forecasts", batch)
            self._eraser.forget(session, batch)
        self._eraser.wipe()

    def clear(self, batch: str) -> None:
        """Empty a batch, to fill it again; does nothing where there is none."""
        with self._session() as session:
            session.execute(delete(ForecastRow).where(ForecastRow.batch == batch))
            session.execute(delete(LeftOutRow).where(LeftOutRow.batch == batch))

    def leave_out(self, batch: str, refusals: Iterable[Refusal]) -> None:
        """Append records without a forecast to those of the batch; ``NotFoundError`` as ``get``."""
        with self._session() as session:
            find(session, BatchRow, batch, "batch of forecasts")
            query = select(func.max(LeftOutRow.position)).where(LeftOutRow.batch == batch)
            last = session.scalar(query)
            first = 0 if last is None else last + 1
            rows = [
                {
                    "id": new_id(),
                    "batch": batch,
                    "position": first + n,
                    "code": refusal.code[:64],
                    "record": clean_text(refusal.record),
                    "values": storable(refusal.to_dict()),
                }
                for n, refusal in enumerate(refusals)
            ]
            for start in range(0, len(rows), CHUNK):
                session.execute(insert(LeftOutRow), rows[start : start + CHUNK])

    def left_out(self, batch: str) -> Sequence[Refusal]:
        """What of the batch got no forecast, in its order, without the texts of its records."""
        with self._session(write=False) as session:
            light = _light(session, LeftOutRow.values, ["subject.sections", "subject.withheld"])
            query = select(LeftOutRow.id, light).where(LeftOutRow.batch == batch)
            rows = session.execute(query.order_by(LeftOutRow.position))
            return [Refusal(**{**json.loads(values), "id": row_id}) for row_id, values in rows]

    def one_left_out(self, row_id: str) -> tuple[str, Refusal]:
        """One of those in full, and its batch; ``NotFoundError`` as ``get``."""
        with self._session(write=False) as session:
            row = find(session, LeftOutRow, row_id, "record")
            return row.batch, Refusal(**{**row.values, "id": row.id})

    def lines(self, batch: str) -> Sequence[Forecast]:
        """The batch's forecasts as lists show them, the newest first, without withheld and read.

        Each has its ``id``; the whole of one is ``Forecasts.get``.
        """
        with self._session(write=False) as session:
            light = _light(session, ForecastRow.values, ["withheld", "sections", "reasons"])
            query = select(ForecastRow.id, light).where(ForecastRow.batch == batch)
            newest = (ForecastRow.created.desc(), ForecastRow.position)
            rows = session.execute(query.order_by(*newest)).yield_per(CHUNK)
            return [Forecast.from_dict(json.loads(values), id=row_id) for row_id, values in rows]

    def withheld_counts(self, ids: Sequence[str]) -> dict[str, int]:
        """For the ids of forecasts: how many things were withheld from the model."""
        with self._session(write=False) as session:
            length = (
                func.jsonb_array_length(ForecastRow.values["withheld"])
                if session.get_bind().dialect.name == "postgresql"
                else func.json_array_length(cast(ForecastRow.values, Text), "$.withheld")
            )
            query = select(ForecastRow.id, length).where(ForecastRow.id.in_(ids))
            return {row_id: count or 0 for row_id, count in session.execute(query)}


def ensure_batch(session: Session, batch: str, name: str, run_id: str | None) -> None:
    """Make the batch's row where there is none, within a transaction."""
    if session.get(BatchRow, batch) is None:
        session.add(BatchRow(id=batch, name=_short(name), run_id=run_id))
        session.flush()


def batches_of(session: Session, upload_id: str) -> list[str]:
    """The batches that hold forecasts of an upload."""
    query = select(ForecastRow.batch).where(ForecastRow.upload_id == upload_id).distinct()
    return list(session.scalars(query))


def settle_batches(session: Session, batches: Iterable[str]) -> None:
    """After some of their forecasts went: an empty batch goes, and none is called by what went."""
    for batch in batches:
        first = select(ForecastRow.record).where(ForecastRow.batch == batch)
        name = session.scalar(first.order_by(ForecastRow.position).limit(1))
        if name is None:
            session.execute(delete(BatchRow).where(BatchRow.id == batch))
            continue
        session.execute(delete(LeftOutRow).where(LeftOutRow.batch == batch))
        row = session.get(BatchRow, batch)
        if row is not None:
            row.name = _short(name)


def _short(name: str) -> str:
    plain = " ".join(clean_text(name).split())
    return plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 1] + "…"


def _overview() -> Any:
    made = ForecastRow.batch == BatchRow.id
    newest = select(ForecastRow.bundle).where(made).order_by(ForecastRow.created.desc()).limit(1)
    left = select(func.count()).select_from(LeftOutRow)
    left = left.where(LeftOutRow.batch == BatchRow.id, LeftOutRow.code != NOTE)
    return select(
        BatchRow.id,
        BatchRow.name,
        BatchRow.run_id,
        BatchRow.created,
        newest.correlate(BatchRow).scalar_subquery(),
        select(func.count()).select_from(ForecastRow).where(made).scalar_subquery(),
        left.scalar_subquery(),
    )


def _holds_any() -> list[ColumnElement[bool]]:
    """Batches whose forecasts went with their uploads are not listed."""
    return [
        or_(
            exists().where(ForecastRow.batch == BatchRow.id),
            exists().where(LeftOutRow.batch == BatchRow.id),
        )
    ]


def _matches(search: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for word in clean_text(search).casefold().split():
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        like = f"%{escaped}%"
        texts = (
            ForecastRow.record,
            ForecastRow.nct_id,
            ForecastRow.values["title"].as_string(),
        )
        of_a_trial = or_(*(func.lower(text).like(like, escape="\\") for text in texts))
        of_one_left_out = func.lower(LeftOutRow.record).like(like, escape="\\")
        found.append(
            or_(
                func.lower(BatchRow.name).like(like, escape="\\"),
                exists().where(ForecastRow.batch == BatchRow.id, of_a_trial),
                exists().where(LeftOutRow.batch == BatchRow.id, of_one_left_out),
            )
        )
    return found


def _light(session: Session, values: Any, heavy: Sequence[str]) -> ColumnElement[str]:
    """Stored JSON as text without its ``heavy`` parts, which the database leaves out."""
    if session.get_bind().dialect.name == "postgresql":
        for name in heavy:
            values = values.op("#-")(cast(name.split("."), ARRAY(Text)))
        return cast(values, Text)
    paths = [f"$.{name}" for name in heavy]
    return func.json_remove(cast(values, Text), *paths, type_=Text)
