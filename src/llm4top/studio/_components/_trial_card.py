"""Trials in a list: as cards, and as a table that sorts by its headings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio._components._parts import (
    chance_drawing,
    chance_line,
    things,
    trial_facts,
    warning_lines,
)
from llm4top.studio._pieces import Words
from llm4top.workspace._answers import is_yes_or_no
from llm4top.workspace._portfolio import name_of, phase_of, sponsor_of
from llm4top.workspace._words import interval, percent

if TYPE_CHECKING:
    from llm4top.workspace._forecast_result import ForecastItem

Open = Callable[["ForecastItem"], None]

COLUMNS: tuple[tuple[str, str | None], ...] = (
    ("Trial", "title"),
    ("Phase", "phase"),
    ("Chance", "chance"),
    ("Interval", None),
    ("Base rate", "above base"),
    ("Area", "area"),
    ("Sponsor", "sponsor"),
    ("Warnings", "warnings"),
)
"""Headings of the table, and what each sorts by; None: it does not sort."""


def trial_card(item: ForecastItem, on_open: Open) -> None:
    """One trial: title, scale, chance in figures and words, warnings, what was withheld."""
    with ui.element("article").classes("l4-trial"):
        with ui.element("h3"):
            title_button(item, on_open)
        Words("p", trial_facts(item)).classes("l4-muted l4-small")
        with ui.element("div").classes("l4-forecasted"):
            chance_drawing(item.forecast)
            chance_line(item.forecast)
        warning_lines(item.forecast.warnings)
        with ui.element("div").classes("l4-foot"):
            Words("span", f"{things(len(item.withheld), 'thing')} withheld from the model").classes(
                "l4-muted l4-small"
            )
            button = ui.button("Open", on_click=partial(on_open, item)).props("flat dense no-caps")
            button.props["aria-label"] = f"Open {name_of(item)}"


def title_button(item: ForecastItem, on_open: Open) -> None:
    """The title, which opens the trial."""
    button = Words("button", name_of(item)).classes("l4-title").props('type="button"')
    button.on("click", partial(on_open, item))


def trial_table(*, sorted_by: str, descending: bool, on_sort: Callable[[str], None]) -> ui.element:
    """A table for trials, whose headings are buttons that sort; gives what holds its rows.

    A list where it is narrow.
    """
    with ui.element("div").classes("l4-scroll"), ui.element("table").classes("l4-table l4-trials"):
        Words("caption", "Forecasts").classes("l4-hidden")
        with ui.element("thead"), ui.element("tr"):
            for title, key in COLUMNS:
                _heading(title, key, sorted_by, descending, on_sort)
        return ui.element("tbody")


def _heading(
    title: str, key: str | None, sorted_by: str, descending: bool, on_sort: Callable[[str], None]
) -> None:
    cell = ui.element("th").props('scope="col"')
    with cell:
        if key is None:
            Words("span", title)
            return
        now = key == sorted_by
        order = ("descending" if descending else "ascending") if now else "none"
        cell.props(f'aria-sort="{order}"')
        arrow = (" ↓" if descending else " ↑") if now else ""
        button = Words("button", title + arrow).classes("l4-sort").props('type="button"')
        button.on("click", partial(on_sort, key))


def trial_row(item: ForecastItem, on_open: Open) -> None:
    """One trial as a row of the table."""
    forecast = item.forecast
    base = "" if forecast.base_rate is None else percent(forecast.base_rate)
    named = "" if is_yes_or_no(forecast) else f"“{forecast.label}” "
    cells = (
        phase_of(item),
        named + percent(forecast.probability),
        interval(forecast.lower, forecast.upper),
        base,
        item.area,
        sponsor_of(item),
    )
    with ui.element("tr"):
        with ui.element("th").props('scope="row"'):
            title_button(item, on_open)
        for (title, _), text in zip(COLUMNS[1:-1], cells, strict=True):
            cell = Words("td", text)
            # Where the table is a list, each value carries its heading.
            cell.props(f'data-title="{title}"')
            if not text:
                cell.classes("l4-none")
        _warnings_cell(forecast.warnings)


def _warnings_cell(warnings: Sequence[str]) -> None:
    """How many there are; their words when it is opened, so that rows stay low."""
    with ui.element("td") as cell:
        if not warnings:
            cell.classes("l4-none")
            return
        with ui.element("details"):
            Words("summary", things(len(warnings), "warning"))
            Words("p", "; ".join(warnings)).classes("l4-warnings")
