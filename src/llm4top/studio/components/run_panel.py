"""Runs on a page: starting one, its status and progress, and buttons to stop or restart it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from llm4top.errors import DatabaseError, LLM4TOPError
from llm4top.studio.components import elements
from llm4top.studio.context import StudioContext
from llm4top.studio.jobs import share_of, status_text, title_of
from llm4top.text import counted
from llm4top.workspace.cleanup import delete_run
from llm4top.workspace.jobs.jobs import RESUMABLE, log_tail, submit
from llm4top.workspace.run_states import Run, RunState
from llm4top.workspace.workspace import Workspace

SPLITS = {"valid": "Validation set", "test": "Test set (every use is logged)"}


def dataset_names(workspace: Workspace) -> dict[str, str]:
    """The data sets of the workspace by id, as a list shows them; newest first."""
    return {
        found.id: f"{found.name} ({counted(found.rows, 'trial')})"
        for found in workspace.datasets.list(limit=None)
    }


def no_data_yet() -> None:
    """The next step where there is no data set yet."""
    elements.Words("p", "This needs a data set of trials with known outcomes. There is none yet.")
    ui.link("Import a data set", "/data")


def queue_run(
    workspace: Workspace, kind: str, settings: Mapping[str, Any], title: str, who: str
) -> Run:
    """Queue a run and log it. Raises what ``submit`` raises."""
    run = submit(workspace, kind, settings, title=title, ids_only=True)
    workspace.activity.log("queued", who, title, subject=run.id)
    return run


async def start_run(
    context: StudioContext,
    kind: str,
    settings: Mapping[str, Any],
    title: str,
    faults: ui.element,
) -> None:
    """Queue a run and open its report page; an error is shown in ``faults``."""
    faults.clear()
    try:
        run = await elements.in_thread(
            queue_run, context.workspace, kind, settings, title, context.who()
        )
    except LLM4TOPError as error:
        with faults:
            elements.error_box(error)
        return
    if run is not None:
        context.jobs.refresh()
        ui.navigate.to(f"/reports/{run.id}")


EVERY = 1.0
"""Seconds between two reads of a run."""

LOG_LINES = 60

NOTE = "You can close this page; the work continues."

Action = Callable[[str], object]

_DELETED = {
    "forecast": "Its forecasts, finished ones included, and the records they were made from are "
    "removed from this machine. This cannot be undone.",
}
_DELETED_OTHERWISE = (
    "Its log, curves, report and checkpoints are removed from this machine. Models and data sets "
    "that it made are kept. This cannot be undone."
)
"""What is deleted with a run."""


async def act_on_run(context: StudioContext, run_id: str, done: str, action: Action) -> bool:
    """Do something to a run and log it as ``done``; whether it could be done."""
    who = context.who()

    def change() -> bool:
        run = context.workspace.runs.get(run_id)
        action(run_id)
        context.workspace.activity.log(done, who, title_of(run), subject=run_id)
        return True

    try:
        return bool(await elements.in_thread(change))
    except LLM4TOPError as error:
        elements.warn(error)
        return False
    finally:
        context.jobs.refresh()


def run_buttons(
    context: StudioContext, run: Run, then: Callable[[], Awaitable[None]]
) -> tuple[ui.button, ui.button]:
    """The button that stops a run, and the one that resumes it or starts it over.

    ``then`` is awaited after a click.
    """

    def button(verb: str, done: str, action: Action) -> ui.button:
        async def clicked() -> None:
            await act_on_run(context, run.id, done, action)
            await then()

        return ui.button(verb, on_click=clicked).props("outline no-caps")

    runs = context.workspace.runs
    again = ("Resume", "resumed", runs.resume)
    if run.kind not in RESUMABLE:
        again = ("Start over", "retried", runs.retry)
    return button("Stop", "stopped", runs.request_stop), button(*again)


def show_buttons(run: Run, stop: ui.button, again: ui.button) -> None:
    """Show those of ``run_buttons`` that the run's state allows."""
    stop.set_visibility(run.state in (RunState.QUEUED, RunState.RUNNING))
    again.set_visibility(run.state in (RunState.INTERRUPTED, RunState.FAILED))


class RunPanel:
    """A run that is read once a second until it has ended.

    ``on_read`` is awaited with the run after each read. ``home`` is the page to open when the
    run is deleted.
    """

    def __init__(
        self,
        context: StudioContext,
        run: Run,
        on_read: Callable[[Run], Awaitable[None]],
        *,
        home: str,
        note: str = NOTE,
    ):
        self.run = run
        self.active: Sequence[Run] = ()
        self._context = context
        self._on_read = on_read
        self._home = home
        self.box = ui.element("div").classes("l4-stack")
        with self.box:
            self._status = elements.Words("p", "").props('role="status" aria-live="polite"')
            self._bar = elements.progress_bar()
            self._note = elements.muted(note)
            with ui.element("details") as self._log_box:
                elements.Words("summary", "Last lines of the log")
                self._log = elements.Words("pre", "").classes("l4-log-tail").props('tabindex="0"')
            with ui.element("div").classes("l4-controls"):
                self._stop, self._again = run_buttons(context, run, self._read)
                self._delete = ui.button("Delete", on_click=self._ask_and_delete)
                self._delete.props("outline no-caps")
        self._draw([])
        self._timer = ui.timer(EVERY, self._read)

    async def _read(self) -> None:
        try:
            found = await elements.in_thread(self._look)
        except DatabaseError as error:
            if not self.box.is_deleted:
                self._status.set_text(str(error))
            return
        if found is None:  # the server is closing
            return
        self.run, self.active, lines = found
        if not self.box.is_deleted:
            self._draw(lines)
            self._timer.active = not self.run.state.is_over
            await self._on_read(self.run)

    def _look(self) -> tuple[Run, Sequence[Run], list[str]]:
        workspace = self._context.workspace
        run = workspace.runs.get(self.run.id)
        logs = run.kind == "train" or run.state is RunState.FAILED
        lines = log_tail(workspace, run.id, LOG_LINES) if logs else []
        return run, self._context.jobs.look().active, lines

    def _draw(self, lines: list[str]) -> None:
        run, state = self.run, self.run.state
        self._status.set_text(status_text(run, self.active))
        share = share_of(run)
        self._bar.set_value(share or 0)
        self._bar.set_visibility(state is RunState.RUNNING and share is not None)
        self._note.set_visibility(not state.is_over)
        self.box.classes(
            add="l4-box l4-warn" if state is RunState.FAILED else "",
            remove="" if state is RunState.FAILED else "l4-box l4-warn",
        )
        self._log.set_text("\n".join(lines))
        self._log_box.set_visibility(bool(lines))
        show_buttons(run, self._stop, self._again)
        self._delete.set_visibility(state.is_over)

    async def _ask_and_delete(self) -> None:
        lost = _DELETED.get(self.run.kind, _DELETED_OTHERWISE)
        delete = partial(delete_run, self._context.workspace)
        if await elements.confirm(f"Delete {title_of(self.run)}?", lost) and await act_on_run(
            self._context, self.run.id, "deleted", delete
        ):
            ui.navigate.to(self._home)


def watch_run(
    context: StudioContext,
    run: Run,
    on_done: Callable[[Run], Awaitable[None]],
    *,
    home: str,
    note: str = NOTE,
) -> RunPanel:
    """Show a run where it was started; ``on_done`` gets it when it has finished."""

    async def read(now: Run) -> None:
        if now.state is RunState.DONE and panel.box.visible:
            panel.box.set_visibility(False)
            # Outside of the panel: clearing the panel cancels what its own timer awaits.
            with panel.box.client.content:
                ui.timer(0, partial(on_done, now), once=True)

    panel = RunPanel(context, run, read, home=home, note=note)
    panel.box.classes("l4-box")
    return panel
