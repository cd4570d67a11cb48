"""Train: choose data and base model, check the settings, start and watch."""

from collections.abc import Sequence

from nicegui import ui

from llm4top.studio.components.elements import Words, connected, empty, in_thread, muted, section
from llm4top.studio.components.plan_checker import PlanChecker
from llm4top.studio.components.run_view import RunView
from llm4top.studio.components.train_form import TrainForm
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.studio.jobs import status_text, title_of
from llm4top.workspace.datasets import StoredDataset
from llm4top.workspace.jobs.train_plan import base_models
from llm4top.workspace.run_states import Run

SHOWN = 10


def register(context: StudioContext) -> None:
    """Add the form with the list of trainings, and a page for each training."""

    @page(context, "/train", "Train", icon="model_training", order=20)
    async def train() -> None:
        await connected()
        found = await in_thread(_choices, context)
        if found is None:
            return
        datasets, bases, runs, active = found
        if not datasets:
            empty(
                "Train a base model on trials with known outcomes, then forecast with it. This "
                "needs a data set. There is none yet.",
                "Import a data set",
                "/data",
            )
        elif not bases:
            Words("p", "There is no base model yet. Download one: llm4top download Qwen/Qwen3-8B")
        else:
            TrainForm(context, PlanChecker(), datasets, bases, runs)
        if runs:
            with section("Trainings"), ui.element("ul").classes("l4-earlier"):
                for run in runs:
                    with ui.element("li"):
                        ui.link(title_of(run), f"/train/{run.id}")
                        when = f"{run.created:%Y-%m-%d %H:%M} UTC"
                        muted(f"{when} · {status_text(run, active)}", "span")

    @page(
        context,
        "/train/{run_id}",
        "Training",
        where="nowhere",
        section="/train",
        exists=context.workspace.runs.get,
    )
    async def training(run_id: str) -> None:
        await connected()
        run = await in_thread(context.workspace.runs.get, run_id)
        if run is None:
            return
        ui.link("All trainings", "/train")
        RunView(context, run)


def _choices(
    context: StudioContext,
) -> tuple[list[StoredDataset], dict[str, str], list[Run], Sequence[Run]]:
    workspace = context.workspace
    datasets = list(workspace.datasets.list(limit=None))
    runs = workspace.runs.list(kind="train", limit=SHOWN)
    return datasets, base_models(workspace), runs, context.jobs.look().active
