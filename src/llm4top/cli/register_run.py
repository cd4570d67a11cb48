"""A training that was started in a terminal, shown in the Studio and in ``llm4top runs``."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.cli.console import note
from llm4top.progress import OnProgress, Progress, ignore

if TYPE_CHECKING:
    from llm4top.workspace.jobs.job_progress import Reporter
    from llm4top.workspace.workspace import Workspace

_POLL_S = 1.0
_LAST_UPDATE_S = 10.0


@contextmanager
def registered(out: Path, is_main: bool) -> Iterator[OnProgress]:
    """Keep a run of the workspace up to date with the training in ``out``; yields its callback.

    This is best effort, in a thread: a workspace that cannot be opened, or a database that does
    not answer, is noted once and never delays the training. A stop that is requested elsewhere
    arrives as SIGTERM, after which the training writes a checkpoint. Processes of ``torchrun``
    other than the main one register nothing.
    """
    if not is_main:
        yield ignore
        return
    registration = _Registration(out)
    thread = threading.Thread(target=registration.run, name="registration", daemon=True)
    thread.start()
    try:
        yield registration.on_progress
    finally:
        registration.finished.set()
        thread.join(_LAST_UPDATE_S)


class _Registration:
    def __init__(self, out: Path):
        self.finished = threading.Event()
        self._out = out
        self._latest: Progress | None = None
        self._reporter: Reporter | None = None
        self._stopping = False

    def on_progress(self, progress: Progress) -> None:
        """Remember the newest progress; the thread stores it at its next update."""
        self._latest = progress

    def run(self) -> None:
        """Update the run every second, and once more at the end."""
        from llm4top.errors import LLM4TOPError

        try:
            # A training that fails its checks ends before this and is not registered.
            if self.finished.wait(_POLL_S) and not self._is_ours():
                return
            from llm4top.workspace.workspace import Workspace

            with Workspace.open() as workspace:
                while not self.finished.wait(_POLL_S):
                    self._update(workspace)
                self._update(workspace)
        except LLM4TOPError as error:
            note(f"This training is not shown in the Studio: {error}")
        except Exception as error:  # no error here may end the training
            note(f"This training is not shown in the Studio ({type(error).__name__}: {error}).")

    def _update(self, workspace: Workspace) -> None:
        from llm4top.workspace.jobs.job_progress import Reporter
        from llm4top.workspace.jobs.train_job import without_paths

        # A run that the Studio started is registered already, also when it is resumed here.
        known = self._out.resolve().parent == (workspace.folder / "runs").resolve()
        if known or not self._is_ours():
            return
        run = workspace.runs.adopt(self._out)
        if self._reporter is None:
            self._reporter = Reporter(workspace, run.id, run.attempt)
        progress, self._latest = self._latest, None
        if progress is not None:
            self._reporter(without_paths(progress))
        if run.state == "stopping" and not self._stopping:
            self._stopping = True
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_ours(self) -> bool:
        """Whether this process writes the folder; an earlier one may have written it before."""
        from llm4top.training.run_folder import RunFolder

        return RunFolder(self._out).state().get("process") == os.getpid()
