"""Many trials together: how many successes to expect, and every trial's chance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import run, ui

from llm4top.studio.components.elements import Words, drawing, heading, things
from llm4top.studio.components.temp_files import download
from llm4top.studio.components.trial_card import chance_of
from llm4top.text import thousands
from llm4top.workspace.views.exports import distribution_csv, to_csv
from llm4top.workspace.views.label_bars import (
    answers_chart,
    event_count,
    event_verb,
    expected_by_answer,
)
from llm4top.workspace.views.portfolio import (
    Counted,
    Distribution,
    counted,
    expected_from_base,
    name_of,
    sort_trials,
    successes,
)
from llm4top.workspace.views.portfolio_charts import NUMBERED, chances_chart, distribution_chart
from llm4top.workspace.views.wording import expected

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import Forecast
    from llm4top.studio.components.list_state import ListState


async def portfolio(
    items: Sequence[Forecast], state: ListState, *, redraw: Callable[[], Awaitable[None]]
) -> None:
    """The figures for the trials at hand, each with its reading as title and its data.

    ``redraw`` is called when a person adds a kind of trial that is left out by default.
    """
    parts = counted(items, state.included)
    _left_out(parts, items, state, redraw)
    trials = parts.trials
    if len(trials) < 2:
        said = "A portfolio needs two trials or more."
        Words("p", f"{said} Drop another record, or add those that were left out.")
        return
    place = ui.element("div").classes("l4-figures")
    # Ten thousand chances take a while to fold together, and the server has others to answer.
    found = await run.io_bound(successes, trials)
    if place.is_deleted:
        return
    with place:
        if found is not None:
            _successes(found, expected_from_base(trials), trials[0].label)
            _chances(trials, state)
        elif expectations := expected_by_answer(trials):
            _answers(trials, *max(expectations, key=lambda pair: pair[1]))
        else:
            Words("p", "The trials are not added up: they answer several questions.")


def _left_out(
    parts: Counted,
    items: Sequence[Forecast],
    state: ListState,
    redraw: Callable[[], Awaitable[None]],
) -> None:
    """What is not added up, and why; two kinds of trial can be added all the same."""
    everything = counted(items)
    kinds = (
        ("learnt", everything.learnt, "the model has learnt from or was tuned on"),
        ("scope", everything.out_of_scope, "unlike those the model has learnt from"),
    )
    with ui.element("div").classes("l4-left-out"):
        said = f"{things(len(parts.trials), 'trial')} of {things(len(items), 'record')} counted."
        if parts.copies:
            many = things(len(parts.copies), "further record")
            said += f" {many} of a trial that is counted already left out."
        Words("p", said).classes("l4-muted").props('role="status"')
        for kind, trials, words in kinds:
            if not trials:
                continue

            async def turn(event: object, kind: str = kind) -> None:
                now = {kind} if getattr(event, "value", False) else set()
                state.included = (state.included - {kind}) | now
                await redraw()

            ui.checkbox(
                f"Count {things(len(trials), 'trial')} {words}",
                value=kind in state.included,
                on_change=turn,
            )


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
            f"{thousands(found.lower)} to {thousands(found.upper)} with 95\u00a0% probability "
            "(the bars in full colour), the calibration's uncertainty included; "
            f"{thousands(found.exact_lower)} to {thousands(found.exact_upper)} if the chances "
            "were exact.",
        )
        drawing(distribution_chart(found, from_base))
        if from_base is not None:
            _beside_base(found, from_base)
        Words(
            "p",
            "The calibration's error is taken to move all chances together, the trials as "
            "independent otherwise. Trials of one programme tend to succeed or fail together, "
            "and a model that ranks badly is not covered: the true range is wider.",
        ).classes("l4-small l4-muted")
        _download("Download the distribution", partial(distribution_csv, found), "successes.csv")


def _beside_base(found: Distribution, from_base: float) -> None:
    said = f"From the base rates alone: {expected(from_base, found.n)}."
    if not found.lower <= from_base <= found.upper:
        said += (
            " That is outside the range above: model and base rates disagree about these trials "
            "as a whole, so at least one of them does not fit. Compare past trials of this kind."
        )
    Words("p", said).classes("l4-small")


def _chances(items: Sequence[Forecast], state: ListState) -> None:
    with ui.element("figure"):
        heading(f"Chances of {things(len(items), 'trial')}, the lowest first", level=3)
        Words("figcaption", "Each trial's chance in percent, with its 95\u00a0% interval.")
        drawing(chances_chart(items, lambda item: state.trial(item.id)))
        if len(items) <= NUMBERED:
            with ui.element("ol").classes("l4-numbered"):
                for item in sort_trials(items, "chance"):
                    with ui.element("li"):
                        who = item.nct_id or item.record
                        ui.link(f"{who}: {name_of(item)}", state.trial(item.id))
                        Words("span", chance_of(item)).classes("l4-muted l4-small")
        _download("Download the chances", partial(to_csv, items), "chances.csv")


def _answers(items: Sequence[Forecast], likeliest: str, number: float) -> None:
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
