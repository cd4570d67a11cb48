"""A batch of forecasts: counts, refused files, filters, and the trials in three views."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui import ui

from llm4top.forecasters.forecast_format import Forecast
from llm4top.studio.components.bundle_facts import question_of
from llm4top.studio.components.drop_zone import download, not_applicable_list, refused_list
from llm4top.studio.components.elements import Words, choice, confirm, in_thread, muted, pager
from llm4top.studio.components.list_state import VIEWS, ListState
from llm4top.studio.components.portfolio import portfolio
from llm4top.studio.components.portfolio_questions import portfolio_questions
from llm4top.studio.components.trial_card import Listed, trial_card, trial_row, trial_table
from llm4top.studio.context import StudioContext
from llm4top.text import counted, thousands
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.views.export_batch import EXPORT_NAMES, export_batch
from llm4top.workspace.views.listing import (
    FILE_ORDER,
    Listing,
    ListQuery,
    copies_of,
    model_name,
    ties_of,
)
from llm4top.workspace.views.portfolio import SORTS as KEYS
from llm4top.workspace.views.portfolio import facets
from llm4top.workspace.views.skill import skill_of

PER_PAGE = {"Cards": 20, "Table": 50}
"""Trials that are drawn at once: more would delay the answers to other visitors."""

SORTS = {
    FILE_ORDER: "Order in file",
    "chance": "Lowest chance",
    "chance down": "Highest chance",
    "above base down": "Furthest above phase average",
    "above base": "Furthest below phase average",
    "title": "Title",
    "trial": "NCT id",
    "warnings down": "Most warnings",
}
"""Orders: a key of the portfolio's ``SORTS``, with "down" for the largest first."""

_TABLE_SORTS = {FILE_ORDER, *KEYS, *(f"{key} down" for key in KEYS)}
_FACETS = {"phases": "Phase", "areas": "Area", "sponsors": "Sponsor"}


def list_query(state: ListState) -> ListQuery:
    """The query of a batch for a state; an unknown order is the order in the file."""
    sort = state.sort if state.sort in _TABLE_SORTS else FILE_ORDER
    return ListQuery(state.model, sort, state.words, state.chosen)


@dataclass(frozen=True, slots=True)
class BatchActions:
    """What a visitor can do with the whole batch; ``again`` is None if that is not possible."""

    new: Callable[[], None]
    delete: Callable[[], Awaitable[None]]
    again: Callable[[], Awaitable[None]] | None
    again_with: str


class ResultsView:
    """Draws a batch, and draws it again when the visitor sorts, filters or changes the view.

    It holds a summary of each trial; details of those on the screen are read when they are drawn.
    """

    def __init__(
        self,
        context: StudioContext,
        listing: Listing,
        state: ListState,
        *,
        rejected: Sequence[Refusal],
        names: Mapping[str, str],
        model: Mapping[str, Any] | None,
        actions: BatchActions,
    ):
        self._context = context
        self._listing = listing
        self._state = state
        self._names = names
        self._model = model
        self._items = listing.items(state.model)
        self._refusals = [*rejected, *listing.refusals]
        self._copies = copies_of(self._items)
        if listing.batch.count or self._refusals or listing.not_asked:
            self._header(actions)
        if listing.not_asked:
            not_applicable_list(listing.not_asked)
        if self._refusals:
            refused_list(self._refusals)
        for note in listing.notes:
            muted(note)
        if len(self._items) > 1:
            self._controls()
        self._body = ui.element("div").classes("l4-results")

    async def draw(self, *, returned: bool = False) -> None:
        """Draw the trials that the state selects. ``returned``: back from one trial's page."""
        self._body.clear()
        if not self._items:
            return
        query = list_query(self._state)
        items = await in_thread(self._listing.shown, query)
        if items is None or self._body.is_deleted:
            return
        with self._body:
            if len(items) < len(self._items):
                shown = f"{counted(len(items), 'trial')} of {thousands(len(self._items))} shown"
                Words("p", shown).props('role="status"').classes("l4-muted")
            if self._view == "Portfolio":
                further = partial(portfolio_questions, self._context, self._listing.batch)
                await portfolio(items, self._state, redraw=self._show, further=further)
            else:
                await self._page_of(items)
        if returned:
            ui.run_javascript(_GO_BACK_TO)

    def _header(self, actions: BatchActions) -> None:
        listing = self._listing
        counts = [counted(len(self._items), "trial")]
        if self._copies:
            counts.append(f"{counted(len(self._copies), 'repeated record')}")
        if listing.not_asked:
            counts.append(f"{thousands(len(listing.not_asked))} not forecast")
        if self._refusals:
            counts.append(f"{thousands(len(self._refusals))} refused")
        with ui.element("div").classes("l4-head"):
            Words("h2", " · ".join(counts)).props('id="results" tabindex="-1"')
            self._exporting = ui.button("Export", icon="download").props("flat no-caps")
            with self._exporting, ui.menu():
                for kind, name in EXPORT_NAMES.items():
                    ui.menu_item(name, partial(self._export, kind)).props('role="menuitem"')
            if actions.again is not None:
                ui.button(
                    f"Forecast again with {actions.again_with}", on_click=actions.again
                ).props("flat no-caps")
            ui.button("New forecast", on_click=actions.new).props("flat no-caps")
            ui.button("Delete", on_click=partial(_ask_and_delete, actions.delete)).props(
                "flat no-caps"
            )
        made = f"{listing.batch.name} · {listing.batch.created:%Y-%m-%d %H:%M} UTC"
        with ui.element("div").classes("l4-about"):
            self._about(made)

    def _about(self, made: str) -> None:
        """The batch, its model with how well it ranks trials, and ties."""
        if not self._items:
            muted(made)
            return
        names = self._listing.names(self._names)
        now = self._items[0].variant
        if len(names) > 1:
            muted(made)
            choice("Forecasts of", names, now, self._choose_model)
        else:
            muted(f"{made} · Model: {names[now]}")
        if self._model is not None and (skill := skill_of(self._model)):
            muted(skill).classes("l4-skill")
        tied, values = ties_of(self._items)
        if len(self._items) > 9 and 2 * tied > len(self._items):
            muted(
                f"{thousands(tied)} of {thousands(len(self._items))} trials share "
                f"{counted(values, 'chance')} with others. They are sorted by the model's score "
                "before calibration."
            )

    async def _choose_model(self, model: str) -> None:
        self._state.model, self._state.page = model, 1
        # Header, filters and copies depend on the model: load the page again.
        ui.navigate.to(self._state.address)

    def _controls(self) -> None:
        with ui.element("div").classes("l4-controls"):
            with ui.tabs() as tabs:
                found = {name: ui.tab(name) for name in VIEWS}
            tabs.set_value(found[self._state.view])
            tabs.on_value_change(self._turn)
            tabs.props('dense no-caps inline-label aria-label="View"')
            self._search()
            fold = ui.button("Filter", icon="tune").props("flat no-caps")
            fold.classes("l4-fold").props('aria-expanded="false"')
            with ui.element("div").classes("l4-filters") as filters:
                self._filters()

        def unfold() -> None:
            is_open = "l4-shown" not in filters.classes
            filters.classes(toggle="l4-shown")
            fold.props["aria-expanded"] = str(is_open).lower()

        fold.on_click(unfold)

    def _search(self) -> None:
        async def search(event: object) -> None:
            self._state.words = str(getattr(event, "value", None) or "")
            await self._show()

        box = ui.input("Search", value=self._state.words, on_change=search)
        box.props('outlined dense clearable debounce="300"').classes("l4-search")
        box.props["placeholder"] = "Title, NCT id or file"

    def _filters(self) -> None:
        sort = self._state.sort if self._state.sort in SORTS else FILE_ORDER
        self._sorting = choice("Sort", SORTS, sort, self._sort_by)
        for name, values in facets(self._items).items():
            if len(values) > 1:
                self._filter(name, values)

    def _filter(self, name: str, values: dict[str, int]) -> None:
        async def keep(event: object) -> None:
            self._state.chosen[name] = frozenset(getattr(event, "value", None) or ())
            await self._show()

        there = set(values)
        made = ui.select(
            {value: f"{value} ({thousands(n)})" for value, n in values.items()},
            label=_FACETS[name],
            multiple=True,
            value=sorted(there & self._state.chosen.get(name, frozenset())),
            on_change=keep,
        )
        made.props("outlined dense options-dense clearable").classes("l4-choice")

    async def _sort_by(self, key: str) -> None:
        if key != self._state.sort:
            self._state.sort = key
            await self._show()

    async def _sort_table(self, key: str) -> None:
        await self._sort_by(f"{key} down" if self._state.sort == key else key)

    async def _turn(self, event: object) -> None:
        self._state.view = str(getattr(event, "value", VIEWS[0]))
        await self._show()

    async def _show(self, page: int = 1) -> None:
        """Show the state, from its first page by default, and put it into the address."""
        self._state.page = page
        ui.navigate.history.replace(self._state.address)
        await self.draw()

    async def _page_of(self, items: list[Forecast]) -> None:
        per_page = PER_PAGE[self._view]
        pages = max(-(-len(items) // per_page), 1)
        self._state.page = min(max(self._state.page, 1), pages)
        first = (self._state.page - 1) * per_page
        now = items[first : first + per_page]
        ids = [item.id for item in now]
        withheld = await in_thread(self._context.workspace.batches.withheld_counts, ids)
        if withheld is None or self._body.is_deleted:
            return
        draw = trial_row if self._view == "Table" else trial_card
        with self._body:
            with (
                self._table() if self._view == "Table" else ui.element("div").classes("l4-results")
            ):
                for item in now:
                    draw(self._listed(item), withheld.get(item.id, 0))
            if pages > 1:
                self._pager(first, len(now), len(items), pages)

    def _listed(self, item: Forecast) -> Listed:
        others = [(model_name(other, self._names), other) for other in self._listing.others(item)]
        return Listed(item, self._state.trial(item.id), self._copies.get(item.id), others)

    def _pager(self, first: int, now: int, total: int, pages: int) -> None:
        async def turn(page: int) -> None:
            await self._show(page)
            ui.run_javascript("document.getElementById('results')?.focus()")

        with ui.element("nav").classes("l4-pager").props('aria-label="Pages of trials"'):
            shown = f"{thousands(first + 1)} to {thousands(first + now)} of {thousands(total)}"
            Words("span", shown).classes("l4-muted")
            pager(pages, self._state.page, turn)

    @property
    def _view(self) -> str:
        return self._state.view if len(self._items) > 1 else VIEWS[0]

    def _table(self) -> ui.element:
        return trial_table(
            sorted_by=self._state.sort.removesuffix(" down"),
            descending=self._state.sort.endswith(" down"),
            on_sort=self._sort_table,
        )

    async def _export(self, kind: str) -> None:
        query = list_query(self._state)
        made = export_batch(kind)
        facts = []
        if self._model is not None:
            facts = [f"Question: {question_of(self._model)}", skill_of(self._model)]
        write = partial(
            made.write,
            self._context.workspace,
            self._listing,
            query,
            self._names,
            [fact for fact in facts if fact],
        )
        self._exporting.props("loading")
        try:
            await download(write, made.name, made.media_type)
        finally:
            self._exporting.props(remove="loading")


_GO_BACK_TO = """
const left = document.getElementById(location.hash.slice(1));
if (left) { left.scrollIntoView({block: 'center'}); left.querySelector('a')?.focus(); }
"""


async def _ask_and_delete(delete: Callable[[], Awaitable[None]]) -> None:
    if await confirm(
        "Delete these forecasts?",
        "The forecasts and the records they were made from are removed from this machine. This "
        "cannot be undone. Exports that you saved are kept.",
    ):
        await delete()
