"""What starting a run needs on a page: the data sets to choose from, and the way to the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import run as background
from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.elements import Words, error_box
from llm4top.text import thousands

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.workspace import Workspace

SPLITS = {"valid": "Validation rows", "test": "Test rows (every use is logged)"}


def dataset_names(workspace: Workspace) -> dict[str, str]:
    """The data sets of the workspace by id, as a list shows them; newest first."""
    return {
        found.id: f"{found.name} ({thousands(found.rows)} trials)"
        for found in workspace.datasets.list(limit=None)
    }


def say_there_is_no_data(context: StudioContext) -> None:
    """What to do where there is no data set yet."""
    Words("p", "This needs trials with known outcomes, and there is no data set here yet.")
    if any(place.path == "/data" for place in context.places):
        ui.link("Make a data set", "/data")


async def start_run(
    context: StudioContext,
    kind: str,
    settings: Mapping[str, Any],
    title: str,
    faults: ui.element,
) -> None:
    """Queue a run and open its page; what is wrong with it is said in ``faults``."""
    who, workspace = context.who(), context.workspace
    faults.clear()

    def work() -> Run | LLM4TOPError:
        from llm4top.workspace.jobs.jobs import submit

        try:
            made = submit(workspace, kind, settings, title=title, ids_only=True)
            workspace.activity.log("queued", who, title, subject=made.id)
        except LLM4TOPError as error:
            return error
        return made

    made = await background.io_bound(work)
    if isinstance(made, LLM4TOPError):
        with faults:
            error_box(made)
    elif made is not None:
        context.jobs.forget()
        ui.navigate.to(f"/reports/{made.id}")
