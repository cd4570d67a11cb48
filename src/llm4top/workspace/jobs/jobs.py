"""Submitting a run with checked settings, and reading its log.

The queue is the table of runs itself, and a worker takes a run from it by one compare-and-set.
Existing queues were considered first. Huey 3 (SQLite or PostgreSQL, no other service)
removes a task from its store before it does it, so a killed worker loses the task; its tasks are
pickled; it cannot stop one that runs; and its own record of a task would have to agree with our
states over two stores that share no transaction. Procrastinate has states, heartbeats and abortion,
and works on PostgreSQL alone. RQ, Celery, Dramatiq and arq need a server of their own. A run has to
be in exactly one state, to survive a kill of anything, and to be the same row for the Studio, the
command line and the worker: with the row being the queue, there is nothing to disagree with.
"""

import os
from collections.abc import Mapping
from typing import Any

from llm4top.errors import ConfigError
from llm4top.workspace.jobs.devices import device_for
from llm4top.workspace.jobs.job_settings import by_id, checked_settings
from llm4top.workspace.jobs.resolve import missing_things
from llm4top.workspace.jobs.worker import LOG_FILE
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace

_TAIL_BYTES = 65_536

RESUMABLE = ("train", "benchmark", "forecast")
"""Kinds that resume after the last finished step; the others start over when resumed."""


def submit(
    workspace: Workspace,
    kind: str,
    settings: Mapping[str, Any],
    *,
    title: str = "",
    ids_only: bool = False,
) -> Run:
    """Check the settings, and queue the run for the device that they ask for.

    ``settings`` are what ``checked_settings`` takes. With ``ids_only`` they may name what is in
    the workspace by its id, downloaded models by their name, and no path: for whatever comes from
    a browser.

    Raises ``ConfigError`` with every fault at once, and ``JobError`` where too many runs
    are waiting.
    """
    checked = checked_settings(kind, settings)
    faults = by_id(kind, checked) if ids_only else []
    faults += missing_things(workspace, kind, checked, ids_only=ids_only)
    if faults:
        raise ConfigError(f"the settings of this {kind} run are wrong.", faults)
    device = device_for(workspace, kind, checked)
    return workspace.runs.submit(kind, checked, title=title, device=device)


def log_tail(workspace: Workspace, run_id: str, lines: int = 50) -> list[str]:
    """The last lines of what the run's worker printed; empty where no worker has had it yet.

    Raises ``NotFoundError``.
    """
    file = workspace.folder / "runs" / workspace.runs.get(run_id).id / LOG_FILE
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - _TAIL_BYTES, 0))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    found = text.splitlines()
    return found[-lines:] if lines > 0 else []
