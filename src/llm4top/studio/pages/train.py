"""Train: choose data and base model, see every fault before it costs time, start and watch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.studio.components.elements import Words, section
from llm4top.studio.components.run_view import RunView
from llm4top.studio.components.train_form import Checker, TrainForm
from llm4top.studio.frame import page
from llm4top.studio.jobs import standing_of, title_of
from llm4top.workspace.jobs.train_plan import base_models

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.datasets import StoredDataset
    from llm4top.workspace.run_states import Run

SHOWN = 10


def register(context: StudioContext) -> None:
    """Join the frame: the page where a training is chosen, and the one of each training."""
    style = (files("llm4top.studio") / "assets" / "train.css").read_text("utf-8")
    ui.add_head_html(f"<style>{style}</style>", shared=True)

    @page(context, "/train", "Train", icon="model_training", order=20)
    async def train() -> None:
        await ui.context.client.connected()
        found = await work.io_bound(_choices, context)
        if found is None:
            return
        datasets, bases, runs, active = found
        if not datasets:
            _no_data()
        elif not bases:
            Words("p", "There is no base model yet. Download one: llm4top download Qwen/Qwen3-8B")
        else:
            TrainForm(context, Checker(), datasets, bases, runs)
        if runs:
            with section("Trainings"), ui.element("ul").classes("l4-earlier"):
                for run in runs:
                    with ui.element("li"):
                        ui.link(title_of(run), f"/train/{run.id}")
                        Words(
                            "span", f" {run.created:%Y-%m-%d %H:%M} UTC. {standing_of(run, active)}"
                        )

    @page(
        context,
        "/train/{run_id}",
        "Training",
        where="nowhere",
        section="/train",
        exists=context.workspace.runs.get,
    )
    async def training(run_id: str) -> None:
        await ui.context.client.connected()
        run = await work.io_bound(context.workspace.runs.get, run_id)
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


def _no_data() -> None:
    """What the page is for, and the one next step."""
    with ui.element("div").classes("l4-empty"):
        Words(
            "p",
            "Train a base model on trials with known outcomes, to get a model to forecast with. "
            "That needs a data set, and there is none in this workspace yet.",
        )
        ui.link("Make a data set", "/data")
