"""Words and bars for questions of any kind: success, another event, one of several answers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from llm4top.workspace.views.probability_bar import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    ScaleValues,
    scale,
    text,
)
from llm4top.workspace.views.wording import beside_base, frequency, percent, thousands

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import Forecast

SUCCESS = "success"
"""The event that plain words speak of as success; other labels are quoted as they are."""

SHOWN = 6
"""Answers that a list draws of each trial; the others are one bar."""

_LONGEST = 40
_ROW = 36

Bar = tuple[str, float, str]
"""What a bar stands for, its length from 0 to 1, and its figure in words."""


def scale_of(forecast: Forecast, *, large: bool = False) -> str:
    """The chance drawn: on a scale beside its base rate; a bar an answer where there are many."""
    if not is_yes_or_no(forecast):
        return answer_bars(forecast, None if large else SHOWN)
    values = ScaleValues(
        forecast.probability,
        forecast.lower,
        forecast.upper,
        forecast.base_rate,
        forecast.base_rate_of,
    )
    return scale(values, large=large)


def reading_of(forecast: Forecast) -> list[str]:
    """The chance in plain words: how many in ten, and how it stands beside its base rate."""
    beside = beside_base(
        forecast.probability,
        forecast.lower,
        forecast.upper,
        forecast.base_rate,
        forecast.base_rate_of,
    )
    said = [frequency(forecast.probability, forecast.label), beside]
    return [f"{words}." for words in said if words]


def is_yes_or_no(forecast: Forecast) -> bool:
    """Whether the question has an event and its opposite, and nothing else."""
    return len(forecast.labels) == 2


def answer_named(forecast: Forecast) -> str:
    """What stands before a chance so that it is clear whose it is; empty for plain success."""
    if not is_yes_or_no(forecast):
        return f"Most likely “{forecast.label}”:"
    return "" if forecast.label == SUCCESS else f"“{forecast.label}”:"


def event_verb(label: str) -> str:
    """What a trial with this label does: "succeed", or "be “completed”"."""
    return "succeed" if label == SUCCESS else f"be “{label}”"


def event_count(label: str) -> str:
    """What a number of trials with this label is called."""
    return "Number of successes" if label == SUCCESS else f"Number of trials that are “{label}”"


def answer_bars(forecast: Forecast, most: int | None = None) -> str:
    """A bar for each answer in the order of the labels, as ``<svg>``.

    With ``most`` only so many of the likeliest; one bar more stands for the others together.
    """
    chances = forecast.probabilities
    shown = sorted(sorted(range(len(chances)), key=lambda k: -chances[k])[:most])
    bars = [(forecast.labels[k], chances[k], percent(chances[k])) for k in shown]
    if left := len(chances) - len(shown):
        rest = max(1 - sum(chances[k] for k in shown), 0.0)
        bars.append((f"{left} other answers", rest, percent(rest)))
    return bar_chart(bars)


def bar_chart(bars: Sequence[Bar]) -> str:
    """The bars below each other, the longest in full colour, each under its words; "" for none."""
    if not bars:
        return ""
    longest = max(length for _, length, _ in bars)
    marks = []
    for row, (name, length, figure) in enumerate(bars):
        y, full = row * _ROW, length == longest
        marks.append(
            f"<g><title>{escape(f'{name}: {figure}')}</title>"
            + text(0, y + 14, _cut(name), INK if full else MUTED, bold=full)
            + text(100, y + 14, figure, INK if full else MUTED, bold=full)
            + _beam(y, 1, LINE, 0.6)
            + _beam(y, length, ACCENT, 1 if full else 0.5)
            + "</g>"
        )
    said = escape("; ".join(f"{name}: {figure}" for name, _, figure in bars))
    height = _ROW * len(bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bars" role="img" aria-label="{said}" '
        f'width="100%" height="{height}" '
        f'style="overflow: visible; display: block; height: {height}px">{"".join(marks)}</svg>'
    )


def expected_by_answer(trials: Sequence[Forecast]) -> list[tuple[str, float]]:
    """For each answer, how many of the trials are expected to have it.

    Empty for fewer than two trials, for yes-or-no questions, and for trials of several models.
    """
    asked = {(trial.task, trial.bundle) for trial in trials}
    if len(trials) < 2 or len(asked) != 1 or is_yes_or_no(trials[0]):
        return []
    sums = [sum(column) for column in zip(*(t.probabilities for t in trials), strict=True)]
    return list(zip(trials[0].labels, sums, strict=True))


def answers_chart(trials: Sequence[Forecast]) -> str:
    """``expected_by_answer`` as bars; empty where that is."""
    expectations = expected_by_answer(trials)
    n = len(trials)
    return bar_chart([(a, k / n, f"{k:.1f} of {thousands(n)}") for a, k in expectations])


def _beam(y: float, length: float, colour: str, opacity: float) -> str:
    return (
        f'<rect x="0" y="{y + 20}" width="{100 * length:.2f}%" height="7" rx="3.5" '
        f'style="fill: {colour}; opacity: {opacity:g}"/>'
    )


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1].rstrip() + "…"
