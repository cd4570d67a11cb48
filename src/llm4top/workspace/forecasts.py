"""Stored forecasts, each with its whole JSON form."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace import tables
from llm4top.workspace.batches import ensure_batch
from llm4top.workspace.database import CHUNK, Transactions, find, missing, storable, value_of

Order = Literal["position", "probability", "newest"]


@dataclass(frozen=True, slots=True)
class StoredForecast:
    """A forecast that was made. Those of one request share ``batch``, in order of ``position``.

    ``values`` is its JSON form; the other fields are for lists.
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
        forecasts: Iterable[Forecast | Mapping[str, Any]],
        *,
        run_id: str | None = None,
        batch: str | None = None,
        name: str = "",
        moment: datetime | None = None,
    ) -> str:
        """Store the forecasts of one request. After an error none of them is stored.

        They are written in chunks, so that other writers do not wait for ten thousand.

        Args:
            upload_id: The upload they were made from.
            forecasts: ``Forecast`` values, or their JSON form.
            run_id: The run that made them.
            batch: An existing batch to append to; None makes one.
            name: What to call a new batch; its first record's name where empty.
            moment: When they were made; now where None. Those of one moment keep their order.

        Returns:
            The id of their batch.

        Raises:
            NotFoundError: There is no such upload or run.
        """
        batch, moment = batch or tables.new_id(), moment or tables.now()
        start = self._next_position(batch, upload_id, run_id)
        shared = {"batch": batch, "upload_id": upload_id, "run_id": run_id, "created": moment}
        positions, source = count(start), iter(forecasts)
        try:
            while chunk := list(islice(source, CHUNK)):
                rows = [_columns(made) | shared | {"position": next(positions)} for made in chunk]
                with self._session() as session:
                    ensure_batch(session, batch, name or rows[0]["record"], run_id)
                    session.execute(insert(tables.ForecastRow), rows)
        except BaseException as error:
            self._undo(batch, start)
            if isinstance(error, IntegrityError):
                # The upload or the run was deleted while its forecasts were made.
                raise missing("upload or run", upload_id or run_id or "") from error
            raise
        return batch

    def _next_position(self, batch: str, upload_id: str | None, run_id: str | None) -> int:
        """Where in the batch the next forecast goes; checks that upload and run exist."""
        with self._session(write=False) as session:
            if upload_id is not None:
                find(session, tables.UploadRow, upload_id, "upload")
            if run_id is not None:
                find(session, tables.RunRow, run_id, "run")
            last = session.scalar(
                select(func.max(tables.ForecastRow.position)).where(
                    tables.ForecastRow.batch == batch
                )
            )
        return 0 if last is None else last + 1

    def _undo(self, batch: str, start: int) -> None:
        """Remove the forecasts from position ``start`` on, and a batch that has no others."""
        with self._session() as session:
            mine = (tables.ForecastRow.batch == batch, tables.ForecastRow.position >= start)
            session.execute(delete(tables.ForecastRow).where(*mine))
            if not start:
                session.execute(delete(tables.BatchRow).where(tables.BatchRow.id == batch))

    def get(self, forecast_id: str) -> StoredForecast:
        """The forecast; ``NotFoundError`` where there is none."""
        with self._session(write=False) as session:
            return value_of(
                StoredForecast, find(session, tables.ForecastRow, forecast_id, "forecast")
            )

    def attach(self, forecast_id: str, name: str, value: Mapping[str, Any]) -> None:
        """Keep JSON-able values with a forecast, under a name that no forecast's own field has.

        Raises ``NotFoundError`` where the forecast is gone.
        """
        with self._session() as session:
            row = find(session, tables.ForecastRow, forecast_id, "forecast")
            row.values = {**row.values, name: storable(value)}

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
        query = select(tables.ForecastRow).where(*_conditions(batch, upload_id, run_id, nct_id))
        by: dict[str, tuple[Any, ...]] = {
            "newest": (
                tables.ForecastRow.created.desc(),
                tables.ForecastRow.batch,
                tables.ForecastRow.position,
            ),
            "position": (tables.ForecastRow.batch, tables.ForecastRow.position),
            "probability": (tables.ForecastRow.probability.desc(), tables.ForecastRow.position),
        }
        with self._session(write=False) as session:
            rows = session.scalars(query.order_by(*by[order]).limit(limit).offset(offset))
            return [value_of(StoredForecast, row) for row in rows]

    def whole(self, ids: Sequence[str]) -> Sequence[tuple[str, dict[str, Any]]]:
        """JSON forms by id, in the order of ``ids``; deleted ones are left out."""
        found: dict[str, dict[str, Any]] = {}
        with self._session(write=False) as session:
            for start in range(0, len(ids), CHUNK):
                some = tables.ForecastRow.id.in_(ids[start : start + CHUNK])
                rows = session.execute(
                    select(tables.ForecastRow.id, tables.ForecastRow.values).where(some)
                )
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
        query = select(func.count()).select_from(tables.ForecastRow).where(*conditions)
        with self._session(write=False) as session:
            return session.scalar(query) or 0


def _conditions(
    batch: str | None, upload_id: str | None, run_id: str | None, nct_id: str | None
) -> list[ColumnElement[bool]]:
    row = tables.ForecastRow
    filters = (
        (row.batch, batch),
        (row.upload_id, upload_id),
        (row.run_id, run_id),
        (row.nct_id, nct_id),
    )
    return [column == value for column, value in filters if value is not None]


def _columns(made: Forecast | Mapping[str, Any]) -> dict[str, Any]:
    values = made if isinstance(made, Mapping) else made.to_dict()
    columns: dict[str, Any] = {
        name: tables.clean_text(str(values[name])) for name in ("record", "task", "label", "bundle")
    }
    for name in ("nct_id", "phase"):
        value = values.get(name)
        columns[name] = None if value is None else tables.clean_text(str(value))
    return columns | {
        "id": tables.new_id(),
        "probability": float(values["probability"]),
        "values": storable(values),
    }
