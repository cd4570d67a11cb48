"""A run of the Data page, watched until it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.studio._pieces import Words
from llm4top.workspace._words import thousands

if TYPE_CHECKING:
    from llm4top.workspace import Run, Workspace

EVERY = 0.7
"""Seconds between two looks."""


class DataRun:
    """Says how far a run is; ``on_done`` gets it when it is done."""

    def __init__(
        self, workspace: Workspace, run_id: str, on_done: Callable[[Run], Awaitable[None]]
    ):
        self._runs = workspace.runs
        self._id = run_id
        self._on_done = on_done
        with ui.element("div").classes("l4-box l4-waiting") as self._box:
            self._said = Words("p", "Waiting for its turn …").props('role="status"')
            self._stop = ui.button("Stop", on_click=self._ask_to_stop).props("flat dense no-caps")
        self._timer = ui.timer(EVERY, self._look)

    async def _look(self) -> None:
        run = await work.io_bound(self._runs.get, self._id)
        if run is None:
            return
        self._said.set_text(run.error or _how_far(run))
        self._stop.set_visibility(run.state in ("queued", "running"))
        if run.state.is_over:
            self._timer.deactivate()
        if run.state == "done":
            self._box.set_visibility(False)
            await self._on_done(run)
        elif run.state.is_over:
            self._box.classes("l4-warn")

    async def _ask_to_stop(self) -> None:
        await work.io_bound(self._runs.request_stop, self._id)


def _how_far(run: Run) -> str:
    if run.state == "queued":
        return "Waiting for its turn …"
    if run.state == "stopping":
        return "Stopping …"
    if run.state.is_over:
        return "Stopped."
    done, total = run.progress.get("done", 0), run.progress.get("total", 0)
    of = f" of {thousands(total)}" if total else ""
    how_far = f": {thousands(done)}{of}" if done else ""
    return f"{str(run.progress.get('stage', 'Starting')).capitalize()}{how_far} …"
