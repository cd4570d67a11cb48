"""A training that was begun in a terminal, shown in the Studio and in ``llm4top runs``."""

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
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.workspace import Workspace

_LOOK_EVERY_S = 1.0
_PATIENCE_S = 10.0


@contextmanager
def registered(out: Path, speaks: bool) -> Iterator[OnProgress]:
    """Keep a run of the workspace in step with the training in ``out``; gives its ``progress``.

    Done beside the training, as well as can be: a workspace that cannot be opened, or a database
    that does not answer, is told once and never holds the training up. A stop that somebody asks
    for elsewhere arrives here as SIGTERM, after which the training writes a checkpoint.
    """
    if not speaks:
        yield ignore
        return
    registration = _Registration(out)
    thread = threading.Thread(target=registration.keep, name="registration", daemon=True)
    thread.start()
    try:
        yield registration.hear
    finally:
        registration.over.set()
        thread.join(_PATIENCE_S)


class _Registration:
    def __init__(self, out: Path):
        self.over = threading.Event()
        self._out = out
        self._latest: Progress | None = None
        self._report: Reporter | None = None
        self._asked = False

    def hear(self, progress: Progress) -> None:
        """Remember the newest progress; it is written down by and by."""
        self._latest = progress

    def keep(self) -> None:
        """Look at the training's folder every second, and once more at its end."""
        from llm4top.errors import LLM4TOPError

        try:
            # A training that fails its checks is over before this, and leaves no trace.
            if self.over.wait(_LOOK_EVERY_S) and not self._is_ours():
                return
            from llm4top.workspace.workspace import Workspace

            with Workspace.open() as workspace:
                while not self.over.wait(_LOOK_EVERY_S):
                    self._look(workspace)
                self._look(workspace)
        except LLM4TOPError as error:
            note(f"This training is not shown in the Studio: {error}")
        except Exception as error:
            # Whatever it is, it is no reason to lose a training.
            note(f"This training is not shown in the Studio ({type(error).__name__}: {error}).")

    def _look(self, workspace: Workspace) -> None:
        # A run that the Studio began is a run already, and is no second one for being resumed here.
        known = self._out.resolve().parent == (workspace.folder / "runs").resolve()
        if known or not self._is_ours():
            return
        run = workspace.runs.adopt(self._out)
        self._tell(workspace, run)
        if run.state == "stopping" and not self._asked:
            self._asked = True
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_ours(self) -> bool:
        """Whether it is this process that the folder speaks of: an earlier one may have had it."""
        from llm4top.training.run_folder import RunFolder

        return RunFolder(self._out).state().get("process") == os.getpid()

    def _tell(self, workspace: Workspace, run: Run) -> None:
        from llm4top.workspace.jobs.job_progress import Reporter
        from llm4top.workspace.jobs.train_job import without_paths

        if self._report is None:
            self._report = Reporter(workspace, run.id, run.attempt)
        progress, self._latest = self._latest, None
        if progress is not None:
            self._report(without_paths(progress))
