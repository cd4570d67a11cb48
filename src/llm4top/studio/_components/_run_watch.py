"""A run of forecasts, watched: how far it is, stop, resume, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.studio._pieces import Words
from llm4top.workspace._states import RunState
from llm4top.workspace._words import thousands

if TYPE_CHECKING:
    from llm4top.workspace import Run, Workspace

EVERY = 1.0
"""Seconds between two looks."""

_SAID = {
    RunState.QUEUED: "Waiting for its turn …",
    RunState.STOPPING: "Stopping …",
    RunState.INTERRUPTED: "Interrupted. Nothing that is done is lost.",
}


class RunWatch:
    """Looks at a run once a second until it is over; then ``on_done`` if it is done."""

    def __init__(self, workspace: Workspace, run: Run, on_done: Callable[[], Awaitable[None]]):
        self._workspace = workspace
        self._id = run.id
        self._on_done = on_done
        self._box = ui.element("div").classes("l4-box l4-waiting")
        with self._box:
            self._said = Words("p", "")
            self._bar = ui.linear_progress(0, show_value=False).props("instant-feedback")
            self._bar.props["aria-label"] = "Progress"
            Words(
                "p",
                "It goes on when this page is closed. The records stay on this machine until you "
                "delete the forecasts.",
            ).classes("l4-small l4-muted")
            self._stop = ui.button("Stop", on_click=self._ask_to_stop).props("flat dense no-caps")
            self._resume = ui.button("Resume", on_click=self._go_on).props("flat dense no-caps")
        self._timer = ui.timer(EVERY, self._look)
        self._draw(run)

    async def _look(self) -> None:
        run = await work.io_bound(self._workspace.runs.get, self._id)
        if run is None:
            return
        self._draw(run)
        if run.state is RunState.DONE:
            self._timer.deactivate()
            self._box.set_visibility(False)
            await self._on_done()

    def _draw(self, run: Run) -> None:
        self._said.set_text(run.error or _SAID.get(run.state) or _how_far(run))
        total = run.progress.get("total", 0)
        self._bar.set_value(run.progress.get("done", 0) / total if total else 0)
        self._bar.props(remove="indeterminate") if total else self._bar.props("indeterminate")
        self._bar.set_visibility(not run.state.is_over)
        self._stop.set_visibility(run.state in (RunState.QUEUED, RunState.RUNNING))
        self._resume.set_visibility(run.state in (RunState.INTERRUPTED, RunState.FAILED))

    async def _ask_to_stop(self) -> None:
        await work.io_bound(self._workspace.runs.request_stop, self._id)

    async def _go_on(self) -> None:
        await work.io_bound(self._workspace.runs.resume, self._id)


def _how_far(run: Run) -> str:
    stage = run.progress.get("stage", "Starting")
    done, total = run.progress.get("done", 0), run.progress.get("total", 0)
    if not done:
        return f"{stage} …"
    of = f" of {thousands(total)}" if total else ""
    return f"{stage}: {thousands(done)}{of} done …"


def watch_run(
    workspace: Workspace, run_id: str, on_done: Callable[[], Awaitable[None]]
) -> RunWatch:
    """Watch a run here. Raises ``NotFoundError`` for an id that no run has."""
    return RunWatch(workspace, workspace.runs.get(run_id), on_done)
