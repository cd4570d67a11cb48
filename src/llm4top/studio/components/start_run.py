"""Starting a run from a page: the data sets to choose from, and the queue."""

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.elements import Words, error_box, in_thread
from llm4top.studio.context import StudioContext
from llm4top.text import counted
from llm4top.workspace.jobs.jobs import submit
from llm4top.workspace.run_states import Run
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
    Words("p", "This needs a data set of trials with known outcomes. There is none yet.")
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
        run = await in_thread(queue_run, context.workspace, kind, settings, title, context.who())
    except LLM4TOPError as error:
        with faults:
            error_box(error)
        return
    if run is not None:
        context.jobs.refresh()
        ui.navigate.to(f"/reports/{run.id}")
