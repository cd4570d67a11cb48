"""Activity: who did what, when, and to what."""

from functools import partial

from nicegui import ui

from llm4top.studio.components import elements
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.studio.jobs_view import addresses_of
from llm4top.workspace.activity import ActivityEntry

PAGE = 50
_COLUMNS = ("Time (UTC)", "Who", "Action", "What")


def register(context: StudioContext) -> None:
    """Add the last page of the rail."""

    @page(context, "/activity", "Activity", icon="history", order=80)
    async def activity() -> None:
        await _Log(context).show()


class _Log:
    """The entries that one visitor has opened so far, newest first."""

    def __init__(self, context: StudioContext):
        self._workspace = context.workspace
        self._last: int | None = None

    async def show(self) -> None:
        entries = await self._next()
        if not entries:
            elements.empty(
                "No activity yet. Each upload, forecast, run and deletion in this workspace will "
                "appear here, with its time and who did it.",
                "Make a first forecast",
                "/",
            )
            return
        elements.Words("p", "Activity in this workspace, newest first.").classes("l4-muted")
        self._body = elements.table(_COLUMNS, (), label="Activity", kind="l4-log")
        self._more = ui.button("Show earlier", on_click=self._extend).props("outline no-caps")
        self._more.classes("l4-start")
        await self._add(entries)

    async def _next(self) -> list[ActivityEntry]:
        before = self._last
        # One more than is shown: whether there are earlier ones.
        found = await elements.in_thread(
            lambda: self._workspace.activity.list(before=before, limit=PAGE + 1)
        )
        return list(found or ())

    async def _extend(self) -> None:
        await self._add(await self._next())

    async def _add(self, entries: list[ActivityEntry]) -> None:
        shown = entries[:PAGE]
        subjects = [entry.subject for entry in shown]
        addresses = await elements.in_thread(addresses_of, self._workspace, subjects) or {}
        if self._body.is_deleted:
            return
        rows = [
            (
                partial(elements.muted, f"{entry.time:%Y-%m-%d %H:%M:%S}", "span"),
                entry.who,
                entry.action,
                partial(elements.linked, entry.what, addresses.get(entry.subject or "", "")),
            )
            for entry in shown
        ]
        elements.add_rows(self._body, _COLUMNS, rows)
        self._last = shown[-1].id if shown else self._last
        self._more.set_visibility(len(entries) > PAGE)
