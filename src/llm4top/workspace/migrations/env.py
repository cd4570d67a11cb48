"""Runs the steps on the connection that the caller holds."""

from __future__ import annotations

from alembic import context

from llm4top.workspace.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most things in place: Alembic copies the table instead.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
