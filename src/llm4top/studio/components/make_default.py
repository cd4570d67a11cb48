"""Making a model the default: said what it means, and asked again where its figures are weaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.bundle_facts import display_name
from llm4top.studio.components.elements import Words
from llm4top.workspace.views.baseline_comparison import Standing, beside_default

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext


def standing_of_bundle(context: StudioContext, bundle_id: str) -> Standing:
    """How a bundle's figures stand beside a bag of words and the default. Reads the store."""
    bundles = context.workspace.bundles
    bundle, default = bundles.get(bundle_id), bundles.default()
    if bundle.id == default.id:
        return Standing((), ())
    return beside_default(bundle.facts, default.facts, display_name(default))


async def make_default(context: StudioContext, bundle_id: str) -> bool:
    """Make a model the default and log it, after a question where it is weaker; whether it is."""
    who, bundles = context.who(), context.workspace.bundles

    def change() -> str:
        name = display_name(bundles.set_default(bundle_id))
        context.workspace.activity.log("made the default", who, name, subject=bundle_id)
        return name

    try:
        standing = await work.io_bound(standing_of_bundle, context, bundle_id)
        if standing is None or (standing.weaker and not await _agreed(standing)):
            return False
        name = await work.io_bound(change)
    except LLM4TOPError as error:
        ui.notify(str(error), type="warning", multi_line=True)
        return False
    if name is not None:
        ui.notify(f"{name} is now the default model.")
    return name is not None


async def _agreed(standing: Standing) -> bool:
    with ui.dialog() as dialog, ui.card():
        Words("h2", "Make this weaker model the default?")
        for reason in standing.weaker:
            Words("p", reason)
        Words("p", "The default is used for every forecast for which nobody chooses a model.")
        with ui.row():
            ui.button("Make it the default", on_click=lambda: dialog.submit(True)).props(
                "unelevated no-caps text-color=on-accent"
            )
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
    dialog.props["aria-label"] = "Make this weaker model the default?"
    agreed = bool(await dialog)
    dialog.delete()
    return agreed
