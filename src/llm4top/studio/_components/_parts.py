"""Small parts of the forecast pages. Every text of a record is shown as it is, never as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio._pieces import Words
from llm4top.workspace._answers import SHOWN, answer_bars, answer_named, is_yes_or_no
from llm4top.workspace._portfolio import phase_of, sponsor_of
from llm4top.workspace._scale import ScaleValues, scale
from llm4top.workspace._words import beside_base, frequency, interval, percent

if TYPE_CHECKING:
    from llm4top.forecasters import Forecast
    from llm4top.workspace._forecast_result import ForecastItem
    from llm4top.workspace._parsing import Refusal


def drawing(svg: str) -> ui.html:
    """A figure of our own making; texts inside are escaped by whoever drew it."""
    return ui.html(svg, sanitize=False).classes("l4-drawing")


def chance_drawing(forecast: Forecast, *, large: bool = False) -> ui.html:
    """The scale with the chance, its interval and the base rate; bars for more than two answers."""
    if not is_yes_or_no(forecast):
        return drawing(answer_bars(forecast, None if large else SHOWN))
    values = ScaleValues(
        forecast.probability, forecast.lower, forecast.upper, forecast.base_rate, forecast.phase
    )
    return drawing(scale(values, large=large))


def chance_line(forecast: Forecast, *, large: bool = False) -> None:
    """The chance in percent, its interval, and both in plain words."""
    with ui.element("p").classes("l4-chance" + (" l4-large" if large else "")):
        if named := answer_named(forecast):
            Words("span", named)
        Words("strong", percent(forecast.probability))
        if bounds := interval(forecast.lower, forecast.upper):
            Words("span", f"({bounds})").classes("l4-muted")
        Words("span", reading(forecast)).classes("l4-reading")


def reading(forecast: Forecast) -> str:
    """The chance in plain words: how many in ten, and how it stands beside its phase."""
    beside = beside_base(
        forecast.probability,
        forecast.lower,
        forecast.upper,
        forecast.base_rate,
        forecast.phase,
    )
    said = frequency(forecast.probability)
    return f"{said}; {beside}" if beside else said


def trial_facts(item: ForecastItem) -> str:
    """The line under a title: number, phase, area, sponsor's class and file."""
    known = (item.forecast.nct_id, phase_of(item), item.area, sponsor_of(item))
    return " · ".join(part for part in (*known, item.forecast.record) if part)


def warning_lines(warnings: Sequence[str]) -> None:
    """A line for each warning; the sign is for the eye only."""
    if not warnings:
        return
    with ui.element("ul").classes("l4-warnings").props('aria-label="Warnings"'):
        for warning in warnings:
            with ui.element("li"):
                Words("span", "⚠").props('aria-hidden="true"')
                Words("span", warning)


def things(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 trial", "3 trials"."""
    from llm4top.workspace._words import thousands

    return f"{thousands(number)} {one if number == 1 else many or one + 's'}"


def refused_list(refusals: Sequence[Refusal]) -> None:
    """The refused files by name, each with its reason and what to do."""
    with ui.element("section").classes("l4-refused").props('aria-label="Refused"'):
        for refusal in refusals[:50]:
            with ui.element("details"):
                with ui.element("summary"):
                    Words("strong", f"{refusal.record}:")
                    Words("span", f" refused. {_sentence(refusal.reason)}")
                    Words("span", " Why?").classes("l4-why")
                where = [f"line {refusal.line}"] if refusal.line is not None else []
                where += [refusal.element] if refusal.element else []
                if where:
                    Words("p", f"Where: {', '.join(where)}.")
                Words("p", refusal.hint or "Check that it is a ClinicalTrials.gov record.")
        if len(refusals) > 50:
            Words("p", f"and {things(len(refusals) - 50, 'more')}").classes("l4-muted")


def _sentence(words: str) -> str:
    """``words`` from a capital to a full stop."""
    return words[:1].upper() + words[1:].rstrip(".") + "."


def titled_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, label: str) -> None:
    """A table to read; as a list, where it is narrow, each value carries its heading."""
    with ui.element("div").classes("l4-scroll"):
        shown = ui.element("table").classes("l4-table l4-titled")
        shown.props["aria-label"] = label
    with shown:
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                Words("th", column).props('scope="col"')
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for title, text in zip(columns, row, strict=True):
                        Words("td", text).props["data-title"] = title


def copy_button(text: str, label: str) -> None:
    """A button that copies ``text``, and says that it has."""
    button = ui.button("Copy").props("flat dense no-caps")
    button.props["aria-label"] = label
    button.props["data-copy"] = text
    button.on(
        "click", js_handler="(e) => navigator.clipboard?.writeText(e.currentTarget.dataset.copy)"
    )
    button.on_click(lambda: button.set_text("Copied"))


def choice(
    label: str,
    options: Mapping[str, str],
    value: str,
    on_change: Callable[[str], None],
) -> ui.select:
    """A labelled select of one value."""
    made = ui.select(
        dict(options), value=value, label=label, on_change=lambda e: on_change(str(e.value))
    )
    made.props("outlined dense options-dense").classes("l4-choice")
    return made
