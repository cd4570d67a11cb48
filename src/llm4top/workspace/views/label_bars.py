"""A forecast in words and as a drawing: a probability scale, or a bar for each of many answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from llm4top.forecasters.forecast_format import Forecast
from llm4top.text import interval, percent, thousands
from llm4top.workspace.views import svg
from llm4top.workspace.views.wording import beside_base, frequency

SUCCESS = "success"
"""The event that plain words speak of as success; other labels are quoted as they are."""

SHOWN = 6
"""Answers that a list draws of each trial; the others are one bar."""

_LONGEST = 40
_ROW = 36

Bar = tuple[str, float, str]
"""A bar's name, its length from 0 to 1, and its figure in words."""


def scale_of(forecast: Forecast, *, large: bool = False) -> str:
    """The chance drawn: on a scale with its base rate; one bar per answer where there are many."""
    if not is_yes_or_no(forecast):
        return answer_bars(forecast, None if large else SHOWN)
    values = ScaleValues(
        forecast.probability,
        forecast.lower,
        forecast.upper,
        *forecast.compared_with,
    )
    return scale(values, large=large)


def reading_of(forecast: Forecast) -> list[str]:
    """The chance in plain words: how many in ten, and how it compares with its base rate."""
    compared = beside_base(
        forecast.probability,
        forecast.lower,
        forecast.upper,
        *forecast.compared_with,
    )
    words = [frequency(forecast.probability, forecast.label), compared]
    return [f"{sentence}." for sentence in words if sentence]


def is_yes_or_no(forecast: Forecast) -> bool:
    """Whether the question has an event and its opposite, and nothing else."""
    return len(forecast.labels) == 2


def answer_named(forecast: Forecast) -> str:
    """The label to write before a chance; empty for success."""
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

    With ``most`` only so many of the likeliest; one more bar sums up the others.
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
        colour = svg.INK if full else svg.MUTED
        marks.append(
            svg.titled(
                f"{name}: {figure}",
                svg.text(0, y + 14, _cut(name), colour, bold=full),
                svg.text(100, y + 14, figure, colour, bold=full),
                svg.bar(0, 100, y + 20, 7, svg.LINE, opacity=0.6, attributes='rx="3.5"'),
                svg.bar(
                    0, 100 * length, y + 20, 7, opacity=1 if full else 0.5, attributes='rx="3.5"'
                ),
            )
        )
    label = "; ".join(f"{name}: {figure}" for name, _, figure in bars)
    return svg.chart(marks, label, _ROW * len(bars), kind="bars")


def expected_by_answer(trials: Sequence[Forecast]) -> list[tuple[str, float]]:
    """For each answer, how many of the trials are expected to have it.

    Empty for fewer than two trials, for yes-or-no questions, and for trials of several models.
    """
    sources = {(trial.task, trial.variant) for trial in trials}
    if len(trials) < 2 or len(sources) != 1 or is_yes_or_no(trials[0]):
        return []
    sums = [sum(column) for column in zip(*(t.probabilities for t in trials), strict=True)]
    return list(zip(trials[0].labels, sums, strict=True))


def answers_chart(trials: Sequence[Forecast]) -> str:
    """``expected_by_answer`` as bars; empty where that is."""
    expectations = expected_by_answer(trials)
    n = len(trials)
    return bar_chart([(a, k / n, f"{k:.1f} of {thousands(n)}") for a, k in expectations])


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True)
class ScaleValues:
    """What a scale shows, each from 0 to 1; None where it is not known.

    ``base_of`` is whose base rate it is: see ``Forecast.compared_with``.
    """

    value: float
    lower: float | None = None
    upper: float | None = None
    base: float | None = None
    base_of: str | None = None

    def words(self) -> str:
        """The whole scale as one sentence, as a screen reader says it."""
        words = f"Chance {percent(self.value)}"
        if bounds := interval(self.lower, self.upper):
            words += f", 95\u00a0% interval {bounds}"
        if self.base is not None:
            words += f", base rate {percent(self.base)}"
        if compared := beside_base(self.value, self.lower, self.upper, self.base, self.base_of):
            words += f". {compared}"
        return words + "."


def scale(values: ScaleValues, *, large: bool = False) -> str:
    """The scale as an ``<svg>`` element, 48 pixels high (88 where ``large``), full width."""
    height, axis, thick = (88, 42, 14) if large else (48, 14, 9)
    rounded = "; stroke-linecap: round"
    marks = [svg.line((0, axis), (100, axis), svg.LINE, 3 if large else 2, rounded)]
    if large:
        marks += [_tick(k, axis) for k in range(0, 101, 20)]
    if values.lower is not None and values.upper is not None:
        left, width = 100 * values.lower, 100 * max(values.upper - values.lower, 0.004)
        round_ends = f'rx="{thick / 2:g}"'
        top = axis - thick / 2
        marks.append(svg.bar(left, width, top, thick, opacity=0.32, attributes=round_ends))
    if values.base is not None:
        x, words = 100 * values.base, f"base {percent(values.base)}"
        marks.append(svg.line((x, axis - thick), (x, axis + thick), svg.INK, 2))
        # Below the axis, on a large scale above it.
        marks.append(svg.text(x, 16 if large else height - 6, words, svg.INK))
    ring = f"; stroke: {svg.PAPER}; stroke-width: 2"
    marks.append(svg.dot(100 * values.value, axis, 9 if large else 6, svg.ACCENT, ring))
    marks += _value_of(values) if large else _ends(values, height)
    label = values.words()
    return svg.chart([f"<title>{escape(label)}</title>", *marks], label, height, kind="scale")


def _tick(position: int, axis: float) -> str:
    words = f"{position}\u00a0%" if position in (0, 100) else str(position)
    mark = svg.line((position, axis + 12), (position, axis + 17))
    return mark + svg.text(position, axis + 31, words)


def _ends(values: ScaleValues, height: float) -> list[str]:
    """0 and 100 % at the ends, where the base rate's words leave room for them."""
    base = 50.0 if values.base is None else 100 * values.base
    low = [svg.text(0, height - 6, "0")] if base > 24 else []
    high = [svg.text(100, height - 6, "100\u00a0%")] if base < 76 else []
    return low + high


def _value_of(values: ScaleValues) -> list[str]:
    """The chance above the dot, where the words of the base rate leave room for it."""
    near = values.base is not None and abs(values.base - values.value) < 0.16
    return (
        []
        if near
        else [svg.text(100 * values.value, 16, percent(values.value), svg.ACCENT, bold=True)]
    )
