"""Earlier forecasts, to search and page through, with those that are being made above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.studio._components._archive import address_of, described
from llm4top.studio._jobs import standing_of, title_of
from llm4top.studio._pieces import Words, section

if TYPE_CHECKING:
    from llm4top.studio._context import StudioContext
    from llm4top.workspace import Batch, Run

PER_PAGE = 10
ACTIVE = ("running", "stopping", "queued")


async def list_earlier(context: StudioContext, place: ui.element) -> None:
    """Fill ``place`` with what was forecast before; nothing where nothing was."""
    found = await work.io_bound(_look, context, "", 0)
    if found is None or place.is_deleted:
        return
    running, batches, total = found
    with place:
        if running:
            with section("In progress"), ui.element("ul").classes("l4-earlier"):
                for run in running:
                    with ui.element("li"):
                        ui.link(title_of(run), f"/?run={run.id}")
                        Words("span", standing_of(run, running)).classes("l4-muted l4-small")
        if total:
            with section("Earlier forecasts"):
                _Earlier(context, batches, total)


def _look(context: StudioContext, search: str, offset: int) -> tuple[list[Run], list[Batch], int]:
    workspace = context.workspace
    batches = workspace.batches
    running = workspace.runs.list(states=ACTIVE, kind="forecast", limit=20)
    found = batches.list(search=search, limit=PER_PAGE, offset=offset)
    return list(running), found, batches.count(search=search)


class _Earlier:
    """One visitor's list."""

    def __init__(self, context: StudioContext, batches: list[Batch], total: int):
        self._context = context
        self._search = ""
        self._page = 1
        if total > PER_PAGE:
            box = ui.input("Search earlier forecasts", on_change=self._sought)
            box.props('outlined dense clearable debounce="300"').classes("l4-field")
        self._list = ui.element("div").classes("l4-stack")
        self._draw(batches, total)

    async def _sought(self, event: object) -> None:
        self._search, self._page = str(getattr(event, "value", None) or ""), 1
        await self._read()

    async def _turned(self, event: object) -> None:
        self._page = int(getattr(event, "value", 1))
        await self._read()

    async def _read(self) -> None:
        offset = (self._page - 1) * PER_PAGE
        found = await work.io_bound(_look, self._context, self._search, offset)
        if found is not None and not self._list.is_deleted:
            self._draw(*found[1:])

    def _draw(self, batches: list[Batch], total: int) -> None:
        self._list.clear()
        with self._list:
            if not batches:
                Words("p", "No forecasts match.").props('role="status"').classes("l4-muted")
            with ui.element("ul").classes("l4-earlier"):
                for batch in batches:
                    with ui.element("li"):
                        ui.link(batch.name, address_of(batch))
                        Words("span", described(batch)).classes("l4-muted l4-small")
            pages = -(-total // PER_PAGE)
            if pages > 1:
                made = ui.pagination(1, pages, value=self._page, on_change=self._turned)
                made.props('direction-links boundary-numbers max-pages="7"')
