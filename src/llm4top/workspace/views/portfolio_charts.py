"""The portfolio's two figures as SVG: how many successes to expect, and every trial's chance."""

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from llm4top.forecasters.forecast_format import Forecast
from llm4top.text import interval, percent, thousands
from llm4top.workspace.views import svg
from llm4top.workspace.views.portfolio import Distribution, name_of, sort_trials
from llm4top.workspace.views.wording import expected

HEIGHT = 180
"""Pixels of the drawing area; the axis and its words lie below it."""

NEGLIGIBLE = 1e-4
"""Counts less probable than this are left out at both ends."""

LABELLED = 10
"""Up to so many bars each bears its probability in percent."""

UNSAID = 0.005
"""A probability below this stays unwritten: its words are wider than a bar on a narrow screen."""

NARROW = 320
"""Pixels that a figure has on a telephone; numbers below an axis have room there too."""

NUMBERED = 20
"""Up to so many trials each bears its number, which a list below explains."""

DOTS = 300
"""Up to so many trials each has a dot; more are drawn as a line with a band."""


def distribution_chart(distribution: Distribution, from_base: float | None = None) -> str:
    """A bar for each number of successes; those within the central 95 % are full in colour.

    ``from_base`` marks the number to expect from the phases' base rates.
    """
    shown = np.flatnonzero(distribution.mass >= NEGLIGIBLE)
    first, last = int(shown[0]), int(shown[-1])
    if from_base is not None and first - from_base < last - first > from_base - last:
        first, last = min(first, int(from_base)), max(last, int(np.ceil(from_base)))
    slots = last - first + 1
    slot = 100 / slots
    # So many labels have room below the axis on a narrow screen.
    most = min(12, NARROW // (8 * len(thousands(last)) + 10))
    step = svg.step_of(slots, (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9), most)
    top = float(distribution.mass.max())
    marks = [_bar(distribution, k, first, slot, top) for k in range(first, last + 1)]
    marks.append(svg.axis(HEIGHT))
    if from_base is not None:
        end = _line_end(distribution, round(from_base), top) if slots <= LABELLED else HEIGHT
        marks += _base_rates(from_base, distribution.n, (from_base - first + 0.5) * slot, end)
    if slots <= LABELLED:
        marks += [
            _share(distribution, k, first, slot, top)
            for k in range(first, last + 1)
            if distribution.mass[k] >= UNSAID
        ]
    marks += [
        _centred((k - first + 0.5) * slot, HEIGHT + 18, thousands(k))
        for k in range(first, last + 1)
        if k % step == 0
    ]
    marks.append(_centred(50, HEIGHT + 42, "Number of trials"))
    words = (
        f"How many of {distribution.n} trials: {distribution.expected:.1f} expected, "
        f"{distribution.lower} to {distribution.upper} with 95 % probability."
    )
    return svg.chart(marks, words, HEIGHT + 48)


def chances_chart(
    trials: Sequence[Forecast], address: Callable[[Forecast], str] | None = None
) -> str:
    """Every trial's chance with its interval, the lowest first; 0 to 100 % from bottom to top.

    Up to ``NUMBERED`` trials bear their number in that order; ``address`` is a trial's page.
    """
    sorted_trials = sort_trials(trials, "chance")
    grid = [
        svg.line((0, _y(k / 100)), (100, _y(k / 100))) + svg.text(0, _y(k / 100) - 4, f"{k}\u00a0%")
        for k in (0, 25, 50, 75, 100)
    ]
    drawn = _dots(sorted_trials, address) if len(trials) <= DOTS else [_band(sorted_trials)]
    low, high = sorted_trials[0].probability, sorted_trials[-1].probability
    words = f"Chances of {len(trials)} trials, from {percent(low)} to {percent(high)}."
    title = _centred(54, HEIGHT + 40, "Trials, the lowest chance first")
    # What holds links is no picture to those who do not see it.
    role = "img" if address is None else "group"
    return svg.chart([*grid, *drawn, title], words, HEIGHT + 46, role=role)


def _bar(distribution: Distribution, k: int, first: int, slot: float, top: float) -> str:
    mass = float(distribution.mass[k])
    height = _height(mass, top)
    gap = 0.12 * slot if slot > 0.8 else 0
    return svg.bar(
        (k - first) * slot + gap,
        slot - 2 * gap,
        HEIGHT - height,
        height,
        opacity=1 if distribution.lower <= k <= distribution.upper else 0.35,
        title=f"{k} of {distribution.n}: {percent(mass)}",
        attributes="" if gap else 'shape-rendering="crispEdges"',
    )


def _height(mass: float, top: float) -> float:
    return max((HEIGHT - 20) * mass / top, 0.5)


def _share(distribution: Distribution, k: int, first: int, slot: float, top: float) -> str:
    """The probability of one count, written on top of its bar."""
    mass = float(distribution.mass[k])
    x, y = (k - first + 0.5) * slot, HEIGHT - _height(mass, top) - 5
    return _centred(x, y, percent(mass))


def _centred(x: float, y: float, words: str) -> str:
    return svg.text(x, y, words, anchor="middle", halo=True)


def _line_end(distribution: Distribution, k: int, top: float) -> float:
    """Where a line from above stops so that it does not cross what is written on a bar."""
    if not 0 <= k <= distribution.n or distribution.mass[k] < UNSAID:
        return HEIGHT
    return max(HEIGHT - _height(float(distribution.mass[k]), top) - 20, 6)


def _base_rates(from_base: float, n: int, x: float, end: float) -> list[str]:
    """A dashed line at the number to expect from the base rates; an arrow where it is outside."""
    words = f"base rates {expected(from_base, n)}"
    if x < 0:
        return [svg.text(0, -6, f"← {words}", svg.INK)]
    if x > 100:
        return [svg.text(100, -6, f"{words} →", svg.INK)]
    return [
        svg.line((x, 0), (x, end), svg.INK, 1.5, "; stroke-dasharray: 4 4"),
        svg.text(x, -6, words, svg.INK),
    ]


def _dots(trials: Sequence[Forecast], address: Callable[[Forecast], str] | None) -> list[str]:
    slot = 92 / len(trials)
    radius = 5 if len(trials) <= 80 else 3
    marks = []
    for position, trial in enumerate(trials):
        x = 8 + (position + 0.5) * slot
        bounds = interval(trial.lower, trial.upper)
        words = f"{trial.nct_id or trial.record}, {name_of(trial)}: {percent(trial.probability)}"
        parts = []
        if trial.lower is not None and trial.upper is not None:
            ends = (x, _y(trial.upper)), (x, _y(trial.lower))
            parts.append(svg.line(*ends, svg.ACCENT, 3, "; opacity: .35"))
        parts.append(svg.dot(x, _y(trial.probability), radius))
        if len(trials) <= NUMBERED:
            parts.append(_centred(x, HEIGHT + 18, str(position + 1)))
        mark = svg.titled(words + (f" ({bounds})" if bounds else ""), *parts)
        # A link for the mouse; for the keyboard the list of trials has the same ones.
        link = "" if address is None else escape(address(trial))
        marks.append(f'<a href="{link}" tabindex="-1">{mark}</a>' if link else mark)
    return marks


def _band(trials: Sequence[Forecast]) -> str:
    """Many trials: a line of the chances over the band of their intervals."""
    picked = [trials[i] for i in np.linspace(0, len(trials) - 1, DOTS).round().astype(int)]
    xs = np.linspace(0, 1000, len(picked))
    middle = [_y(t.probability) for t in picked]
    lower = [_y(_or(t.lower, t.probability)) for t in picked]
    upper = [_y(_or(t.upper, t.probability)) for t in picked]
    outline = _points(xs, upper) + " " + _points(xs[::-1], lower[::-1])
    return (
        f'<svg x="8%" width="92%" height="{HEIGHT}" viewBox="0 0 1000 {HEIGHT}" '
        'preserveAspectRatio="none">'
        f'<polygon points="{outline}" style="fill: {svg.ACCENT}; opacity: .25"/>'
        f'<polyline points="{_points(xs, middle)}" vector-effect="non-scaling-stroke" '
        f'style="fill: none; stroke: {svg.ACCENT}; stroke-width: 2.5"/></svg>'
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _points(xs: ArrayLike, ys: ArrayLike) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in np.column_stack([xs, ys]))


def _y(value: float) -> float:
    return HEIGHT * (1 - value)
