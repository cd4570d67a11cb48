"""Small pieces of ``Runs``: conditions, errors, events, and rows as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from llm4top.errors import JobError
from llm4top.workspace._adopt import Standing
from llm4top.workspace._engine import storable
from llm4top.workspace._states import Run, RunState
from llm4top.workspace._store import value_of
from llm4top.workspace._tables import RunEventRow, RunRow, clean_text, now

_DONE_TO_A_RUN = {
    RunState.QUEUED: "resumed",
    RunState.RUNNING: "begun",
    RunState.STOPPING: "stopped",
}
"""What a person asks for whose run is to get into a state."""


def refused(row: RunRow, state: RunState, attempt: int | None) -> JobError:
    """The error of a change of state that is not legal."""
    if attempt is not None and attempt != row.attempt:
        return attempt_over(row, attempt)
    done = _DONE_TO_A_RUN.get(state, f"marked as {state.value}")
    return JobError(
        f"the run is {row.state} and cannot be {done}.",
        where=f"run {row.id}",
        hint="Look at it again: it may have changed meanwhile.",
    )


def attempt_over(row: RunRow, attempt: int | None) -> JobError:
    """The error of a worker that speaks for an attempt that has ended."""
    return JobError(
        f"attempt {attempt} of the run has ended; it is at attempt {row.attempt}.",
        where=f"run {row.id}",
        hint="Another worker has taken it: stop working on it.",
    )


def of_attempt(attempt: int | None) -> tuple[ColumnElement[bool], ...]:
    """The condition that the run is at that attempt; none for None."""
    return () if attempt is None else (RunRow.attempt == attempt,)


def conditions(states: Sequence[str] | None, kind: str | None) -> tuple[ColumnElement[bool], ...]:
    """The conditions that runs are listed by."""
    found: list[ColumnElement[bool]] = []
    if states is not None:
        found.append(RunRow.state.in_([str(state) for state in states]))
    if kind is not None:
        found.append(RunRow.kind == kind)
    return tuple(found)


def note(
    session: Session,
    run_id: str,
    kind: str,
    details: Mapping[str, Any],
    when: datetime | None = None,
) -> None:
    """Add an event to the transaction."""
    row = RunEventRow(run_id=run_id, kind=kind, details=dict(details), time=when or now())
    session.add(row)


def since(row: RunRow) -> datetime:
    """When the run came to its state; what its folder said before that is history."""
    if row.state == "queued":
        return row.queued
    if row.state in ("running", "stopping"):
        return row.started or row.queued
    return row.queued


def settle(row: RunRow, standing: Standing) -> None:
    """Everything but the state, as the folder tells it."""
    process = standing.process
    row.settings = storable(standing.settings) or row.settings
    row.error = clean_text(standing.error) if standing.error else None
    row.result = storable(standing.result)
    if process is not None:
        row.host, row.pid, row.pid_started = process.host, process.pid, process.started
        row.started, row.finished = standing.since, None
    elif standing.state.is_over:
        row.finished = standing.since


def run_value(row: RunRow) -> Run:
    """The row as a value."""
    run = value_of(Run, row)
    return replace(run, state=RunState(run.state))
