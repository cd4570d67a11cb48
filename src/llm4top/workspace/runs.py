"""Runs: the queue, the states and the events. Every change of state is one transaction."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, or_, select, update

from llm4top.errors import JobError, NotFoundError
from llm4top.files import delete_path, delete_remains
from llm4top.workspace import leases, run_rows
from llm4top.workspace.database import (
    Transactions,
    changed_rows,
    find,
    moment_ahead,
    storable,
    value_of,
)
from llm4top.workspace.deletion import Eraser
from llm4top.workspace.run_states import (
    KINDS,
    Process,
    Run,
    RunEvent,
    RunState,
    devices_meant,
)
from llm4top.workspace.tables import RunEventRow, RunRow, clean_text, now

MOST_WAITING = 1000
"""Runs that may wait in the queue."""

RunList = list[Run]
EventList = list[RunEvent]


class Runs:
    """The runs of a workspace. All methods are safe to call from several processes at once.

    Where a method takes ``attempt``, the caller acts for that attempt of the run only, and is
    refused with ``JobError`` once another has begun: a worker that was thought dead cannot
    overwrite what its successor does.
    """

    def __init__(self, session: Transactions, folder: Path, eraser: Eraser):
        self._session = session
        self._folder = folder
        self._eraser = eraser

    def submit(
        self,
        kind: str,
        settings: Mapping[str, Any],
        *,
        title: str = "",
        device: str | None = None,
    ) -> Run:
        """Put a run at the end of the queue.

        ``settings`` are JSON-able; ``device`` is the one that it waits for, None for any.
        Raises ``JobError`` for a kind that there is not, and where ``MOST_WAITING`` runs wait.
        """
        if kind not in KINDS:
            raise JobError(
                f"{kind!r:.80} is not a kind of run.", hint=f"Kinds are: {', '.join(KINDS)}."
            )
        row = RunRow(
            kind=kind,
            state=RunState.QUEUED.value,
            title=clean_text(title),
            settings=storable(settings),
            device=device,
        )
        waiting = select(func.count()).select_from(RunRow).where(RunRow.state == row.state)
        with self._session() as session:
            if (session.scalar(waiting) or 0) >= MOST_WAITING:
                raise JobError(
                    f"{MOST_WAITING} runs are waiting already.",
                    hint="Let some of them finish, or stop those that are not needed.",
                )
            session.add(row)
            session.flush()
            run_rows.note(session, row.id, "state", {"state": "queued"})
        return run_rows.run_value(row)

    def get(self, run_id: str) -> Run:
        """The run; ``NotFoundError`` where there is none."""
        with self._session(write=False) as session:
            return run_rows.run_value(find(session, RunRow, run_id, "run"))

    def list(
        self,
        *,
        states: Sequence[str] | None = None,
        kind: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> RunList:
        """Runs, newest first."""
        query = select(RunRow).order_by(RunRow.created.desc(), RunRow.id)
        for condition in run_rows.conditions(states, kind):
            query = query.where(condition)
        with self._session(write=False) as session:
            return [
                run_rows.run_value(row)
                for row in session.scalars(query.limit(limit).offset(offset))
            ]

    def count(self, *, states: Sequence[str] | None = None, kind: str | None = None) -> int:
        """How many runs ``list`` would give without a limit."""
        query = select(func.count()).select_from(RunRow).where(*run_rows.conditions(states, kind))
        with self._session(write=False) as session:
            return session.scalar(query) or 0

    def folder(self, run_id: str) -> Path:
        """Where the run keeps its files: ``runs/<id>``, or the folder it was adopted with."""
        run = self.get(run_id)
        return Path(run.folder) if run.folder else self._folder / run.id

    # -- events ---------------------------------------------------------------------------------

    def events(
        self, run_id: str, after: int = 0, *, kind: str | None = None, limit: int | None = 1000
    ) -> EventList:
        """Events with an id above ``after``, oldest first, at most ``limit`` (None: all)."""
        query = select(RunEventRow).where(RunEventRow.run_id == run_id, RunEventRow.id > after)
        if kind is not None:
            query = query.where(RunEventRow.kind == kind)
        query = query.order_by(RunEventRow.id).limit(limit)
        with self._session(write=False) as session:
            find(session, RunRow, run_id, "run")
            return [value_of(RunEvent, row) for row in session.scalars(query)]

    def add_event(
        self, run_id: str, kind: str, details: Mapping[str, Any], *, attempt: int | None = None
    ) -> None:
        """Append an event; one of kind "progress" also becomes the run's ``progress``.

        Raises ``NotFoundError``, and ``JobError`` where ``attempt`` is over.
        """
        values = storable(details)
        change: dict[str, Any] = {"progress": values} if kind == "progress" else {}
        with self._session() as session:
            if attempt is not None:
                leases.hold_attempt(session, run_id, attempt)
            # Touching the row also says whether it is there.
            query = update(RunRow).where(RunRow.id == run_id).values(id=run_id, **change)
            if changed_rows(session.execute(query)) != 1:
                find(session, RunRow, run_id, "run")
            run_rows.note(session, run_id, kind, values)

    # -- a worker's side ------------------------------------------------------------------------

    def claim(
        self,
        process: Process,
        *,
        device: str | None = None,
        kinds: Sequence[str] = KINDS,
        lease: float = leases.LEASE_S,
    ) -> Run | None:
        """Take the longest-waiting run that ``device`` can do; None where none waits.

        It is "running" afterwards and belongs to ``process`` for ``lease`` seconds. No two callers
        get the same run, and none gets one whose lane is busy on its machine.
        """
        with self._session() as session:
            free = leases.free_kinds(session, process.host, device, kinds)
            waiting = (
                select(RunRow.id)
                .where(RunRow.state == RunState.QUEUED.value, RunRow.kind.in_(free))
                .where(or_(RunRow.device.is_(None), RunRow.device.in_(devices_meant(device))))
                .order_by(RunRow.queued, RunRow.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            run_id = session.scalar(waiting)
            if run_id is None:
                return None
            return run_rows.set_state(
                session,
                run_id,
                RunState.RUNNING,
                sources=(RunState.QUEUED,),
                host=process.host,
                pid=process.pid,
                pid_started=process.started,
                lease=moment_ahead(session, lease),
                device=device,
            )

    def renew(self, run_id: str, attempt: int, lease: float = leases.LEASE_S) -> None:
        """Keep the run for ``lease`` more seconds; ``JobError`` where the attempt has ended."""
        with self._session() as session:
            leases.hold_attempt(session, run_id, attempt)
            ends = {"lease": moment_ahead(session, lease)}
            session.execute(update(RunRow).where(RunRow.id == run_id).values(ends))

    def requeue_lost(self, lease: float = leases.LEASE_S) -> RunList:
        """Queue again the runs of other machines whose lease has ended; returns those.

        The next worker resumes them, as a new attempt. One that was asked to stop, or was lost
        ``MOST_ATTEMPTS`` times, becomes "interrupted".
        """
        with self._session() as session:
            return [leases.give_back(session, row) for row in leases.lost_runs(session, lease)]

    def finish(self, run_id: str, result: Mapping[str, Any], *, attempt: int | None = None) -> Run:
        """The run is done and gave ``result``. Raises ``JobError`` where it was not at work."""
        return self._move(run_id, RunState.DONE, attempt=attempt, result=storable(result))

    def fail(
        self,
        run_id: str,
        error: str,
        *,
        details: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> Run:
        """The run failed; ``error`` is a sentence for a person, ``details`` go to the event."""
        return self._move(
            run_id, RunState.FAILED, attempt=attempt, details=details or {}, error=clean_text(error)
        )

    def interrupt(self, run_id: str, reason: str, *, attempt: int | None = None) -> Run:
        """The run came to a stop before its end, and can be resumed."""
        return self._move(run_id, RunState.INTERRUPTED, attempt=attempt, error=clean_text(reason))

    def release(self, run_id: str, reason: str, *, attempt: int, killed: bool = False) -> Run:
        """The worker of a run has ended before the run.

        On a database server the run is queued again, for any machine to resume. In a workspace
        with a file for its database, and where a person has asked the run to stop, it becomes
        "interrupted" with ``reason``; so it does when its worker is ``killed`` for the
        ``MOST_ATTEMPTS``-th time.
        """
        with self._session() as session:
            row = leases.shared_run(session, run_id, attempt)
            if row is not None:
                lost = f"the worker on machine {row.host} {'is gone' if killed else 'was stopped'}"
                most = leases.MOST_ATTEMPTS if killed else math.inf
                return leases.give_back(session, row, lost, most_attempts=most)
            state, said = RunState.INTERRUPTED, clean_text(reason)
            return run_rows.set_state(session, run_id, state, attempt=attempt, error=said)

    def settle_orphans(self) -> RunList:
        """Settle every run of this machine whose process is gone (``release``); returns those.

        A training from a terminal is what its folder says: it may have come to its end.
        """
        found = []
        for run in self.list(states=("running", "stopping"), limit=None):
            if run.process is not None and run.process.is_alive:
                continue
            try:
                if run.folder is not None and Path(run.folder).is_dir():
                    run = self.adopt(run.folder)
                if run.state.is_active:
                    gone = run_rows.GONE
                    run = self.release(run.id, gone, attempt=run.attempt, killed=True)
            except (JobError, NotFoundError):
                continue  # It ended by itself just now.
            if run.state in (RunState.INTERRUPTED, RunState.QUEUED):
                found.append(run)
        return found

    # -- a person's side ------------------------------------------------------------------------

    def request_stop(self, run_id: str) -> Run:
        """Ask a run to stop: a waiting one is "interrupted" at once, one at work "stopping".

        A second request is no error. Raises ``JobError`` for a run that is over.
        """
        run = self.get(run_id)
        if run.state is RunState.STOPPING:
            return run
        try:
            if run.state is RunState.QUEUED:
                return self._move(
                    run_id,
                    RunState.INTERRUPTED,
                    sources=(RunState.QUEUED,),
                    error="Stopped before it began.",
                )
            return self._move(run_id, RunState.STOPPING, sources=(RunState.RUNNING,))
        except JobError:
            again = self.get(run_id)
            if again.state is run.state:
                raise
            # It began, or was stopped, in between: what holds now decides.
            return self.request_stop(run_id) if not again.state.is_over else again

    def resume(self, run_id: str) -> Run:
        """Queue an interrupted or failed run again, to resume from its last checkpoint."""
        return self._requeue(run_id, resuming=True)

    def retry(self, run_id: str) -> Run:
        """Queue an interrupted or failed run again, from its beginning."""
        return self._requeue(run_id, resuming=False)

    def delete(self, run_id: str) -> None:
        """Delete a run with its events, forecasts and files; an adopted folder stays.

        Raises ``JobError`` for a run that waits or is at work.
        """
        over = [s.value for s in RunState if s.is_over]
        with self._session() as session:
            query = delete(RunRow).where(RunRow.id == run_id, RunRow.state.in_(over))
            if changed_rows(session.execute(query)) != 1:
                row = find(session, RunRow, run_id, "run")
                raise JobError(f"the run is {row.state}.", where=run_id, hint="Stop it first.")
            self._eraser.forget(session, run_id)
            delete_path(self._folder / run_id)
        self._eraser.wipe()

    def sweep(self) -> None:
        """Remove what killed processes left half deleted."""
        delete_remains(self._folder)

    def adopt(self, folder: Path | str) -> Run:
        """Take in, or bring up to date, a training that was begun in a terminal.

        ``folder`` is its run folder. The same folder is always the same run. What the folder says
        counts unless something newer happened to the run here; its new events are mirrored.
        Raises ``JobError`` where the folder holds no run.
        """
        path = Path(folder).resolve()
        status = run_rows.read_status(path)
        with self._session() as session:
            row = session.scalar(select(RunRow).where(RunRow.folder == str(path)))
            begun = row is None
            if row is None:
                row = RunRow(kind="train", state=status.state.value, folder=str(path))
                row.title = clean_text(str(status.settings.get("name") or path.name))
                row.settings = {}
                session.add(row)
            same = row.state == "stopping" and status.state is RunState.RUNNING
            if begun or (not same and status.since >= run_rows.since(row)):
                run_rows.apply_status(row, status)
                session.flush()
                if begun or row.state != status.state.value:
                    run_rows.note(session, row.id, "state", {"state": status.state.value})
                row.state = status.state.value
            session.flush()
            run = run_rows.run_value(row)
        self.mirror(run.id)
        return run

    def mirror(self, run_id: str) -> int:
        """Copy what is new in the run folder's ``events.jsonl``, as events of kind "folder".

        Their details are the lines as written: "event", "time" and what belongs to it. Returns
        how many were new.
        """
        from llm4top.training.run_folder import RunFolder

        events = RunFolder(self.folder(run_id)).events()
        with self._session() as session:
            mine = (RunEventRow.run_id == run_id, RunEventRow.kind == "folder")
            known = session.scalar(select(func.count()).select_from(RunEventRow).where(*mine)) or 0
            for event in events[known:]:
                when = run_rows.moment(event.get("time"))
                run_rows.note(session, run_id, "folder", storable(event), when)
        return max(0, len(events) - known)

    # -- how states change ----------------------------------------------------------------------

    def _requeue(self, run_id: str, *, resuming: bool) -> Run:
        return self._move(
            run_id,
            RunState.QUEUED,
            resuming=resuming,
            queued=now(),
            started=None,
            finished=None,
            error=None,
            progress={},
        )

    def _move(self, run_id: str, state: RunState, **more: Any) -> Run:
        with self._session() as session:
            return run_rows.set_state(session, run_id, state, **more)
