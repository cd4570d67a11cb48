"""Buttons that stop, resume, repeat and delete a run: what is done is logged, faults are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.elements import Words
from llm4top.studio.jobs import title_of
from llm4top.workspace.jobs.jobs import discard

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.workspace import Workspace

Act = Callable[["Workspace", str], object]


async def act_on_run(context: StudioContext, run_id: str, done: str, act: Act) -> bool:
    """Do something to a run and log it as ``done``; whether it could be done."""
    who = context.who()

    def change() -> bool:
        run = context.workspace.runs.get(run_id)
        act(context.workspace, run_id)
        context.workspace.activity.log(done, who, title_of(run), subject=run_id)
        return True

    try:
        return bool(await work.io_bound(change))
    except LLM4TOPError as error:
        ui.notify(str(error), type="warning", multi_line=True)
        return False
    finally:
        context.jobs.forget()


def run_button(
    context: StudioContext,
    run_id: str,
    verb: str,
    done: str,
    act: Act,
    then: Callable[[], Awaitable[None]],
) -> ui.button:
    """A button with a verb; ``then`` looks at the run anew."""

    async def clicked() -> None:
        await act_on_run(context, run_id, done, act)
        await then()

    return ui.button(verb, on_click=clicked).props("outline no-caps")


def delete_run_button(context: StudioContext, run: Run, home: str) -> ui.button:
    """A button that asks, deletes the run, and opens the page ``home``."""

    async def clicked() -> None:
        if await _agreed(run) and await act_on_run(context, run.id, "deleted", discard):
            ui.navigate.to(home)

    return ui.button("Delete", on_click=clicked).props("outline no-caps")


_LOST = {
    "forecast": "Its forecasts, those that were finished before it stopped included, and the "
    "records they were made from are removed from this machine for good.",
}
_LOST_OTHERWISE = (
    "Its log, curves, report and checkpoints are removed from this machine for good. "
    "Models and data sets that it made stay."
)
"""What is deleted with a run."""


async def _agreed(run: Run) -> bool:
    with ui.dialog() as dialog, ui.card():
        Words("h2", f"Delete {title_of(run)}?")
        Words("p", _LOST.get(run.kind, _LOST_OTHERWISE))
        with ui.row():
            ui.button("Delete", on_click=lambda: dialog.submit(True)).props(
                "unelevated no-caps text-color=on-accent"
            )
            ui.button("Keep", on_click=lambda: dialog.submit(False)).props("flat no-caps")
    dialog.props["aria-label"] = "Delete this run?"
    agreed = bool(await dialog)
    dialog.delete()
    return agreed
