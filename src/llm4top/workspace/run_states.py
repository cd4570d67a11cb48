"""The states of a run, which one may follow which, and who does it.

::

    queued ──▶ running ──▶ done
      │  ▲        │  ╲────▶ failed ──▶ queued     (retry)
      │  │        ▼
      │  │     stopping ──▶ interrupted, done, failed
      ▼  │
    interrupted ──▶ queued                        (resume)

A running run whose process is gone becomes interrupted; so does a queued one that is stopped
before it began. Of other machines' processes nothing is known: a worker renews the lease of its
run, and a run whose lease has ended is queued again.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psutil

MACHINE_VARIABLE = "LLM4TOP_MACHINE"


def machine_name() -> str:
    """What this machine is called: ``$LLM4TOP_MACHINE``, else its host name.

    No two machines that share a workspace may have one name.
    """
    return os.environ.get(MACHINE_VARIABLE, "").strip() or socket.gethostname()


class RunState(StrEnum):
    """The state of a run: exactly one of these."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_active(self) -> bool:
        """Whether a process is at work on it."""
        return self in (RunState.RUNNING, RunState.STOPPING)

    @property
    def is_over(self) -> bool:
        """Whether it has finished: only a person can change it now."""
        return self in (RunState.DONE, RunState.FAILED, RunState.INTERRUPTED)


TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.INTERRUPTED}),
    RunState.RUNNING: frozenset(
        {RunState.STOPPING, RunState.DONE, RunState.FAILED, RunState.INTERRUPTED}
    ),
    RunState.STOPPING: frozenset({RunState.DONE, RunState.FAILED, RunState.INTERRUPTED}),
    RunState.DONE: frozenset(),
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.INTERRUPTED: frozenset({RunState.QUEUED}),
}
"""What may follow each state."""

KINDS = ("train", "evaluate", "benchmark", "forecast", "ingest", "audit", "precedents")
"""What a run can do."""

LIGHT_KINDS = ("forecast", "ingest", "audit", "precedents")
"""Kinds that take minutes and little memory: on a CPU one runs along with a heavy run."""


def lane_of(device: str | None, kind: str) -> str:
    """The queue that a run waits in: of two runs in one lane the second waits for the first.

    A GPU has one lane, since a training takes its memory whole; the CPU has a light one too.
    """
    return f"{device} light" if device == "cpu" and kind in LIGHT_KINDS else str(device)


def devices_meant(device: str | None) -> tuple[str, ...]:
    """What a run may name as its device that this one can do; "cuda" is any GPU."""
    if device is None:
        return ()
    return (device, "cuda") if device.startswith("cuda:") else (device,)


def lanes_of(device: str) -> tuple[tuple[str, ...], ...]:
    """The kinds of each lane of a device."""
    heavy = tuple(kind for kind in KINDS if kind not in LIGHT_KINDS)
    return (heavy, LIGHT_KINDS) if device == "cpu" else (KINDS,)


@dataclass(frozen=True, slots=True)
class Process:
    """A process for good: its id, when it started (seconds since 1970) and its machine.

    The system gives the id of a dead process to a new one; the two differ in their start.
    """

    pid: int
    started: float
    host: str

    @classmethod
    def current(cls) -> Process:
        """This process."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this id on this machine now; None where none has."""
        try:
            return cls(pid, psutil.Process(pid).create_time(), machine_name())
        except psutil.Error:
            return None

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.host == machine_name()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs. Of another machine's processes nothing is known: True."""
        if not self.is_here:
            return True
        try:
            there = psutil.Process(self.pid)
            # Start times are measured in clock ticks, and shift a little with the system's clock.
            same = abs(there.create_time() - self.started) < 2
            return same and there.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stood when it was read.

    ``attempt`` counts how often it was started; ``resuming`` tells the next attempt to resume from
    the last checkpoint. ``progress`` is the newest progress event, ``result`` what a done run
    gave, ``error`` the sentence of one that failed or was interrupted. ``folder`` is its folder
    where that is not the workspace's own. Times are in UTC.
    """

    id: str
    kind: str
    state: RunState
    title: str
    settings: dict[str, Any]
    device: str | None
    folder: str | None
    attempt: int
    resuming: bool
    host: str | None
    pid: int | None
    pid_started: float | None
    progress: dict[str, Any]
    result: dict[str, Any]
    error: str | None
    created: datetime
    queued: datetime
    started: datetime | None
    finished: datetime | None

    @property
    def machine(self) -> str | None:
        """The machine that did its newest attempt; None before the first."""
        return self.host

    @property
    def process(self) -> Process | None:
        """The process that does it; None where none does."""
        if not self.state.is_active or self.pid is None or self.pid_started is None:
            return None
        return Process(self.pid, self.pid_started, self.host or "")


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One thing that happened in a run. ``id`` grows with time, over all runs."""

    id: int
    run_id: str
    time: datetime
    kind: str
    details: dict[str, Any]
