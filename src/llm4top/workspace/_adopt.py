"""How a training that was begun in a terminal stands, as its own folder tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from llm4top.errors import JobError
from llm4top.workspace._states import Process, RunState
from llm4top.workspace._tables import now

GONE = "The process stopped unexpectedly (killed, or the machine shut down)."


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run's folder says of it. ``since`` is when it came to this state."""

    state: RunState
    since: datetime
    error: str | None
    process: Process | None
    settings: dict[str, Any]
    result: dict[str, Any]


def standing_of(folder: Path) -> Standing:
    """Read the run folder; ``JobError`` where it holds no run."""
    from llm4top.training import RunFolder

    run = RunFolder(folder)
    told = run.state()
    if not told and not run.is_alive():
        raise JobError("no run was begun here.", where=str(folder))
    state = RunState(told.get("state", "running"))
    error = str(told["reason"]) if told.get("reason") else None
    process = None
    if state in (RunState.RUNNING, RunState.QUEUED):
        process = _process(told) if run.is_alive() else None
        state = RunState.RUNNING if process else RunState.INTERRUPTED
        error = None if process else GONE
    result = {"bundle": str(run.bundle)} if state is RunState.DONE and run.bundle.exists() else {}
    settings = _settings(run.config_file)
    return Standing(state, moment(told.get("time")), error, process, settings, result)


def _process(told: Mapping[str, Any]) -> Process | None:
    pid = told.get("process")
    return Process.of(pid) if isinstance(pid, int) else Process.current()


def _settings(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def moment(value: Any) -> datetime:
    """An ISO time as the folder writes it; this moment where it is none."""
    try:
        told = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return now()
    return told if told.tzinfo else told.replace(tzinfo=UTC)
