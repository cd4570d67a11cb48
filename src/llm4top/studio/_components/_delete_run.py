"""The button that deletes a run that is over, once a person has said yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio._jobs import title_of
from llm4top.studio._pieces import Words
from llm4top.workspace._jobs import discard

if TYPE_CHECKING:
    from llm4top.studio._context import StudioContext
    from llm4top.workspace import Run


def delete_run_button(context: StudioContext, run: Run, then: str) -> ui.button:
    """A button that asks, deletes the run, and opens the page ``then``."""

    async def clicked() -> None:
        who = context.who()
        with ui.dialog() as dialog, ui.card():
            Words("h2", f"Delete {title_of(run)}?")
            Words(
                "p",
                "Its log, curves, report and checkpoints are removed from this machine for good. "
                "Models and data sets that it made stay.",
            )
            with ui.row():
                ui.button("Delete", on_click=lambda: dialog.submit(True)).props(
                    "unelevated no-caps text-color=on-accent"
                )
                ui.button("Keep", on_click=lambda: dialog.submit(False)).props("flat no-caps")
        dialog.props["aria-label"] = "Delete this run?"
        agreed = await dialog
        dialog.delete()
        if not agreed:
            return

        def change() -> bool:
            discard(context.workspace, run.id)
            context.workspace.activity.log("deleted", who, title_of(run))
            return True

        try:
            done = await work.io_bound(change)
        except LLM4TOPError as error:
            ui.notify(str(error), type="warning", multi_line=True)
            return
        context.jobs.forget()
        if done:
            ui.navigate.to(then)

    return ui.button("Delete", on_click=clicked).props("outline no-caps")
