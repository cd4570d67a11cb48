"""A run, watched where it was begun: how far it is, stop, go on, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.studio.components.elements import Words
from llm4top.studio.components.run_actions import Act, delete_run_button, run_button
from llm4top.studio.jobs import Jobs, stage_of, time_left, waiting_for
from llm4top.text import thousands
from llm4top.workspace.jobs.jobs import RESUMABLE, log_tail, resume, retry, stop
from llm4top.workspace.run_states import RunState

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.run_states import Run

EVERY = 0.7
"""Seconds between two looks."""

LOG_LINES = 12

NOTE = "You can close this page; the work continues."

_SAID = {
    RunState.STOPPING: "Stopping …",
    RunState.INTERRUPTED: "Stopped.",
    RunState.FAILED: "Failed.",
    RunState.DONE: "Done.",
}


class RunWatch:
    """Looks at a run until it is over; ``on_done`` gets it when it is done.

    ``home`` is the page to open when a run that came to nothing is deleted.
    """

    def __init__(
        self,
        context: StudioContext,
        run: Run,
        on_done: Callable[[Run], Awaitable[None]],
        *,
        home: str,
        note: str = NOTE,
    ):
        self._context = context
        self._id = run.id
        self._on_done = on_done
        with ui.element("div").classes("l4-box l4-waiting") as self._box:
            self._said = Words("p", "").props('role="status" aria-live="polite"')
            self._bar = ui.linear_progress(0, show_value=False).props("instant-feedback")
            self._bar.props["aria-label"] = "Progress"
            self._note = Words("p", note).classes("l4-small l4-muted")
            with ui.element("details") as self._log_box:
                Words("summary", "Last lines of the log")
                self._log = Words("pre", "").classes("l4-log-tail").props('tabindex="0"')
            self._stop = self._action("Stop", "stopped", stop)
            if run.kind in RESUMABLE:
                self._again = self._action("Resume", "resumed", resume)
            else:
                self._again = self._action("Start over", "retried", retry)
            self._delete = delete_run_button(context, run, home)
            self._delete.props("flat dense", remove="outline")
        self._timer = ui.timer(EVERY, self._look)
        self._draw(run, [], Jobs((), ()))

    def _action(self, verb: str, done: str, act: Act) -> ui.button:
        return run_button(self._context, self._id, verb, done, act, self._look).props(
            "flat dense", remove="outline"
        )

    async def _look(self) -> None:
        found = await work.io_bound(self._read)
        if found is None:
            return
        run, lines, jobs = found
        self._draw(run, lines, jobs)
        self._timer.active = not run.state.is_over
        if run.state is RunState.DONE:
            self._box.set_visibility(False)
            await self._on_done(run)

    def _read(self) -> tuple[Run, list[str], Jobs]:
        workspace = self._context.workspace
        run = workspace.runs.get(self._id)
        failed = run.state is RunState.FAILED
        lines = log_tail(workspace, run.id, LOG_LINES) if failed else []
        return run, lines, self._context.jobs.look()

    def _draw(self, run: Run, lines: list[str], jobs: Jobs) -> None:
        if run.state is RunState.QUEUED:
            self._said.set_text(f"{waiting_for(run, jobs.active)} …")
        else:
            self._said.set_text(run.error or _SAID.get(run.state) or how_far(run))
        total = run.progress.get("total", 0)
        self._bar.set_value(run.progress.get("done", 0) / total if total else 0)
        self._bar.props(remove="indeterminate") if total else self._bar.props("indeterminate")
        self._bar.set_visibility(not run.state.is_over)
        self._note.set_visibility(not run.state.is_over)
        self._box.classes(
            add="l4-warn" if run.state is RunState.FAILED else "",
            remove="" if run.state is RunState.FAILED else "l4-warn",
        )
        self._log.set_text("\n".join(lines))
        self._log_box.set_visibility(bool(lines))
        self._stop.set_visibility(run.state in (RunState.QUEUED, RunState.RUNNING))
        for button in (self._again, self._delete):
            button.set_visibility(run.state in (RunState.INTERRUPTED, RunState.FAILED))


def how_far(run: Run) -> str:
    """The stage of a run that is at work, with what is done of it where that is known."""
    stage = stage_of(run) if run.progress.get("stage") else "Starting"
    done, total = run.progress.get("done", 0), run.progress.get("total", 0)
    if not done:
        return f"{stage} …"
    of = f" of {thousands(total)}" if total else ""
    left = time_left(run)
    return f"{stage}: {thousands(done)}{of} done{f', {left}' if left else ''} …"


def watch_run(
    context: StudioContext,
    run_id: str,
    on_done: Callable[[Run], Awaitable[None]],
    *,
    home: str,
    note: str = NOTE,
) -> RunWatch:
    """Watch a run here. Raises ``NotFoundError`` for an id that no run has."""
    run = context.workspace.runs.get(run_id)
    return RunWatch(context, run, on_done, home=home, note=note)
