"""About: privacy with its proof, versions, and whether everything required works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run, ui

from llm4top.studio.components.elements import Words, heading, section, table, things
from llm4top.studio.components.privacy import privacy_statement
from llm4top.studio.frame import page

if TYPE_CHECKING:
    from llm4top.forecasters.doctor import Check
    from llm4top.studio.context import StudioContext

_STATES = {"ok": "works", "missing": "missing", "broken": "broken", "info": ""}


def register(context: StudioContext) -> None:
    """Join the frame, behind the "?"."""

    @page(context, "/about", "About", icon="info", order=95, where="menu")
    async def about() -> None:
        with ui.element("section").classes("l4-section"):
            await privacy_statement(context)
        with section("Check-up"):
            waiting = Words("p", "Looking at versions, device, disk and models …")
            waiting.props('role="status"')
            place = ui.element("div")
        await ui.context.client.connected()
        checks = await run.io_bound(_all_checks)
        waiting.delete()
        with place:
            _show(checks or [])


def _all_checks() -> list[Check]:
    from llm4top.forecasters.doctor import all_checks

    return list(all_checks())


def _show(checks: list[Check]) -> None:
    broken = sum(check.state == "broken" for check in checks)
    Words(
        "p", f"{things(broken, 'problem')}; see below." if broken else "Everything required works."
    )
    for group in dict.fromkeys(check.group for check in checks):
        with ui.element("div").classes("l4-section"):
            heading(group, level=3)
            rows = [
                (check.name, _STATES[check.state], f"{check.found}\n{_mend(check)}".strip())
                for check in checks
                if check.group == group
            ]
            table(("What", "State", "Found"), rows, label=group)


def _mend(check: Check) -> str:
    return f"Fix: {check.mend}" if check.mend else ""
