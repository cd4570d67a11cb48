"""Batches of forecasts have a name, and keep what was not forecast."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.String(32)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Make the tables, with a batch for all forecasts that were made together before."""
    op.create_table(
        "batches",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_batches_run_id", "batches", ["run_id"])
    op.create_index("ix_batches_created", "batches", ["created"])
    op.create_table(
        "left_out",
        sa.Column("id", ID, primary_key=True),
        sa.Column("batch", ID, sa.ForeignKey("batches.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("values", JSON, nullable=False),
    )
    op.create_index("ix_left_out_batch", "left_out", ["batch", "position"])
    op.execute(
        "INSERT INTO batches (id, name, run_id, created) "
        "SELECT batch, min(record), max(run_id), min(created) FROM forecasts GROUP BY batch"
    )


def downgrade() -> None:
    """Drop the tables; the forecasts stay."""
    op.drop_table("left_out")
    op.drop_table("batches")
