"""Activity: who did what, when, and to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run, ui

from llm4top.studio._pieces import Words, empty

if TYPE_CHECKING:
    from llm4top.studio._context import StudioContext
    from llm4top.workspace import ActivityEntry

PAGE = 50
_COLUMNS = ("Time (UTC)", "Who", "Action", "What")


def register(context: StudioContext) -> None:
    """Join the frame as the last page of the rail."""

    @context.page("/activity", "Activity", icon="history", order=80)
    async def activity() -> None:
        await _Log(context).show()


class _Log:
    """The entries that one visitor has asked for so far, newest first."""

    def __init__(self, context: StudioContext):
        self._log = context.workspace.activity
        self._last: int | None = None

    async def show(self) -> None:
        entries = await self._next()
        if not entries:
            empty(
                "Here stands what was done in this workspace: each file brought in, forecast, run "
                "and deletion, with its time and who did it. Nothing was done yet.",
                "Make a first forecast",
                "/",
            )
            return
        Words("p", "What was done in this workspace, newest first.").classes("l4-muted")
        with ui.element("table").classes("l4-table l4-log").props('aria-label="Activity"'):
            with ui.element("thead"), ui.element("tr"):
                for column in _COLUMNS:
                    Words("th", column).props('scope="col"')
            self._body = ui.element("tbody")
        self._more = ui.button("Show earlier", on_click=self._extend).props("outline no-caps")
        self._more.classes("l4-start")
        self._add(entries)

    async def _next(self) -> list[ActivityEntry]:
        before = self._last
        # One more than is shown tells whether there are earlier ones.
        found = await run.io_bound(lambda: self._log.list(before=before, limit=PAGE + 1))
        return list(found or ())

    async def _extend(self) -> None:
        self._add(await self._next())

    def _add(self, entries: list[ActivityEntry]) -> None:
        with self._body:
            for entry in entries[:PAGE]:
                with ui.element("tr"):
                    Words("td", f"{entry.time:%Y-%m-%d %H:%M:%S}").classes("l4-muted l4-state")
                    for cell in (entry.who, entry.action, entry.what):
                        Words("td", cell)
        self._last = entries[:PAGE][-1].id if entries else self._last
        self._more.set_visibility(len(entries) > PAGE)
