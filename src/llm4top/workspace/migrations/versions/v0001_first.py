"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(32)
TIME = sa.DateTime(timezone=True)
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
STATES = "'queued', 'running', 'stopping', 'done', 'failed', 'interrupted'"


def _column(name: str, kind: Any, *rules: Any, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, *rules, nullable=null)


def upgrade() -> None:
    """Make all tables."""
    _things()
    _runs()
    _forecasts()
    op.create_table(
        "activity",
        sa.Column("id", COUNTER, primary_key=True, autoincrement=True),
        _column("time", TIME),
        _column("action", sa.String(64)),
        _column("who", sa.Text()),
        _column("what", sa.Text()),
        _column("subject", ID, null=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_activity_subject", "activity", ["subject"])


def _things() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", ID, primary_key=True),
        _column("name", sa.Text()),
        _column("sha256", sa.String(64)),
        _column("size", sa.BigInteger()),
        _column("created", TIME),
    )
    op.create_table(
        "datasets",
        sa.Column("id", ID, primary_key=True),
        _column("name", sa.Text()),
        _column("task", sa.Text()),
        _column("rows", sa.Integer()),
        _column("sha256", sa.String(64)),
        _column("folder", sa.Text(), null=True),
        _column("card", JSON),
        _column("created", TIME),
        sa.UniqueConstraint("folder"),
    )
    op.create_table(
        "bundles",
        sa.Column("id", ID, primary_key=True),
        _column("name", sa.Text()),
        _column("identity", sa.Text()),
        _column("task", sa.Text()),
        _column("facts", JSON),
        _column("is_default", sa.Boolean()),
        _column("created", TIME),
        sa.UniqueConstraint("name"),
    )
    op.create_index(
        "ix_bundles_default",
        "bundles",
        ["is_default"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    for table in ("uploads", "datasets", "bundles"):
        op.create_index(f"ix_{table}_created", table, ["created"])
    for table in ("uploads", "datasets"):
        op.create_index(f"ix_{table}_sha256", table, ["sha256"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", ID, primary_key=True),
        _column("kind", sa.String(32)),
        _column("state", sa.String(16)),
        _column("title", sa.Text()),
        _column("settings", JSON),
        _column("device", sa.String(64), null=True),
        _column("folder", sa.Text(), null=True),
        _column("attempt", sa.Integer()),
        _column("resuming", sa.Boolean()),
        _column("host", sa.Text(), null=True),
        _column("pid", sa.Integer(), null=True),
        _column("pid_started", sa.Float(53), null=True),
        _column("progress", JSON),
        _column("result", JSON),
        _column("error", sa.Text(), null=True),
        _column("created", TIME),
        _column("queued", TIME),
        _column("started", TIME, null=True),
        _column("finished", TIME, null=True),
        sa.UniqueConstraint("folder"),
        sa.CheckConstraint(f"state IN ({STATES})", name="ck_runs_state"),
    )
    op.create_index("ix_runs_queue", "runs", ["state", "queued"])
    op.create_index("ix_runs_created", "runs", ["created"])
    op.create_table(
        "run_events",
        sa.Column("id", COUNTER, primary_key=True, autoincrement=True),
        _column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE")),
        _column("time", TIME),
        _column("kind", sa.String(32)),
        _column("details", JSON),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_events_run", "run_events", ["run_id", "id"])


def _forecasts() -> None:
    op.create_table(
        "forecasts",
        sa.Column("id", ID, primary_key=True),
        _column("batch", ID),
        _column("position", sa.Integer()),
        _column("upload_id", ID, sa.ForeignKey("uploads.id", ondelete="CASCADE"), null=True),
        _column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), null=True),
        _column("record", sa.Text()),
        _column("nct_id", sa.Text(), null=True),
        _column("phase", sa.Text(), null=True),
        _column("task", sa.Text()),
        _column("label", sa.Text()),
        _column("probability", sa.Float(53)),
        _column("bundle", sa.Text()),
        _column("created", TIME),
        _column("values", JSON),
    )
    op.create_index("ix_forecasts_batch", "forecasts", ["batch", "position"])
    op.create_index(
        "ix_forecasts_newest", "forecasts", [sa.text("created DESC"), "batch", "position"]
    )
    for name in ("upload_id", "run_id", "nct_id"):
        op.create_index(f"ix_forecasts_{name}", "forecasts", [name])


def downgrade() -> None:
    """Drop all tables."""
    for table in ("activity", "forecasts", "run_events", "runs", "bundles", "datasets", "uploads"):
        op.drop_table(table)
