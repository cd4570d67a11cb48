"""Forecasts that were made, kept with everything that was said about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from llm4top.workspace.batches import ensure_batch
from llm4top.workspace.database import CHUNK, Transactions, find, missing, storable, value_of
from llm4top.workspace.tables import (
    BatchRow,
    ForecastRow,
    RunRow,
    UploadRow,
    clean_text,
    new_id,
    now,
)

Order = Literal["position", "probability", "newest"]


class SaysItself(Protocol):
    """A forecast, or anything of its shape."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, with those that a ``Forecast`` has."""
        ...


@dataclass(frozen=True, slots=True)
class StoredForecast:
    """A forecast that was made. Those of one request share ``batch``, in order of ``position``.

    ``values`` is all that was said, as ``to_dict`` gave it; the other fields are for lists.
    """

    id: str
    batch: str
    position: int
    upload_id: str | None
    run_id: str | None
    record: str
    nct_id: str | None
    phase: str | None
    task: str
    label: str
    probability: float
    bundle: str
    values: dict[str, Any]
    created: datetime


class Forecasts:
    """The forecasts of a workspace; ``Batches`` lists and deletes those made together."""

    def __init__(self, session: Transactions):
        self._session = session

    def add(
        self,
        upload_id: str | None,
        forecasts: Iterable[SaysItself | Mapping[str, Any]],
        *,
        run_id: str | None = None,
        batch: str | None = None,
        name: str = "",
        moment: datetime | None = None,
    ) -> str:
        """Keep the forecasts of one request; returns the id of their batch.

        A new batch is called ``name``, or by its first record where that is empty. ``moment`` is
        when they were made, now where it is None: those of one moment stay in their order.

        They are written some hundreds at a time, so that nobody waits for ten thousand. With
        ``batch`` they are appended to one that was begun. Where it fails half way, nothing of
        this call stays. Raises ``NotFoundError`` for an unknown upload or run.
        """
        batch = batch or new_id()
        moment, written = moment or now(), 0
        with self._session(write=False) as session:
            if upload_id is not None:
                find(session, UploadRow, upload_id, "upload")
            if run_id is not None:
                find(session, RunRow, run_id, "run")
            first = session.scalar(
                select(func.max(ForecastRow.position)).where(ForecastRow.batch == batch)
            )
        start = 0 if first is None else first + 1
        source = iter(forecasts)
        try:
            while chunk := list(islice(source, CHUNK)):
                rows = [
                    {
                        **_columns(said),
                        "batch": batch,
                        "position": start + written + n,
                        "upload_id": upload_id,
                        "run_id": run_id,
                        "created": moment,
                    }
                    for n, said in enumerate(chunk)
                ]
                with self._session() as session:
                    ensure_batch(session, batch, name or rows[0]["record"], run_id)
                    session.execute(insert(ForecastRow), rows)
                written += len(rows)
        except BaseException as error:
            with self._session() as session:
                mine = (ForecastRow.batch == batch, ForecastRow.position >= start)
                session.execute(delete(ForecastRow).where(*mine))
                if not start:
                    session.execute(delete(BatchRow).where(BatchRow.id == batch))
            if isinstance(error, IntegrityError):
                # The upload or the run was deleted while its forecasts were made.
                raise missing("upload or run", upload_id or run_id or "") from error
            raise
        return batch

    def get(self, forecast_id: str) -> StoredForecast:
        """The forecast; ``NotFoundError`` where there is none."""
        with self._session(write=False) as session:
            return value_of(StoredForecast, find(session, ForecastRow, forecast_id, "forecast"))

    def list(
        self,
        *,
        batch: str | None = None,
        upload_id: str | None = None,
        run_id: str | None = None,
        nct_id: str | None = None,
        order: Order = "newest",
        limit: int | None = 100,
        offset: int = 0,
    ) -> Sequence[StoredForecast]:
        """Forecasts: the newest first, in the order of their records, or the likeliest first."""
        query = select(ForecastRow).where(*_conditions(batch, upload_id, run_id, nct_id))
        by: dict[str, tuple[Any, ...]] = {
            "newest": (ForecastRow.created.desc(), ForecastRow.batch, ForecastRow.position),
            "position": (ForecastRow.batch, ForecastRow.position),
            "probability": (ForecastRow.probability.desc(), ForecastRow.position),
        }
        with self._session(write=False) as session:
            rows = session.scalars(query.order_by(*by[order]).limit(limit).offset(offset))
            return [value_of(StoredForecast, row) for row in rows]

    def whole(self, ids: Sequence[str]) -> Sequence[tuple[str, dict[str, Any]]]:
        """All that was said, by id, in the order asked for; without those that are gone."""
        found: dict[str, dict[str, Any]] = {}
        with self._session(write=False) as session:
            for start in range(0, len(ids), CHUNK):
                some = ForecastRow.id.in_(ids[start : start + CHUNK])
                rows = session.execute(select(ForecastRow.id, ForecastRow.values).where(some))
                found |= {row_id: values for row_id, values in rows}  # noqa: C416 - rows, no pairs
        return [(row_id, found[row_id]) for row_id in ids if row_id in found]

    def count(
        self,
        *,
        batch: str | None = None,
        upload_id: str | None = None,
        run_id: str | None = None,
        nct_id: str | None = None,
    ) -> int:
        """How many forecasts ``list`` would give without a limit."""
        conditions = _conditions(batch, upload_id, run_id, nct_id)
        query = select(func.count()).select_from(ForecastRow).where(*conditions)
        with self._session(write=False) as session:
            return session.scalar(query) or 0


def _conditions(
    batch: str | None, upload_id: str | None, run_id: str | None, nct_id: str | None
) -> list[ColumnElement[bool]]:
    row = ForecastRow
    asked = (
        (row.batch, batch),
        (row.upload_id, upload_id),
        (row.run_id, run_id),
        (row.nct_id, nct_id),
    )
    return [column == value for column, value in asked if value is not None]


def _columns(said: SaysItself | Mapping[str, Any]) -> dict[str, Any]:
    values = dict(said) if isinstance(said, Mapping) else said.to_dict()
    texts = {name: clean_text(str(values[name])) for name in ("record", "task", "label", "bundle")}
    known = {
        name: None if values.get(name) is None else clean_text(str(values[name]))
        for name in ("nct_id", "phase")
    }
    return {
        "id": new_id(),
        **texts,
        **known,
        "probability": float(values["probability"]),
        "values": storable(values),
    }
