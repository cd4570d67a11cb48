"""Activity: who did what, when, and to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run, ui

from llm4top.studio.components.elements import Words, empty
from llm4top.studio.frame import page
from llm4top.studio.jobs_view import addresses_of

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.activity import ActivityEntry

PAGE = 50
_COLUMNS = ("Time (UTC)", "Who", "Action", "What")


def register(context: StudioContext) -> None:
    """Join the frame as the last page of the rail."""

    @page(context, "/activity", "Activity", icon="history", order=80)
    async def activity() -> None:
        await _Log(context).show()


class _Log:
    """The entries that one visitor has asked for so far, newest first."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._log = context.workspace.activity
        self._last: int | None = None

    async def show(self) -> None:
        entries = await self._next()
        if not entries:
            empty(
                "No activity yet. Each upload, forecast, run and deletion in this workspace will "
                "appear here, with its time and who did it.",
                "Make a first forecast",
                "/",
            )
            return
        Words("p", "Activity in this workspace, newest first.").classes("l4-muted")
        with ui.element("table").classes("l4-table l4-log").props('aria-label="Activity"'):
            with ui.element("thead"), ui.element("tr"):
                for column in _COLUMNS:
                    Words("th", column).props('scope="col"')
            self._body = ui.element("tbody")
        self._more = ui.button("Show earlier", on_click=self._extend).props("outline no-caps")
        self._more.classes("l4-start")
        await self._add(entries)

    async def _next(self) -> list[ActivityEntry]:
        before = self._last
        # One more than is shown tells whether there are earlier ones.
        found = await run.io_bound(lambda: self._log.list(before=before, limit=PAGE + 1))
        return list(found or ())

    async def _extend(self) -> None:
        await self._add(await self._next())

    async def _add(self, entries: list[ActivityEntry]) -> None:
        subjects = [entry.subject for entry in entries[:PAGE]]
        found = await run.io_bound(addresses_of, self._context.workspace, subjects)
        addresses = found or {}
        if self._body.is_deleted:
            return
        with self._body:
            for entry in entries[:PAGE]:
                with ui.element("tr"):
                    Words("td", f"{entry.time:%Y-%m-%d %H:%M:%S}").classes("l4-muted l4-state")
                    for cell in (entry.who, entry.action):
                        Words("td", cell)
                    with ui.element("td"):
                        if address := addresses.get(entry.subject or ""):
                            ui.link(entry.what, address)
                        else:
                            Words("span", entry.what)
        self._last = entries[:PAGE][-1].id if entries else self._last
        self._more.set_visibility(len(entries) > PAGE)
