"""One trial in full: the scale, what the model read, what was withheld, what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio._components._basis import basis
from llm4top.studio._components._parts import (
    chance_drawing,
    chance_line,
    copy_button,
    things,
    titled_table,
    trial_facts,
    warning_lines,
)
from llm4top.studio._pieces import Words, heading, section
from llm4top.workspace._portfolio import name_of
from llm4top.workspace._words import thousands

if TYPE_CHECKING:
    from llm4top.forecasters import Manifest
    from llm4top.workspace._forecast_result import ForecastItem, ReadSection


def trial_detail(
    item: ForecastItem, manifest: Manifest | None, on_back: Callable[[], None]
) -> None:
    """The trial's page; ``manifest`` is its model's, None where that is gone."""
    forecast = item.forecast
    with ui.element("div").classes("l4-actions l4-noprint"):
        ui.button("All forecasts", icon="arrow_back", on_click=on_back).props("flat no-caps")
        ui.button("Print", icon="print").props("flat no-caps").on(
            "click", js_handler="() => window.print()"
        )
    with ui.element("article").classes("l4-detail"):
        heading(name_of(item)).props('tabindex="-1" id="trial-title"')
        Words("p", trial_facts(item)).classes("l4-muted")
        chance_drawing(forecast, large=True)
        chance_line(forecast, large=True)
        warning_lines(forecast.warnings)
        _read(item)
        _withheld(item)
        if manifest is not None:
            basis(manifest, forecast.phase)
        _identity(item)


def _read(item: ForecastItem) -> None:
    forecast = item.forecast
    with section("What the model read"):
        cut = f", {thousands(forecast.tokens_cut)} cut to fit" if forecast.tokens_cut else ""
        Words("p", f"{thousands(forecast.tokens)} tokens{cut}. Nothing else of the record.")
        if not item.sections:
            Words("p", "The text itself is kept only for forecasts that are made on this page.")
        for part in item.sections:
            _section(part)


def _section(part: ReadSection) -> None:
    with ui.element("details").classes("l4-read"):
        with ui.element("summary"):
            Words("span", part.heading)
            Words("span", things(part.kept, "token")).classes("l4-muted l4-small")
            if part.cut:
                said = f"{thousands(part.cut)} of {thousands(part.tokens)} cut"
                Words("span", said).classes("l4-cut")
        Words("pre", part.text or "Nothing of it fits the budget.")


def _withheld(item: ForecastItem) -> None:
    with section("What was withheld and why"):
        if not item.withheld:
            Words("p", "Nothing: the record holds only what is known before a trial.")
            return
        rows = [(thing.field, thing.reason, thing.excerpt) for thing in item.withheld]
        titled_table(("Field", "Why", "Excerpt"), rows, label="Withheld from the model")


def _identity(item: ForecastItem) -> None:
    forecast = item.forecast
    line = f"bundle {forecast.bundle}, prompt {forecast.prompt_sha256}, record {item.source_sha256}"
    with section("Identity"):
        Words("p", "With these three, the same model gives the same forecast again.")
        with ui.element("div").classes("l4-identity"):
            Words("code", line)
            copy_button(line, "Copy the identity line")
