"""About: privacy with its proof, versions, and a check of everything required."""

from nicegui import ui

from llm4top.forecasters.doctor import Check, all_checks
from llm4top.studio.components.elements import Words, connected, heading, in_thread, section, table
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page, privacy_statement
from llm4top.text import counted

_STATES = {"ok": "works", "missing": "missing", "broken": "broken", "info": ""}


def register(context: StudioContext) -> None:
    """Add a page to the menu."""

    @page(context, "/about", "About", icon="info", order=95, where="menu")
    async def about() -> None:
        with ui.element("section").classes("l4-section"):
            await privacy_statement(context)
        with section("Check-up"):
            waiting = Words("p", "Checking versions, device, disk and models …")
            waiting.props('role="status"')
            place = ui.element("div")
        await connected()
        checks = await in_thread(lambda: list(all_checks()))
        waiting.delete()
        with place:
            _show(checks or [])


def _show(checks: list[Check]) -> None:
    broken = sum(check.state == "broken" for check in checks)
    Words(
        "p", f"{counted(broken, 'problem')}; see below." if broken else "Everything required works."
    )
    for group in dict.fromkeys(check.group for check in checks):
        with ui.element("div").classes("l4-section"):
            heading(group, level=3)
            rows = [
                (
                    check.name,
                    _STATES[check.state],
                    f"{check.found}\nFix: {check.mend}" if check.mend else check.found,
                )
                for check in checks
                if check.group == group
            ]
            table(("Item", "State", "Details"), rows, label=group)
