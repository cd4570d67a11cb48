"""What the drawer shows of the runs: one look at the store for all pages that are open."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm4top.text import about
from llm4top.workspace.run_states import lane_of

if TYPE_CHECKING:
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.workspace import Workspace

EVERY = 1.5
"""Seconds for which a look holds."""

ACTIVE = ("running", "stopping", "queued")
OVER = ("done", "failed", "interrupted")
RECENT = 5


@dataclass(frozen=True, slots=True)
class Jobs:
    """The runs that are at work or wait, and the last finished ones, newest first."""

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
        "ingest": "Import",
        "audit": "Audit",
    }
    return run.title or kinds.get(run.kind, run.kind)


STAGES = {
    "preflight": "Checking the settings",
    "prompts": "Preparing the prompts",
    "training": "Training",
    "calibration": "Calibrating",
    "bundle": "Saving the model",
    "check": "Checking the saved model",
}
"""The stages of a training, as a person calls them; other kinds name their own in words."""


def standing_of(run: Run, active: Sequence[Run] = ()) -> str:
    """How far it is, and the time left, in words.

    ``active`` are the runs at work and waiting: they tell what a waiting run waits for.
    """
    if run.state == "queued":
        return waiting_for(run, active)
    if run.state == "stopping":
        return "Stopping; finished work is being saved"
    if run.state == "done":
        return "Done"
    if run.state in {"failed", "interrupted"}:
        name = "Failed" if run.state == "failed" else "Interrupted"
        return f"{name}. {run.error}" if run.error else name
    parts = [stage_of(run)]
    share = share_of(run)
    if share is not None:
        parts.append(f"{100 * share:.0f}\u00a0%")
    if left := time_left(run):
        parts.append(left)
    return ", ".join(parts)


def stage_of(run: Run) -> str:
    """What a run is doing, in words."""
    stage = str(run.progress.get("stage") or "working")
    return STAGES.get(stage, stage[:1].upper() + stage[1:])


def time_left(run: Run) -> str:
    """The time left in words; in the stage at work where others follow. Empty while unknown."""
    left = run.progress.get("eta_seconds")
    if not isinstance(left, int | float):
        return ""
    return f"{about(left)} left" + ("" if run.kind == "forecast" else " in this stage")


def waiting_for(run: Run, active: Sequence[Run]) -> str:
    """What a queued run waits for, and about how long, as far as that is known."""
    lane = lane_of(run.device, run.kind)
    others = [r for r in active if r.id != run.id and lane_of(r.device, r.kind) == lane]
    working = next((other for other in others if other.state != "queued"), None)
    before = sum(
        other.state == "queued" and (other.queued, other.id) < (run.queued, run.id)
        for other in others
    )
    if working is None and not before:
        return "Waiting to start"
    said = []
    if working is not None:
        left = time_left(working)
        said.append(f"“{title_of(working)}”{f' ({left})' if left else ''}")
    if before:
        said.append(f"{before} more in the queue" if said else f"{before} earlier in the queue")
    return f"Waiting for {' and '.join(said)}"


def share_of(run: Run) -> float | None:
    """The part of the stage that is done, 0 to 1; None while unknown."""
    done, total = run.progress.get("done"), run.progress.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(max(done / total, 0.0), 1.0)
