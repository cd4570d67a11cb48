"""One run in a process of its own: claim it, do it, and store how it ended.

A worker takes the longest-waiting run of its lane and ends with it: memory, threads and a
broken GPU context die with the process. The claim, one transaction in the database, keeps one run
from being done twice, and one lane of a machine from doing two runs at once. No file is locked:
machines may share the folder by a file system whose locks cannot be relied on.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO

from llm4top.errors import DatabaseError, JobError, LLM4TOPError, NotFoundError, WorkspaceError
from llm4top.progress import Progress
from llm4top.workspace.database import RETRY_S, waiting_for_database
from llm4top.workspace.jobs.job_progress import EVERY_S, Reporter
from llm4top.workspace.jobs.lease_keeper import LeaseKeeper, clock
from llm4top.workspace.jobs.process import send_signal
from llm4top.workspace.leases import LEASE_S
from llm4top.workspace.run_states import KINDS, Process, Run, RunState, machine_name
from llm4top.workspace.workspace import Workspace

GRACE_S = 120.0
"""Seconds that a run gets to stop politely: a training ends its step and writes a checkpoint."""

LOG_FILE = "worker.log"
LOG_BYTES = 5_000_000
"""A log that is larger when an attempt begins is put aside, and an older one goes."""

STOPPED = "Stopped on request; it can be resumed."
_MIRROR_EVERY_S = 2.0

log = logging.getLogger(__name__)


def work_once(
    workspace: Workspace,
    device: str,
    kinds: Sequence[str] = KINDS,
    *,
    grace: float = GRACE_S,
    lease: float = LEASE_S,
) -> Run | None:
    """Do the longest-waiting run of these kinds; None where none waits or the lane is busy.

    Returns the run as it stood at its end. For the main thread of a process of its own: it takes
    over standard output, standard error and SIGTERM.
    """
    began = clock()
    run = workspace.runs.claim(Process.current(), device=device, kinds=kinds, lease=lease)
    if run is None:
        return None
    _write_to_log(workspace.folder / "runs" / run.id)
    if run.attempt > 1 and run.folder is None:
        _forget_locks(workspace.folder / "runs" / run.id)
    where = f"{device} of machine {machine_name()}"
    log.info("Run %s (%s), attempt %d, on %s.", run.id, run.kind, run.attempt, where)
    keeper = LeaseKeeper(workspace, run, began, lease)
    return _Attempt(workspace, run, device, grace, keeper).go()


def _forget_locks(folder: Path) -> None:
    """Drop the locks of an earlier attempt: the claim says whose the run is.

    A file server frees those of a machine that was lost late, or never.
    """
    from llm4top.training.run_folder import LOCK_FILE

    for file in folder.rglob(LOCK_FILE):
        file.unlink(missing_ok=True)


_ENDS = {RunState.DONE: "finished", RunState.FAILED: "failed"}
"""How the activity log names the end of a run. A stop is logged where it is requested."""


class _Attempt:
    """One attempt of one run."""

    def __init__(
        self, workspace: Workspace, run: Run, device: str, grace: float, lease: LeaseKeeper
    ):
        self._workspace = workspace
        self._run = run
        self._device = device
        self._grace = grace
        self._lease = lease
        self._report = Reporter(workspace, run.id, run.attempt)
        self._over = threading.Event()
        self._away = False

    def go(self) -> Run:
        """Do the work and settle the run's state, whatever happens short of a kill."""
        with self._workspace.acting_for(self._run):
            run = self._settled()
        if run.state in _ENDS:
            what = run.title or run.kind
            with waiting_for_database():
                self._workspace.activity.log(_ENDS[run.state], "background", what, subject=run.id)
        return run

    def _settled(self) -> Run:
        watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)
        watcher.start()
        try:
            try:
                result = self._work()
            finally:
                # From here on the end is being written down: it is too late to stop.
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self._over.set()
                self._flush()
        except KeyboardInterrupt:
            log.info("Stopped.")
            runs, run = self._workspace.runs, self._run
            return self._written(lambda: runs.release(run.id, STOPPED, attempt=run.attempt))
        except LLM4TOPError as error:
            log.info("Failed: %s", error)
            return self._fail(str(error), type(error).__name__)
        except MemoryError:
            log.exception("Out of memory.")
            return self._fail(
                "there was not enough memory. Close other programs, or ask for less at once.",
                "MemoryError",
            )
        except Exception as error:
            log.exception("Failed.")
            kind = type(error).__name__
            return self._fail(f"an unexpected error ({kind}); see the log.", kind)
        log.info("Done.")
        runs, run = self._workspace.runs, self._run
        return self._written(lambda: runs.finish(run.id, result, attempt=run.attempt))

    def _work(self) -> dict[str, object]:
        from llm4top.workspace.jobs.work import Job, do

        while True:
            try:
                return do(Job(self._workspace, self._run, self._device, self._heard))
            except DatabaseError as error:
                log.warning("%s The run goes on from its last finished step.", error)
                self._run = replace(self._run, resuming=True)
                time.sleep(RETRY_S)

    def _heard(self, progress: Progress) -> None:
        """Take the progress of the work, which goes on only while the run is this worker's."""
        try:
            self._lease.confirm()
        except (JobError, NotFoundError) as error:
            self._give_up(error)
        self._report(progress)

    def _give_up(self, error: LLM4TOPError) -> None:
        """End at once: what the work still wrote could meet what another machine writes."""
        log.error("Machine %s ends its worker: %s", machine_name(), error)
        send_signal(Process.current(), signal.SIGKILL)

    def _fail(self, sentence: str, code: str) -> Run:
        runs, run, details = self._workspace.runs, self._run, {"code": code}
        return self._written(
            lambda: runs.fail(run.id, sentence, details=details, attempt=run.attempt)
        )

    def _written(self, end: Callable[[], Run]) -> Run:
        """The run once its end is written down, however often the connection breaks meanwhile."""
        broken = False
        while True:
            try:
                return end()
            except DatabaseError as error:
                log.warning("The end of the run was not written yet: %s", error)
                broken = True
                time.sleep(RETRY_S)
            except JobError:
                run = self._workspace.runs.get(self._run.id)
                # Perhaps it was written, and only the answer got lost.
                if broken and not run.state.is_active and run.attempt == self._run.attempt:
                    return run
                raise

    def _flush(self) -> None:
        self._report.flush(force=True)
        self._mirror()

    def _mirror(self) -> None:
        """A training keeps events of its own, with every loss: they go into the store as well."""
        if self._run.kind == "train" and not self._away:
            try:
                self._workspace.runs.mirror(self._run.id)
            except LLM4TOPError as error:
                log.warning("The run's events were not copied: %s", error)

    def _watch(self) -> None:
        """In its own thread: keep the lease, notice a stop, write delayed progress, copy events."""
        requested: float | None = None
        mirrored = 0.0
        while not self._over.wait(EVERY_S):
            now = time.monotonic()
            if requested is None and self._is_to_stop():
                requested = now
                log.info("Asked to stop.")
                os.kill(os.getpid(), signal.SIGTERM)
            elif requested is not None and now - requested > self._grace:
                log.error("It did not stop within %g s and is killed.", self._grace)
                send_signal(Process.current(), signal.SIGKILL)
            self._report.flush()
            if now - mirrored > _MIRROR_EVERY_S:
                mirrored = now
                self._mirror()

    def _is_to_stop(self) -> bool:
        """Whether a stop was requested. Where the run is another's by now, the process ends."""
        try:
            self._lease.renew()
            run = self._workspace.runs.get(self._run.id)
            if not run.state.is_active or run.attempt != self._run.attempt:
                self._workspace.runs.renew(run.id, self._run.attempt)  # says what has become of it
        except (JobError, NotFoundError) as error:
            if not self._over.is_set():
                self._give_up(error)
            return False
        except WorkspaceError as error:
            if not self._away:
                log.warning("The store could not be read: %s", error)
            self._away = True
            return False
        self._away = False
        return run.state is RunState.STOPPING


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _write_to_log(folder: Path) -> None:
    """From here on everything this process prints goes to the run's log, libraries included."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / LOG_FILE
    if file.is_file() and file.stat().st_size > LOG_BYTES:
        file.replace(folder / f"{LOG_FILE}.1")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stream: IO[str]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
