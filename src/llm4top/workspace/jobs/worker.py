"""One run in a process of its own: claim it, do it, and store how it ended.

A worker takes the longest-waiting run of its lane and ends with it: memory, threads and a
broken GPU context die with the process. Mutual exclusion has two parts. The lane's lock, an
operating system lock that dies with its holder, keeps one lane from doing two runs at once. The
claim, one compare-and-set in the database, keeps one run from being done twice.
"""

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from llm4top.errors import LLM4TOPError, NotFoundError, WorkspaceError
from llm4top.files import LockedError, locked
from llm4top.workspace.jobs.job_progress import EVERY_S, Reporter
from llm4top.workspace.jobs.process import send_signal
from llm4top.workspace.run_states import KINDS, Process, Run, RunState, lane_of
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
    workspace: Workspace, device: str, kinds: Sequence[str] = KINDS, *, grace: float = GRACE_S
) -> Run | None:
    """Do the longest-waiting run of these kinds; None where none waits or the lane is busy.

    Returns the run as it stood at its end. For the main thread of a process of its own: it takes
    over standard output, standard error and SIGTERM.
    """
    try:
        with locked(lane_lock(workspace.folder / "runs", device, kinds), wait=False):
            return _work(workspace, device, kinds, grace)
    except LockedError:
        return None


def _work(workspace: Workspace, device: str, kinds: Sequence[str], grace: float) -> Run | None:
    run = workspace.runs.claim(Process.current(), device=device, kinds=kinds)
    if run is None:
        return None
    _write_to_log(workspace.folder / "runs" / run.id)
    log.info("Run %s (%s), attempt %d, on %s.", run.id, run.kind, run.attempt, device)
    return _Attempt(workspace, run, device, grace).go()


def lane_lock(folder: Path, device: str, kinds: Sequence[str] = KINDS) -> Path:
    """The lock file of the lane of these kinds: a worker holds it until it ends."""
    name = re.sub(r"[^a-z0-9]+", "-", lane_of(device, kinds[0]).lower())
    return folder / f".device-{name}.lock"


_ENDS = {RunState.DONE: "finished", RunState.FAILED: "failed"}
"""How the activity log names the end of a run. A stop is logged where it is requested."""


class _Attempt:
    """One attempt of one run."""

    def __init__(self, workspace: Workspace, run: Run, device: str, grace: float):
        self._workspace = workspace
        self._run = run
        self._device = device
        self._grace = grace
        self._report = Reporter(workspace, run.id, run.attempt)
        self._over = threading.Event()

    def go(self) -> Run:
        """Do the work and settle the run's state, whatever happens short of a kill."""
        run = self._settled()
        if run.state in _ENDS:
            what = run.title or run.kind
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
            return self._workspace.runs.interrupt(self._run.id, STOPPED, attempt=self._run.attempt)
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
        return self._workspace.runs.finish(self._run.id, result, attempt=self._run.attempt)

    def _work(self) -> dict[str, object]:
        from llm4top.workspace.jobs.work import Job, do

        return do(Job(self._workspace, self._run, self._device, self._report))

    def _fail(self, sentence: str, code: str) -> Run:
        return self._workspace.runs.fail(
            self._run.id, sentence, details={"code": code}, attempt=self._run.attempt
        )

    def _flush(self) -> None:
        self._report.flush(force=True)
        self._mirror()

    def _mirror(self) -> None:
        """A training keeps events of its own, with every loss: they go into the store as well."""
        if self._run.kind == "train":
            try:
                self._workspace.runs.mirror(self._run.id)
            except LLM4TOPError as error:
                log.warning("The run's events were not copied: %s", error)

    def _watch(self) -> None:
        """In its own thread: notice a stop, write delayed progress, copy events."""
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
        """Whether a stop was requested, or another attempt has taken the run."""
        try:
            run = self._workspace.runs.get(self._run.id)
        except NotFoundError:
            return True
        except WorkspaceError as error:
            log.warning("The store could not be read: %s", error)
            return False
        return run.state is not RunState.RUNNING or run.attempt != self._run.attempt


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
