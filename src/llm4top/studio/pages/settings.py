"""Settings: the default model, colours, and the folder of the workspace."""

import shutil

from nicegui import ui

from llm4top.studio.components.bundle_facts import display_name, make_default
from llm4top.studio.components.elements import Words, facts, in_thread, section
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.workspace.bundles import WorkspaceBundle
from llm4top.workspace.workspace import Workspace

_MOVE = (
    "To use another folder, close the Studio and start it with LLM4TOP_HOME set to that folder. "
    "To keep your data, move the old folder there first."
)


def register(context: StudioContext) -> None:
    """Add a page to the menu."""

    @page(context, "/settings", "Settings", icon="settings", order=90, where="menu")
    async def settings() -> None:
        bundles = await in_thread(context.workspace.bundles.list)
        with section("Default model"):
            _default_model(context, list(bundles or ()))
        with section("Workspace"):
            facts(await in_thread(_where, context.workspace) or ())
            Words("p", _MOVE).classes("l4-muted")
        with section("Colours"):
            _colours()


def _colours() -> None:
    Words(
        "p",
        "“System” follows your system's light or dark setting. Saved in this browser.",
    )
    with ui.element("div").classes("l4-choices").props('role="group" aria-label="Colours"'):
        for choice, name in (("system", "System"), ("light", "Light"), ("dark", "Dark")):
            button = Words("button", name)
            button.props["type"] = "button"
            button.props["data-l4-theme-choice"] = choice


def _default_model(context: StudioContext, bundles: list[WorkspaceBundle]) -> None:
    Words("p", "Used unless you choose another model.")
    names = {bundle.id: display_name(bundle) for bundle in bundles}
    chosen = next((bundle.id for bundle in bundles if bundle.is_default), None)
    if not names:
        Words("p", "There is no model. Reinstall LLM4TOP, or import a bundle.")
        return

    async def choose() -> None:
        nonlocal chosen
        wanted = str(field.value)
        if wanted == chosen:
            return
        if await make_default(context, wanted):
            chosen = wanted
        else:
            field.set_value(chosen)

    field = ui.select(names, value=chosen, label="Model", on_change=choose)
    field.props("outlined").classes("l4-field")


def _where(workspace: Workspace) -> list[tuple[str, str]]:
    disk = shutil.disk_usage(workspace.folder)
    return [
        ("Folder", str(workspace.folder)),
        ("Database", workspace.database),
        ("Free space", f"{disk.free / 1e9:.1f} of {disk.total / 1e9:.1f} GB"),
    ]
