"""Runs in words, and the runs that the job drawer shows: read once for all open pages."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm4top.errors import DatabaseError
from llm4top.text import about, percent, thousands
from llm4top.workspace.run_states import Run, lane_of, machine_name
from llm4top.workspace.workspace import Workspace

EVERY = 1.5
"""Seconds after which the runs are read again."""

ACTIVE = ("running", "stopping", "queued")
ENDED = ("done", "failed", "interrupted")
RECENT = 5


@dataclass(frozen=True, slots=True)
class Jobs:
    """The runs that work or wait, and the last ones that ended, newest first.

    ``away`` says why they are not read where the database does not answer: they are as they were.
    """

    active: tuple[Run, ...]
    recent: tuple[Run, ...]
    away: str = ""

    @property
    def summary(self) -> str:
        """How many runs work, in words; how many wait if none works."""
        if self.away:
            return "No database"
        running = sum(run.state != "queued" for run in self.active)
        if running or not self.active:
            return f"{running} running"
        return f"{len(self.active)} waiting"


class JobWatch:
    """Reads the runs at most once in ``EVERY`` seconds, however many pages are open."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._lock = threading.Lock()
        self._read = float("-inf")
        self._jobs = Jobs((), ())

    def look(self) -> Jobs:
        """The runs, at most ``EVERY`` seconds old. Reads the database: call it in a thread."""
        with self._lock:
            if time.monotonic() - self._read >= EVERY:
                runs = self._workspace.runs
                try:
                    active = tuple(runs.list(states=ACTIVE, limit=50))
                    self._jobs = Jobs(active, tuple(runs.list(states=ENDED, limit=RECENT)))
                except DatabaseError as error:
                    self._jobs = replace(self._jobs, away=str(error))
                self._read = time.monotonic()
            return self._jobs

    def refresh(self) -> None:
        """Read again at the next look: something has just changed."""
        with self._lock:
            self._read = float("-inf")


def title_of(run: Run) -> str:
    """The title of a run; its kind if it has none."""
    kinds = {
        "train": "Training",
        "evaluate": "Evaluation",
        "benchmark": "Benchmark",
        "forecast": "Forecast",
        "ingest": "Import",
        "audit": "Audit",
        "precedents": "Precedents",
    }
    return run.title or kinds.get(run.kind, run.kind)


STAGES = {
    "preflight": "Checking the settings",
    "prompts": "Preparing the prompts",
    "training": "Training",
    "cross-fitting": "Fitting folds for the calibration",
    "calibration": "Calibrating",
    "bundle": "Saving the model",
    "check": "Checking the saved model",
}
"""The stages of a training in words; other kinds of run name theirs in words already."""


def status_text(run: Run, active: Sequence[Run] = ()) -> str:
    """The status of a run in words, with its progress and the time left.

    ``active`` are the runs that work or wait: a waiting run names those before it.
    """
    if run.state == "queued":
        return waiting_for(run, active)
    if run.state == "stopping":
        return "Stopping. Completed work is being saved"
    where = elsewhere(run)
    if run.state == "done":
        return f"Finished{where}"
    if run.state in {"failed", "interrupted"}:
        name = f"{'Failed' if run.state == 'failed' else 'Interrupted'}{where}"
        return f"{name}. {run.error}" if run.error else name
    stage = str(run.progress.get("stage") or "working")
    status = STAGES.get(stage, stage[:1].upper() + stage[1:]) + where
    if (share := share_of(run)) is not None:
        done, total = (thousands(round(run.progress[name])) for name in ("done", "total"))
        status += f": {done} of {total} ({percent(share)})"
    left = time_left(run)
    return f"{status}, {left}" if left else status


def elsewhere(run: Run) -> str:
    """On which machine, for a run that another one does or did; else empty."""
    return f" on {run.machine}" if run.machine not in (None, machine_name()) else ""


def time_left(run: Run) -> str:
    """The time left in words, of the current stage if others follow; empty while unknown."""
    left = run.progress.get("eta_seconds")
    if not isinstance(left, int | float):
        return ""
    return f"{about(left)} left" + ("" if run.kind == "forecast" else " in this stage")


def waiting_for(run: Run, active: Sequence[Run]) -> str:
    """What a queued run waits for, and about how long if that is known."""
    lane = lane_of(run.device, run.kind)
    others = [r for r in active if r.id != run.id and lane_of(r.device, r.kind) == lane]
    working = next((other for other in others if other.state != "queued"), None)
    before = sum(
        other.state == "queued" and (other.queued, other.id) < (run.queued, run.id)
        for other in others
    )
    if working is None and not before:
        return "Waiting to start"
    parts = []
    if working is not None:
        left = time_left(working)
        parts.append(f"“{title_of(working)}”{f' ({left})' if left else ''}")
    if before:
        parts.append(f"{before} more in the queue" if parts else f"{before} earlier in the queue")
    return f"Waiting for {' and '.join(parts)}"


def share_of(run: Run) -> float | None:
    """The completed share of the stage, 0 to 1; None while unknown."""
    done, total = run.progress.get("done"), run.progress.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(max(done / total, 0.0), 1.0)
