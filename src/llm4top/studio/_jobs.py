"""What the drawer shows of the runs: one look at the store for all pages that are open."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm4top.workspace import Run, Workspace

EVERY = 1.5
"""Seconds for which a look holds."""

ACTIVE = ("running", "stopping", "queued")
OVER = ("done", "failed", "interrupted")
RECENT = 5


@dataclass(frozen=True, slots=True)
class Jobs:
    """The runs that are at work or wait, and the last ones that are over, newest first."""

    active: tuple[Run, ...]
    recent: tuple[Run, ...]

    @property
    def summary(self) -> str:
        """How many run, in words; those that wait only where none runs."""
        running = sum(run.state != "queued" for run in self.active)
        if running or not self.active:
            return f"{running} running"
        return f"{len(self.active)} waiting"


class JobWatch:
    """Reads the runs at most once in ``EVERY`` seconds, however many pages ask."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._lock = threading.Lock()
        self._read = float("-inf")
        self._jobs = Jobs((), ())

    def look(self) -> Jobs:
        """The runs as they stood a moment ago. Waits for the database: not for the event loop."""
        with self._lock:
            if time.monotonic() - self._read >= EVERY:
                runs = self._workspace.runs
                active = tuple(runs.list(states=ACTIVE, limit=50))
                self._jobs = Jobs(active, tuple(runs.list(states=OVER, limit=RECENT)))
                self._read = time.monotonic()
            return self._jobs

    def forget(self) -> None:
        """Read anew at the next look: something was just changed."""
        with self._lock:
            self._read = float("-inf")


def title_of(run: Run) -> str:
    """What a run is called: its title, or what kind it is."""
    kinds = {
        "train": "Training",
        "evaluate": "Evaluation",
        "benchmark": "Benchmark",
        "forecast": "Forecast",
        "ingest": "Reading of data",
        "audit": "Audit",
    }
    return run.title or kinds.get(run.kind, run.kind)


def standing_of(run: Run) -> str:
    """How far it is, and the time left, in words."""
    if run.state == "queued":
        return "Waiting for its turn"
    if run.state == "stopping":
        return "Stopping; what is done is being saved"
    if run.state == "done":
        return "Done"
    if run.state in {"failed", "interrupted"}:
        name = "Failed" if run.state == "failed" else "Interrupted"
        return f"{name}. {run.error}" if run.error else name
    parts = [str(run.progress.get("stage") or "Working")]
    share = share_of(run)
    if share is not None:
        parts.append(f"{100 * share:.0f}\u00a0%")
    left = run.progress.get("eta_seconds")
    if isinstance(left, int | float):
        parts.append(f"about {clock(left)} left")
    return ", ".join(parts)


def share_of(run: Run) -> float | None:
    """The part of the stage that is done, 0 to 1; None while unknown."""
    done, total = run.progress.get("done"), run.progress.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(max(done / total, 0.0), 1.0)


def clock(seconds: float) -> str:
    """``4000`` as "1 h 07 min"; under a minute in seconds."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f}\u00a0s"
    if minutes < 60:
        return f"{minutes}\u00a0min"
    return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"
