"""Many trials together: how many successes to expect, and every trial's chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import run, ui

from llm4top.studio._components._download import download
from llm4top.studio._components._parts import drawing, things
from llm4top.studio._pieces import Words, heading
from llm4top.workspace._answers import (
    answers_chart,
    event_count,
    event_verb,
    expected_by_answer,
)
from llm4top.workspace._charts import chances_chart, distribution_chart
from llm4top.workspace._exports import distribution_csv, to_csv
from llm4top.workspace._portfolio import Distribution, expected_from_base, successes
from llm4top.workspace._words import expected, thousands

if TYPE_CHECKING:
    from llm4top.workspace._forecast_result import ForecastItem


async def portfolio(items: Sequence[ForecastItem]) -> None:
    """The figures for the trials at hand, each with its reading as title and its data."""
    if len(items) < 2:
        Words("p", "A portfolio needs two trials or more. Drop another record, or keep more.")
        return
    place = ui.element("div").classes("l4-figures")
    # Ten thousand chances take a while to fold together, and the server has others to answer.
    found = await run.io_bound(successes, items)
    if place.is_deleted:
        return
    with place:
        if found is not None:
            _successes(found, expected_from_base(items), items[0].forecast.label)
            _chances(items)
        elif expectations := expected_by_answer(items):
            _answers(items, *max(expectations, key=lambda pair: pair[1]))
        else:
            Words("p", "The trials are not added up: they answer several questions.")


def _successes(found: Distribution, from_base: float | None, label: str) -> None:
    with ui.element("figure"):
        heading(
            f"About {expected(found.expected, found.n)} of {things(found.n, 'trial')} "
            f"can be expected to {event_verb(label)}",
            level=3,
        )
        Words(
            "figcaption",
            f"{event_count(label)}, and how probable each is. "
            f"{thousands(found.lower)} to {thousands(found.upper)} with "
            "95 % probability (the bars in full colour).",
        )
        drawing(distribution_chart(found, from_base))
        Words(
            "p",
            "This takes the trials as independent and the chances as right. Trials of one "
            "programme tend to succeed or fail together, so the true range is wider.",
        ).classes("l4-small l4-muted")
        _download("Download the distribution", partial(distribution_csv, found), "successes.csv")


def _chances(items: Sequence[ForecastItem]) -> None:
    with ui.element("figure"):
        heading(f"Chances of {things(len(items), 'trial')}, the lowest first", level=3)
        Words("figcaption", "Each trial's chance in percent, with its interval.")
        drawing(chances_chart(items))
        _download("Download the chances", partial(to_csv, items), "chances.csv")


def _answers(items: Sequence[ForecastItem], likeliest: str, number: float) -> None:
    with ui.element("figure"):
        n = len(items)
        many = f"about {expected(number, n)} of {things(n, 'trial')}"
        heading(f"“{likeliest}” is expected most often, in {many}", level=3)
        Words("figcaption", "How many trials are expected to have each: the sum of their chances.")
        drawing(answers_chart(items))
        Words(
            "p",
            "Trials of one programme tend to go the same way, so the true numbers vary more.",
        ).classes("l4-small l4-muted")
        _download("Download the chances", partial(to_csv, items), "chances.csv")


def _download(label: str, make: Callable[[], bytes], name: str) -> None:
    async def give() -> None:
        await download(make, name, "text/csv")

    ui.button(label, icon="download", on_click=give).props("flat dense no-caps")
