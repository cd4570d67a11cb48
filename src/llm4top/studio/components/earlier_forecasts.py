"""Forecasts in progress and earlier ones, to search and page through."""

from nicegui import ui

from llm4top.studio.components.elements import Words, in_thread, muted, pager, section
from llm4top.studio.components.list_state import ListState
from llm4top.studio.context import StudioContext
from llm4top.studio.jobs import ACTIVE, status_text, title_of
from llm4top.text import counted
from llm4top.workspace.batches import Batch
from llm4top.workspace.run_states import Run

PER_PAGE = 10


async def list_earlier(context: StudioContext, place: ui.element) -> None:
    """Fill ``place`` with forecasts in progress and earlier ones, if there are any."""
    found = await in_thread(_read, context, "", 0)
    if found is None or place.is_deleted:
        return
    running, batches, total = found
    with place:
        if running:
            with section("In progress"), ui.element("ul").classes("l4-earlier"):
                for run in running:
                    with ui.element("li"):
                        ui.link(title_of(run), f"/?run={run.id}")
                        muted(status_text(run, running), "span")
        if total:
            with section("Earlier forecasts"):
                _Earlier(context, batches, total)


def _read(context: StudioContext, search: str, offset: int) -> tuple[list[Run], list[Batch], int]:
    workspace = context.workspace
    batches = workspace.batches
    running = workspace.runs.list(states=ACTIVE, kind="forecast", limit=20)
    found = batches.list(search=search, limit=PER_PAGE, offset=offset)
    return list(running), found, batches.count(search=search)


class _Earlier:
    """The list of one visitor."""

    def __init__(self, context: StudioContext, batches: list[Batch], total: int):
        self._context = context
        self._search = ""
        self._page = 1
        if total > PER_PAGE:
            box = ui.input("Search earlier forecasts", on_change=self._on_search)
            box.props('outlined dense clearable debounce="300"').classes("l4-field")
        self._list = ui.element("div").classes("l4-stack")
        self._draw(batches, total)

    async def _on_search(self, event: object) -> None:
        self._search = str(getattr(event, "value", None) or "")
        await self._turn(1)

    async def _turn(self, page: int) -> None:
        self._page = page
        found = await in_thread(_read, self._context, self._search, (page - 1) * PER_PAGE)
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
                        ui.link(batch.name, ListState.of(batch.id, batch.run_id).address)
                        muted(_described(batch), "span")
            pager(-(-total // PER_PAGE), self._page, self._turn)


def _described(batch: Batch) -> str:
    """When a batch was made, and how much it holds."""
    parts = [f"{batch.created:%Y-%m-%d %H:%M} UTC", counted(batch.count, "trial")]
    if batch.left_out:
        parts.append(f"{batch.left_out} without a forecast")
    return " · ".join(parts)
