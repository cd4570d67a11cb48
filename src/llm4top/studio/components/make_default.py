"""Making a model the default, after a question if its metrics are worse than those of others."""

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.bundle_facts import display_name
from llm4top.studio.components.elements import confirm, in_thread, warn
from llm4top.studio.context import StudioContext
from llm4top.workspace.views.baseline_comparison import Standing, beside_default


def comparison_of_bundle(context: StudioContext, bundle_id: str) -> Standing:
    """A bundle compared with a bag of words and with the default model. Reads the store."""
    bundles = context.workspace.bundles
    bundle, default = bundles.get(bundle_id), bundles.default()
    if bundle.id == default.id:
        return Standing((), ())
    return beside_default(bundle.facts, default.facts, display_name(default))


async def make_default(context: StudioContext, bundle_id: str) -> bool:
    """Make a model the default and log it; whether it now is. Asks first if it is weaker."""
    who, bundles = context.who(), context.workspace.bundles

    def change() -> str:
        name = display_name(bundles.set_default(bundle_id))
        context.workspace.activity.log("made the default", who, name, subject=bundle_id)
        return name

    try:
        found = await in_thread(comparison_of_bundle, context, bundle_id)
        if found is None or (found.weaker and not await _agreed(found)):
            return False
        name = await in_thread(change)
    except LLM4TOPError as error:
        warn(error)
        return False
    if name is not None:
        ui.notify(f"{name} is now the default model.")
    return name is not None


async def _agreed(found: Standing) -> bool:
    return await confirm(
        "Make this weaker model the default?",
        *found.weaker,
        "The default is used for every forecast unless another model is chosen.",
        yes="Make it the default",
        no="Cancel",
    )
