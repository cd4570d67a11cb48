"""Leases: how machines that share a workspace agree on whose a run is, without shared files.

A worker owns its run for ``LEASE_S`` seconds by the database's clock, and renews the lease while
it works. Once a lease has ended, any other machine may queue the run again; the attempt that lost
it is refused by every write from then on (``hold_attempt``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from sqlalchemy import DateTime, func, select
from sqlalchemy.orm import Session

from llm4top.workspace import run_rows
from llm4top.workspace.database import find, moment_ahead
from llm4top.workspace.run_states import Run, RunState, lane_of, machine_name
from llm4top.workspace.tables import ActivityRow, RunRow, now

LEASE_S = 60.0
"""Seconds that a run stays with a worker that is not heard of. It renews four times as often."""

MOST_ATTEMPTS = 5
"""A run whose machine was lost at this attempt is not queued again: it may be what harms them."""

ACTIVE = tuple(state.value for state in RunState if state.is_active)


@dataclass(frozen=True, slots=True)
class AttemptCheck:
    """Refuses to write for an attempt that has ended; see ``hold_attempt``."""

    run_id: str
    attempt: int

    def __call__(self, session: Session) -> None:
        """Check at the beginning of a transaction."""
        hold_attempt(session, self.run_id, self.attempt)


def hold_attempt(session: Session, run_id: str, attempt: int) -> None:
    """Refuse with ``JobError`` unless the run is at that attempt and at work.

    Until the transaction ends, no other machine can take the run: ``lost_runs`` passes over it.
    The lease can be renewed meanwhile, in a transaction of its own.
    """
    query = select(RunRow.id).where(RunRow.id == run_id, RunRow.attempt == attempt)
    query = query.where(RunRow.state.in_(ACTIVE)).with_for_update(read=True, key_share=True)
    if session.scalar(query) is None:
        raise run_rows.attempt_over(find(session, RunRow, run_id, "run"), attempt)


def free_kinds(
    session: Session, machine: str, device: str | None, kinds: Sequence[str]
) -> list[str]:
    """Those kinds whose lane of the device is free on the machine: a lane does one run at once.

    Until the transaction ends, no other worker can look for a run for this device.
    """
    if device is None:
        return list(kinds)
    if session.get_bind().dialect.name == "postgresql":
        key = crc32(f"{machine}\n{device}".encode())
        session.execute(select(func.pg_advisory_xact_lock(key)))
    query = select(RunRow.device, RunRow.kind)
    query = query.where(RunRow.host == machine, RunRow.state.in_(ACTIVE))
    busy = {lane_of(of, kind) for of, kind in session.execute(query)}
    return [kind for kind in kinds if lane_of(device, kind) not in busy]


def lost_runs(session: Session, lease: float) -> Sequence[RunRow]:
    """Runs of other machines whose lease has ended, for this transaction alone.

    Those of this machine are known by their process. After a start of the server each worker
    gets a whole lease to renew its own: it could not while the server was away.
    """
    query = select(RunRow).where(RunRow.state.in_(ACTIVE), RunRow.host != machine_name())
    query = query.where(RunRow.lease < moment_ahead(session, 0))
    if session.get_bind().dialect.name == "postgresql":
        started = func.pg_postmaster_start_time(type_=DateTime(timezone=True))
        query = query.where(started < moment_ahead(session, -lease))
    return session.scalars(query.with_for_update(skip_locked=True)).all()


def shared_run(session: Session, run_id: str, attempt: int) -> RunRow | None:
    """The run at work, for this transaction alone, where several machines may take it up again.

    None in a workspace with a file for its database, where a person does; for a training of a
    terminal, which no worker takes up; and for one that was asked to stop.
    """
    if session.get_bind().dialect.name == "sqlite":
        return None
    query = select(RunRow).where(RunRow.id == run_id, RunRow.attempt == attempt)
    query = query.where(RunRow.state == RunState.RUNNING.value, RunRow.folder.is_(None))
    return session.scalar(query.with_for_update())


def give_back(
    session: Session, row: RunRow, lost: str = "", *, most_attempts: float = MOST_ATTEMPTS
) -> Run:
    """Queue a run again that has lost its worker, to be resumed; one that was to stop has stopped.

    The activity log says from which machine it was taken, and ``lost`` how, if not with it.
    """
    lost = lost or f"machine {row.host} was lost"
    said = f"{lost[0].upper()}{lost[1:]} in attempt {row.attempt}."
    again = row.state == RunState.RUNNING.value and row.attempt < most_attempts
    if again:
        row.state, row.resuming, row.queued = RunState.QUEUED.value, True, now()
        row.started, row.progress = None, {}
    else:
        row.state, row.error, row.finished = RunState.INTERRUPTED.value, said, now()
    details = {"state": row.state, "machine": row.host, "attempt": row.attempt}
    run_rows.note(session, row.id, "state", {**details, "error": said})
    session.add(
        ActivityRow(
            action="queued again" if again else "interrupted",
            who="background",
            what=f"{row.title or row.kind}: {lost}",
            subject=row.id,
        )
    )
    session.flush()
    return run_rows.run_value(row)
