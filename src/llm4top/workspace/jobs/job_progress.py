"""The progress of a run, written to the database at most twice a second."""

import logging
import sys
import threading
import time
from typing import Any

import psutil

from llm4top.errors import JobError, NotFoundError, WorkspaceError
from llm4top.progress import Progress, TimeLeft
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
        self._waiting: dict[str, Any] | None = None
        self._written = float("-inf")
        self._left = TimeLeft()

    def __call__(self, progress: Progress) -> None:
        """Keep the progress, and write it if the last one was long enough ago."""
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
            if time.monotonic() - self._written >= self._every:
                self._write()

    def flush(self, *, force: bool = False) -> None:
        """Write what was held back; with ``force`` at once, else when its time has come."""
        with self._lock:
            if force or time.monotonic() - self._written >= self._every:
                self._write()

    def _write(self) -> None:
        details, self._waiting = self._waiting, None
        if details is None:
            return
        self._written = time.monotonic()
        details |= _memory()
        try:
            self._workspace.runs.add_event(self._run_id, "progress", details, attempt=self._attempt)
        except (JobError, NotFoundError):
            log.warning("This attempt has ended; its progress is ignored.")
        except WorkspaceError as error:
            # Progress is best effort: the work continues without it.
            log.warning("Progress was not written: %s", error)


def _memory() -> dict[str, Any]:
    found: dict[str, Any] = {"memory": psutil.Process().memory_info().rss}
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        found["gpu_memory"] = torch.cuda.memory_reserved()
    return found
