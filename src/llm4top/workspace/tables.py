"""The tables of a workspace. Ids are made by us, are opaque, and are never part of a user's path.

The current tables; ``migrations`` brings older databases to them.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID_LENGTH = 32


def clean_text(text: str) -> str:
    """``text`` without what PostgreSQL or UTF-8 cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def new_id() -> str:
    """A new opaque id: 32 hexadecimal digits that tell nothing and cannot be guessed."""
    return uuid4().hex


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC, on databases with time zones and without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC; SQLite keeps no zone."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give every moment its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text without what PostgreSQL or UTF-8 cannot hold, in values and in queries."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Leave out NUL and lone surrogates."""
        return None if value is None else clean_text(value)


class Id(TypeDecorator[str]):
    """An id; text that cannot be an id matches nothing, on every database."""

    impl = String(ID_LENGTH)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Turn what is not spelt like an id into one that nothing has."""
        if value is None:
            return None
        plain = value.isascii() and value.isalnum() and len(value) <= ID_LENGTH
        return value if plain else "-"


# SQLite numbers rows by itself only where the column is a plain INTEGER.
Counter = BigInteger().with_variant(Integer(), "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it from the class)
        datetime: UtcTime,
        dict[str, Any]: Json,
    }


class UploadRow(Base):
    """A file that was brought in; its bytes lie in ``uploads/<id>``."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(CleanText)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[datetime] = mapped_column(default=now, index=True)


class DatasetRow(Base):
    """A data set; ``folder`` is None where it is in ``datasets/<id>``."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(CleanText)
    task: Mapped[str] = mapped_column(CleanText)
    rows: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    folder: Mapped[str | None] = mapped_column(CleanText, unique=True)
    card: Mapped[dict[str, Any]]
    created: Mapped[datetime] = mapped_column(default=now, index=True)


class BundleRow(Base):
    """A bundle in the store; its files lie in ``bundles/<name>``."""

    __tablename__ = "bundles"
    __table_args__ = (
        # At most one default.
        Index(
            "ix_bundles_default",
            "is_default",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(CleanText, unique=True)
    identity: Mapped[str] = mapped_column(CleanText)
    task: Mapped[str] = mapped_column(CleanText)
    facts: Mapped[dict[str, Any]]
    is_default: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(default=now, index=True)


class RunRow(Base):
    """A job and its state; ``run_states.py`` has the transitions.

    ``host``, ``pid`` and ``pid_started`` name the process that does it. ``attempt`` counts how
    often it was started: reports of a worker about an earlier attempt are ignored. ``lease`` is
    when, by the database's clock, other machines may take the run for lost; its worker moves it on.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'stopping', 'done', 'failed', 'interrupted')",
            name="ck_runs_state",
        ),
        Index("ix_runs_queue", "state", "queued"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(CleanText, default="")
    settings: Mapped[dict[str, Any]]
    device: Mapped[str | None] = mapped_column(String(64))
    folder: Mapped[str | None] = mapped_column(CleanText, unique=True)
    attempt: Mapped[int] = mapped_column(default=0)
    resuming: Mapped[bool] = mapped_column(default=False)
    host: Mapped[str | None] = mapped_column(CleanText)
    pid: Mapped[int | None]
    pid_started: Mapped[float | None] = mapped_column(Float(53))
    lease: Mapped[datetime | None]
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(CleanText)
    created: Mapped[datetime] = mapped_column(default=now, index=True)
    queued: Mapped[datetime] = mapped_column(default=now)
    started: Mapped[datetime | None]
    finished: Mapped[datetime | None]


class RunEventRow(Base):
    """One thing that happened in a run; ids grow with time."""

    __tablename__ = "run_events"
    __table_args__ = (
        Index("ix_run_events_run", "run_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Counter, primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    time: Mapped[datetime] = mapped_column(default=now)
    kind: Mapped[str] = mapped_column(String(32))
    details: Mapped[dict[str, Any]]


class DraftRow(Base):
    """A trial without a record; ``study`` is its JSON, which may lack nearly everything."""

    __tablename__ = "drafts"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(CleanText)
    study: Mapped[dict[str, Any]]
    created: Mapped[datetime] = mapped_column(default=now, index=True)
    changed: Mapped[datetime] = mapped_column(default=now)


class BatchRow(Base):
    """Records that were forecast together: a drop, a request or a run, under a person's name."""

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(CleanText)
    run_id: Mapped[str | None] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), index=True
    )
    created: Mapped[datetime] = mapped_column(default=now, index=True)


class LeftOutRow(Base):
    """A file or record of a batch that got no forecast: refused, or not what the question asks."""

    __tablename__ = "left_out"
    __table_args__ = (Index("ix_left_out_batch", "batch", "position"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    batch: Mapped[str] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    position: Mapped[int]
    code: Mapped[str] = mapped_column(String(64))
    record: Mapped[str] = mapped_column(CleanText)
    values: Mapped[dict[str, Any]]


class ForecastRow(Base):
    """A bundle's forecast of one record; those of one request share ``batch``."""

    __tablename__ = "forecasts"
    __table_args__ = (
        Index("ix_forecasts_batch", "batch", "position"),
        Index("ix_forecasts_newest", text("created DESC"), "batch", "position"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    batch: Mapped[str] = mapped_column(Id)
    position: Mapped[int]
    upload_id: Mapped[str | None] = mapped_column(
        ForeignKey("uploads.id", ondelete="CASCADE"), index=True
    )
    run_id: Mapped[str | None] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), index=True
    )
    record: Mapped[str] = mapped_column(CleanText)
    nct_id: Mapped[str | None] = mapped_column(CleanText, index=True)
    phase: Mapped[str | None] = mapped_column(CleanText)
    task: Mapped[str] = mapped_column(CleanText)
    label: Mapped[str] = mapped_column(CleanText)
    probability: Mapped[float] = mapped_column(Float(53))
    bundle: Mapped[str] = mapped_column(CleanText)
    created: Mapped[datetime] = mapped_column(default=now)
    # Last, since it is long: lists that do not ask for it need not read past it.
    values: Mapped[dict[str, Any]]


class ActivityRow(Base):
    """Who did what, and when; ``subject`` is the id of the thing it was done to."""

    __tablename__ = "activity"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Counter, primary_key=True, autoincrement=True)
    time: Mapped[datetime] = mapped_column(default=now)
    action: Mapped[str] = mapped_column(String(64))
    who: Mapped[str] = mapped_column(CleanText)
    what: Mapped[str] = mapped_column(CleanText)
    subject: Mapped[str | None] = mapped_column(Id, index=True)
