"""The progress of a run, written to the database at most twice a second."""

import logging
import threading
import time
from typing import Any

from llm4top.errors import JobError, NotFoundError, WorkspaceError
from llm4top.progress import Progress, TimeLeft, memory_in_use
from llm4top.workspace.database import waiting_for_database
from llm4top.workspace.workspace import Workspace

EVERY_S = 0.5
"""Seconds between two progress events of a run, at least."""

FIGURES = ("eta_seconds", "tokens_per_second")
"""Figures that every progress event has, None while unknown.

A training's losses are not among them: they are in its folder's events, see ``Runs.mirror``.
"""

LOSSES = ("loss", "log_loss")

log = logging.getLogger(__name__)


class Reporter:
    """Writes the progress of one attempt of a run into the store; safe in any thread.

    An event's details are stage, done, total, detail, the figures, "memory" (bytes that
    the process holds) and "gpu_memory" (bytes that torch has reserved, where it uses a GPU).
    """

    def __init__(self, workspace: Workspace, run_id: str, attempt: int, *, every: float = EVERY_S):
        self._workspace = workspace
        self._run_id = run_id
        self._attempt = attempt
        self._every = every
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[str, Any] | None = None
        self._written = float("-inf")
        self._failed = False
        self._left = TimeLeft()

    def __call__(self, progress: Progress) -> None:
        """Keep the progress, and write it if the last one was long enough ago.

        After a write that failed the next one is left to ``flush``: the work does not wait for a
        database that is away.
        """
        with self._lock:
            left = self._left(progress.done, progress.total, progress.stage)
            self._waiting = {
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "detail": progress.detail,
                **dict.fromkeys(FIGURES),
                "eta_seconds": left,
                **{k: v for k, v in progress.figures.items() if k not in LOSSES},
            }
        if not self._failed:
            self.flush()

    def flush(self, *, force: bool = False) -> None:
        """Write what was held back; with ``force`` at once, else when its time has come."""
        if not self._writing.acquire(blocking=force):
            return  # Another thread is at it.
        try:
            with self._lock:
                due = force or time.monotonic() - self._written >= self._every
                details = self._waiting if due else None
                if details is None:
                    return
                self._waiting = None
                self._written = time.monotonic()
            self._write(details | memory_in_use())
        finally:
            self._writing.release()

    def _write(self, details: dict[str, Any]) -> None:
        failed = False
        try:
            with waiting_for_database(False):
                runs = self._workspace.runs
                runs.add_event(self._run_id, "progress", details, attempt=self._attempt)
        except (JobError, NotFoundError):
            log.warning("This attempt has ended; its progress is ignored.")
        except WorkspaceError as error:
            failed = True
            # Progress is best effort: the work continues without it.
            if not self._failed:
                log.warning("Progress was not written: %s", error)
        self._failed = failed
