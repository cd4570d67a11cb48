"""Many trials together: the expected number of successes, and the chance of each trial."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from nicegui import ui

from llm4top.forecasters.forecast_format import Forecast
from llm4top.studio.components.drop_zone import download
from llm4top.studio.components.elements import Words, drawing, heading, in_thread, muted
from llm4top.studio.components.list_state import ListState
from llm4top.text import counted, thousands
from llm4top.workspace.views import portfolio as sums
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
    expected_from_base,
    name_of,
    sort_trials,
    successes,
)
from llm4top.workspace.views.portfolio_charts import NUMBERED, chances_chart, distribution_chart
from llm4top.workspace.views.trial import chance_of
from llm4top.workspace.views.wording import expected


async def portfolio(
    items: Sequence[Forecast],
    state: ListState,
    *,
    redraw: Callable[[], Awaitable[None]],
    further: Callable[[Sequence[Forecast]], None],
) -> None:
    """Figures for these trials, each with its main finding as title and its data.

    ``redraw`` is called when the visitor adds a kind of trial that is left out by default;
    ``further`` adds the questions that can be asked of trials that have a chance.
    """
    parts = sums.counted(items, state.included)
    _left_out(parts, items, state, redraw)
    trials = parts.trials
    if len(trials) < 2:
        Words("p", "A portfolio needs at least two trials. Add records, or count those left out.")
        return
    place = ui.element("div").classes("l4-figures")
    # The distribution of ten thousand trials takes a while, and there are other visitors.
    found = await in_thread(successes, trials)
    if place.is_deleted:
        return
    with place:
        if found is not None:
            _successes(found, expected_from_base(trials), trials[0].label)
            _chances(trials, state)
            further(trials)
        elif expectations := expected_by_answer(trials):
            _answers(trials, *max(expectations, key=lambda pair: pair[1]))
        else:
            Words("p", "The trials cannot be added up: they answer different questions.")


def _left_out(
    parts: Counted,
    items: Sequence[Forecast],
    state: ListState,
    redraw: Callable[[], Awaitable[None]],
) -> None:
    """Trials that are not counted, and why; two kinds of them can be added."""
    everything = sums.counted(items)
    kinds = (
        ("learnt", everything.learnt, "from the model's training or validation data"),
        ("scope", everything.out_of_scope, "unlike the model's training data"),
    )
    with ui.element("div").classes("l4-left-out"):
        words = f"{counted(len(parts.trials), 'trial')} of {counted(len(items), 'record')} counted."
        if parts.copies:
            words += f" Left out: {counted(len(parts.copies), 'repeated record')}."
        Words("p", words).classes("l4-muted").props('role="status"')
        for kind, trials, words in kinds:
            if not trials:
                continue

            async def turn(event: object, kind: str = kind) -> None:
                now = {kind} if getattr(event, "value", False) else set()
                state.included = (state.included - {kind}) | now
                await redraw()

            ui.checkbox(
                f"Count {counted(len(trials), 'trial')} {words}",
                value=kind in state.included,
                on_change=turn,
            )


def _successes(found: Distribution, from_base: float | None, label: str) -> None:
    with ui.element("figure"):
        heading(
            f"About {expected(found.expected, found.n)} of {counted(found.n, 'trial')} "
            f"can be expected to {event_verb(label)}",
            level=3,
        )
        Words(
            "figcaption",
            f"{event_count(label)}, with the probability of each. "
            f"{thousands(found.lower)} to {thousands(found.upper)} with 95\u00a0% probability "
            "(dark bars), including the uncertainty of the calibration; "
            f"{thousands(found.exact_lower)} to {thousands(found.exact_upper)} if the chances "
            "were exact.",
        )
        drawing(distribution_chart(found, from_base))
        if from_base is not None:
            _compare_base(found, from_base)
        muted(
            "This assumes that a calibration error moves all chances together and that the trials "
            "are independent otherwise. Trials of one programme tend to succeed or fail together, "
            "and errors of the model are not included. The true range is therefore wider."
        )
        _download("Download the distribution", partial(distribution_csv, found), "successes.csv")


def _compare_base(found: Distribution, from_base: float) -> None:
    words = f"Expected from the base rates alone: {expected(from_base, found.n)}."
    if not found.lower <= from_base <= found.upper:
        words += (
            " This is outside the range above: the model and the base rates disagree about these "
            "trials, so at least one of them is wrong. Compare with past trials of this kind."
        )
    Words("p", words).classes("l4-small")


def _chances(items: Sequence[Forecast], state: ListState) -> None:
    with ui.element("figure"):
        heading(f"Chances of {counted(len(items), 'trial')}, lowest first", level=3)
        Words("figcaption", "Each trial's chance in percent, with its 95\u00a0% interval.")
        drawing(chances_chart(items, lambda item: state.trial(item.id)))
        if len(items) <= NUMBERED:
            with ui.element("ol").classes("l4-numbered"):
                for item in sort_trials(items, "chance"):
                    with ui.element("li"):
                        who = item.nct_id or item.record
                        ui.link(f"{who}: {name_of(item)}", state.trial(item.id))
                        muted(chance_of(item), "span")
        _download("Download the chances", partial(to_csv, items), "chances.csv")


def _answers(items: Sequence[Forecast], likeliest: str, number: float) -> None:
    with ui.element("figure"):
        n = len(items)
        many = f"about {expected(number, n)} of {counted(n, 'trial')}"
        heading(f"“{likeliest}” is expected most often, in {many}", level=3)
        Words(
            "figcaption",
            "The expected number of trials with each answer: the sum of their chances.",
        )
        drawing(answers_chart(items))
        muted(
            "Trials of one programme tend to have the same outcome, so the true numbers vary more."
        )
        _download("Download the chances", partial(to_csv, items), "chances.csv")


def _download(label: str, make: Callable[[], bytes], name: str) -> None:
    ui.button(label, icon="download", on_click=partial(download, make, name, "text/csv")).props(
        "flat dense no-caps"
    )
