"""What came of an upload: counts, refusals, filters, and the trials as cards, table, portfolio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio._components._download import download
from llm4top.studio._components._parts import choice, refused_list, things
from llm4top.studio._components._portfolio import portfolio
from llm4top.studio._components._trial_card import trial_card, trial_row, trial_table
from llm4top.studio._pieces import Words
from llm4top.workspace._exports import EXPORTS
from llm4top.workspace._portfolio import Filter, facets, sort_trials
from llm4top.workspace._words import thousands

if TYPE_CHECKING:
    from llm4top.workspace._forecast_result import ForecastItem
    from llm4top.workspace._parsing import Refusal

SOME = {"Cards": 20, "Table": 40}
"""How many trials are drawn at once: more would keep the server from answering others."""

SORTS = {
    "as read": "As read",
    "chance": "Lowest chance",
    "chance down": "Highest chance",
    "above base down": "Most above its phase",
    "title": "Title",
    "warnings down": "Most warnings",
}
"""Ways to sort the cards: one of ``SORTS`` of the portfolio, "down" for the largest first."""

_FACETS = {"phases": "Phase", "areas": "Area", "sponsors": "Sponsor"}
_NAMES = {"csv": "CSV table", "xlsx": "Spreadsheet (XLSX)", "html": "Report (HTML)"}


@dataclass(slots=True)
class Results:
    """The trials on a page and how they are looked at."""

    items: Sequence[ForecastItem] = ()
    refusals: Sequence[Refusal] = ()
    notes: Sequence[str] = ()
    view: str = "Cards"
    sort: str = "as read"
    chosen: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def shown(self) -> list[ForecastItem]:
        """The trials that pass the filters, sorted."""
        kept = Filter(**self.chosen).apply(self.items)
        if self.sort == "as read":
            return kept
        by = self.sort.removesuffix(" down")
        return sort_trials(kept, by, descending=self.sort.endswith(" down"))


class ResultsView:
    """Draws results where it is made, and again when a person sorts, filters or turns the view."""

    def __init__(
        self,
        results: Results,
        *,
        on_open: Callable[[ForecastItem], None],
        on_new: Callable[[], None],
        on_delete: Callable[[], Awaitable[None]],
    ):
        self._results = results
        self._on_open = on_open
        self._left: Sequence[ForecastItem] = ()
        if results.items:
            self._header(on_new, on_delete)
        if results.refusals:
            refused_list(results.refusals)
        for note in results.notes:
            Words("p", note).classes("l4-small l4-muted")
        if len(results.items) > 1:
            self._controls()
        self._body = ui.element("div").classes("l4-results")
        self._draw()

    def _header(self, on_new: Callable[[], None], on_delete: Callable[[], Awaitable[None]]) -> None:
        results = self._results
        refused = f" · {len(results.refusals)} refused" if results.refusals else ""
        with ui.element("div").classes("l4-head"):
            count = Words("h2", things(len(results.items), "trial") + refused)
            count.props('id="results" tabindex="-1"')
            self._exporting = ui.button("Export", icon="download").props("flat no-caps")
            with self._exporting, ui.menu():
                for kind, name in _NAMES.items():
                    ui.menu_item(name, partial(self._export, kind)).props('role="menuitem"')
            ui.button("Start afresh", on_click=on_new).props("flat no-caps")
            ui.button("Delete", on_click=partial(_ask_and, on_delete)).props("flat no-caps")
        # What is shown may be older than the choice of a model above it.
        models = ", ".join(dict.fromkeys(item.forecast.bundle for item in results.items))
        Words("p", f"Forecast with {models}").classes("l4-small l4-muted")

    def _controls(self) -> None:
        with ui.element("div").classes("l4-controls"):
            with ui.tabs() as tabs:
                found = {name: ui.tab(name) for name in ("Cards", "Table", "Portfolio")}
            tabs.set_value(found[self._results.view])
            tabs.on_value_change(self._turn)
            tabs.props('dense no-caps inline-label aria-label="View"')
            fold = ui.button("Filter", icon="tune").props("flat no-caps")
            fold.classes("l4-fold").props('aria-expanded="false"')
            with ui.element("div").classes("l4-filters") as filters:
                self._filters()

        def unfold() -> None:
            is_open = "l4-shown" not in filters.classes
            filters.classes(toggle="l4-shown")
            fold.props["aria-expanded"] = str(is_open).lower()

        fold.on_click(unfold)

    def _filters(self) -> None:
        choice("Sort", SORTS, self._results.sort, self._sort_by)
        for name, values in facets(self._results.items).items():
            if len(values) > 1:
                self._filter(name, values)

    def _filter(self, name: str, values: dict[str, int]) -> None:
        made = ui.select(
            {value: f"{value} ({n})" for value, n in values.items()},
            label=_FACETS[name],
            multiple=True,
            value=sorted(self._results.chosen.get(name, ())),
            on_change=lambda e: self._keep(name, e.value),
        )
        made.props("outlined dense options-dense clearable").classes("l4-choice")

    def _keep(self, name: str, values: list[str] | None) -> None:
        self._results.chosen[name] = frozenset(values or ())
        self._draw()

    def _sort_by(self, key: str) -> None:
        self._results.sort = key
        self._draw()

    def _sort_table(self, key: str) -> None:
        self._sort_by(f"{key} down" if self._results.sort == key else key)

    def _turn(self, event: object) -> None:
        self._results.view = str(getattr(event, "value", "Cards"))
        self._draw()

    def _draw(self) -> None:
        results = self._results
        self._body.clear()
        with self._body:
            if not results.items:
                return
            items = results.shown
            if len(items) < len(results.items):
                said = f"{things(len(items), 'trial')} of {thousands(len(results.items))} shown"
                Words("p", said).props('role="status"').classes("l4-muted")
            if self._view == "Portfolio":
                # No partial: the framework writes out what it calls, with all ten thousand trials.
                ui.timer(0, lambda: portfolio(items), once=True)
                return
            self._left = items
            self._list = self._table() if self._view == "Table" else _cards()
            self._further = ui.button(on_click=self._more).props("flat no-caps")
            self._more()

    def _more(self) -> None:
        """Add the next trials below those that are there: nothing is drawn twice."""
        some = SOME[self._view]
        now, self._left = self._left[:some], self._left[some:]
        draw = trial_row if self._view == "Table" else trial_card
        with self._list:
            for item in now:
                draw(item, self._on_open)
        self._further.set_text(f"Show more ({things(len(self._left), 'trial')} left)")
        self._further.set_visibility(bool(self._left))

    @property
    def _view(self) -> str:
        return self._results.view if len(self._results.items) > 1 else "Cards"

    def _table(self) -> ui.element:
        return trial_table(
            sorted_by=self._results.sort.removesuffix(" down"),
            descending=self._results.sort.endswith(" down"),
            on_sort=self._sort_table,
        )

    async def _export(self, kind: str) -> None:
        write, media_type = EXPORTS[kind]
        self._exporting.props("loading")
        try:
            await download(partial(write, self._results.shown), f"forecasts.{kind}", media_type)
        finally:
            self._exporting.props(remove="loading")


def _cards() -> ui.element:
    return ui.element("div").classes("l4-results")


async def _ask_and(delete: Callable[[], Awaitable[None]]) -> None:
    """Delete, if a person says yes."""
    with ui.dialog() as dialog, ui.card():
        Words("h2", "Delete these forecasts?")
        Words("p", "They are removed from this machine for good. Exports that you saved stay.")
        with ui.row():
            ui.button("Delete", on_click=lambda: dialog.submit(True)).props(
                "unelevated no-caps text-color=on-accent"
            )
            ui.button("Keep", on_click=lambda: dialog.submit(False)).props("flat no-caps")
    dialog.props('aria-label="Delete these forecasts?"')
    if await dialog:
        await delete()
    dialog.delete()
