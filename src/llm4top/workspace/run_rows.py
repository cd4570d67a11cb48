"""Small pieces of ``Runs``: conditions, errors, events, and rows as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from llm4top.errors import JobError
from llm4top.workspace.database import changed_rows, find, storable, value_of
from llm4top.workspace.run_states import TRANSITIONS, Process, Run, RunState
from llm4top.workspace.tables import RunEventRow, RunRow, clean_text, now

GONE = "The process stopped unexpectedly (killed, or the machine shut down)."


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """What a run's folder says of it. ``since`` is when it came to this state."""

    state: RunState
    since: datetime
    error: str | None
    process: Process | None
    settings: dict[str, Any]
    result: dict[str, Any]


def read_status(folder: Path) -> FolderStatus:
    """Read the run folder; ``JobError`` where it holds no run."""
    from llm4top.training.run_folder import RunFolder

    run = RunFolder(folder)
    values = run.state()
    if not values and not run.is_alive():
        raise JobError("no run was begun here.", where=str(folder))
    state = RunState(values.get("state", "running"))
    error = str(values["reason"]) if values.get("reason") else None
    process = None
    if state in (RunState.RUNNING, RunState.QUEUED):
        process = _process(values) if run.is_alive() else None
        state = RunState.RUNNING if process else RunState.INTERRUPTED
        error = None if process else GONE
    result = {"bundle": str(run.bundle)} if state is RunState.DONE and run.bundle.exists() else {}
    settings = _settings(run.config_file)
    return FolderStatus(state, moment(values.get("time")), error, process, settings, result)


def _process(values: Mapping[str, Any]) -> Process | None:
    pid = values.get("process")
    return Process.of(pid) if isinstance(pid, int) else Process.current()


def _settings(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def moment(value: Any) -> datetime:
    """An ISO time as the folder writes it; this moment where it is none."""
    try:
        values = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return now()
    return values if values.tzinfo else values.replace(tzinfo=UTC)


_DONE_TO_A_RUN = {
    RunState.QUEUED: "resumed",
    RunState.RUNNING: "begun",
    RunState.STOPPING: "stopped",
}
"""What a person asks for whose run is to get into a state."""


def refused(row: RunRow, state: RunState, attempt: int | None) -> JobError:
    """The error of a change of state that is not legal."""
    if attempt is not None and (attempt != row.attempt or row.state == RunState.QUEUED.value):
        return attempt_over(row, attempt)
    done = _DONE_TO_A_RUN.get(state, f"marked as {state.value}")
    return JobError(
        f"the run is {row.state} and cannot be {done}.",
        where=f"run {row.id}",
        hint="Look at it again: it may have changed in the meantime.",
    )


def attempt_over(row: RunRow, attempt: int | None) -> JobError:
    """The error of a worker whose attempt has ended."""
    now_at = f"at attempt {row.attempt}" if attempt != row.attempt else row.state
    return JobError(
        f"attempt {attempt} of the run has ended; it is {now_at}.",
        where=f"run {row.id}",
        hint="Another worker may take it: stop working on it.",
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
    """When the run came to its state; older news from its folder is ignored."""
    if row.state == "queued":
        return row.queued
    if row.state in ("running", "stopping"):
        return row.started or row.queued
    return row.queued


def apply_status(row: RunRow, status: FolderStatus) -> None:
    """Everything but the state, as the folder tells it."""
    process = status.process
    row.settings = storable(status.settings) or row.settings
    row.error = clean_text(status.error) if status.error else None
    row.result = storable(status.result)
    if process is not None:
        row.host, row.pid, row.pid_started = process.host, process.pid, process.started
        row.started, row.finished = status.since, None
        # A terminal renews none: one of an earlier attempt would end under its hands.
        row.lease = None
    elif status.state.is_over:
        row.finished = status.since


def run_value(row: RunRow) -> Run:
    """The row as a value."""
    run = value_of(Run, row)
    return replace(run, state=RunState(run.state))


def set_state(
    session: Session,
    run_id: str,
    state: RunState,
    *,
    sources: Sequence[RunState] = (),
    attempt: int | None = None,
    details: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Run:
    """Compare and set: the statement by which a person or a worker changes a run's state.

    It changes nothing, and raises ``JobError``, where the run is in a state that ``state``
    may not follow (or in none of ``sources``), or at another attempt.
    """
    legal = sources or [s for s in RunState if state in TRANSITIONS[s]]
    if attempt is not None:
        # Who acts for an attempt is a worker: it has no say in a run that waits for the next one.
        legal = [s for s in legal if s.is_active]
    values = {**columns, "state": state.value}
    if state is RunState.RUNNING:
        values |= {"attempt": RunRow.attempt + 1, "started": now()}
    if state.is_over:
        values |= {"finished": now()}
    query = (
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.state.in_([s.value for s in legal]))
        .where(*of_attempt(attempt))
        .values(**values)
    )
    if changed_rows(session.execute(query)) != 1:
        raise refused(find(session, RunRow, run_id, "run"), state, attempt)
    row = find(session, RunRow, run_id, "run")
    # The row may have been read before in this session.
    session.refresh(row)
    error = {"error": columns["error"]} if columns.get("error") else {}
    begun = row.host is not None and state is not RunState.QUEUED
    where = {"machine": row.host} if begun else {}
    event = {"state": state.value, **where, **error, **storable(details or {})}
    note(session, run_id, "state", event)
    return run_value(row)
