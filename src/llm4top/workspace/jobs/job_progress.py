"""What a run says while it is at work: at most two progress events a second."""

from __future__ import annotations

import logging
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import psutil

from llm4top.errors import JobError, NotFoundError, WorkspaceError
from llm4top.progress import TimeLeft
from llm4top.workspace.workspace import Workspace

EVERY_S = 0.5
"""Seconds between two progress events of a run, at least."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is: ``done`` of ``total`` in its ``stage``; a ``total`` of 0 is not known.

    ``detail`` is more of it in words. ``eta_seconds`` is the time left of the stage. The figures
    are those of a training; None while unknown.
    """

    stage: str
    done: int = 0
    total: int = 0
    detail: str = ""
    eta_seconds: float | None = None
    loss: float | None = None
    log_loss: float | None = None
    tokens_per_second: float | None = None


class Reporter:
    """Writes steps of one attempt of a run into the store. All methods are safe in any thread.

    An event's details are the step's fields by their names, "memory" (bytes that the process
    holds) and "gpu_memory" (bytes that torch has reserved, where it uses a GPU).
    """

    def __init__(self, workspace: Workspace, run_id: str, attempt: int, *, every: float = EVERY_S):
        self._workspace = workspace
        self._run_id = run_id
        self._attempt = attempt
        self._every = every
        self._lock = threading.Lock()
        self._waiting: Step | None = None
        self._written = float("-inf")
        self._left = TimeLeft()

    def __call__(self, step: Step) -> None:
        """Keep the step, and write it down if the last one was long enough ago."""
        with self._lock:
            self._waiting = self._timed(step)
            if time.monotonic() - self._written >= self._every:
                self._write()

    def flush(self, *, force: bool = False) -> None:
        """Write down what was kept back; with ``force`` at once, else when its time has come."""
        with self._lock:
            if force or time.monotonic() - self._written >= self._every:
                self._write()

    def _timed(self, step: Step) -> Step:
        """The step with the time left of its stage, where it brings none."""
        left = self._left(step.done, step.total, step.stage)
        return step if step.eta_seconds is not None else replace(step, eta_seconds=left)

    def _write(self) -> None:
        step, self._waiting = self._waiting, None
        if step is None:
            return
        self._written = time.monotonic()
        details = {name: getattr(step, name) for name in Step.__dataclass_fields__}
        details |= _memory()
        try:
            self._workspace.runs.add_event(self._run_id, "progress", details, attempt=self._attempt)
        except (JobError, NotFoundError):
            log.warning("This attempt is over; its progress is not heard any more.")
        except WorkspaceError as error:
            # Progress is a courtesy: the work goes on without it.
            log.warning("Progress was not written down: %s", error)


def _memory() -> dict[str, Any]:
    found: dict[str, Any] = {"memory": psutil.Process().memory_info().rss}
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        found["gpu_memory"] = torch.cuda.memory_reserved()
    return found
