"""Leases: until when a run belongs to its worker, for workers on several machines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a run at work then has no lease, and is never taken for lost."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("lease", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("runs") as table:
        table.drop_column("lease")
