"""The curves of a training as SVG: loss and validation log-loss over the steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from llm4top.workspace._scale import LINE, text
from llm4top.workspace._words import thousands

if TYPE_CHECKING:
    from llm4top.workspace import RunEvent

HEIGHT = 220
MOST_POINTS = 600
LOSS, VALIDATION = "var(--series-1, #0072b2)", "var(--series-5, #d55e00)"
_LEFT = 8
"""Percent of the width for the words of the upright axis."""


class Curves:
    """Loss and validation log-loss by step; what a resumed run did again replaces the old."""

    def __init__(self) -> None:
        self.loss: dict[int, float] = {}
        self.validation: dict[int, float] = {}

    def take(self, events: Iterable[RunEvent]) -> bool:
        """Read what the folder of a training tells; whether there was anything to draw in it."""
        before = (len(self.loss), len(self.validation))
        for event in events:
            told = event.details
            if told.get("event") == "training":
                self._forget_from(int(told.get("step", 0)))
            elif told.get("event") == "log":
                _keep(self.loss, told, "loss")
            elif told.get("event") == "evaluation":
                _keep(self.validation, told, "eval_log_loss")
        return before != (len(self.loss), len(self.validation))

    def _forget_from(self, step: int) -> None:
        for curve in (self.loss, self.validation):
            for later in [known for known in curve if known > step]:
                del curve[later]

    def words(self) -> str:
        """Where the curves stand, as a screen reader says it."""
        said = []
        for name, curve in (("Training loss", self.loss), ("Validation", self.validation)):
            if curve:
                last = max(curve)
                said.append(f"{name} {curve[last]:.3f} at step {thousands(last)}.")
        return " ".join(said)

    def drawing(self, total: int) -> str:
        """Both curves over the steps from 0 to ``total``, which may be 0 where it is unknown."""
        values = [*self.loss.values(), *self.validation.values()]
        last = max([total, 1, *self.loss, *self.validation])
        low, high = min(values, default=0.0), max(values, default=1.0)
        ticks = _ticks(low, high)
        low, high = ticks[0], ticks[-1]
        marks = []
        for value in ticks:
            y = HEIGHT * (high - value) / (high - low)
            marks.append(
                f'<line x1="{_LEFT}%" x2="100%" y1="{y:g}" y2="{y:g}" '
                f'style="stroke: {LINE}; stroke-width: 1"/>' + text(0, y + 4, f"{value:g}")
            )
        inner = [
            _line(self.loss, last, low, high, LOSS),
            _line(self.validation, last, low, high, VALIDATION),
        ]
        marks.append(
            f'<svg x="{_LEFT}%" width="{100 - _LEFT}%" height="{HEIGHT}" '
            f'viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">{"".join(inner)}</svg>'
        )
        for step, value in self.validation.items():
            x = _LEFT + (100 - _LEFT) * step / last
            y = HEIGHT * (high - value) / (high - low)
            marks.append(
                f'<circle cx="{x:.2f}%" cy="{y:.1f}" r="4" style="fill: {VALIDATION}">'
                f"<title>Step {step}: {value:.4f}</title></circle>"
            )
        marks.append(text(_LEFT, HEIGHT + 20, "0"))
        marks.append(text(100, HEIGHT + 20, f"step {thousands(last)}"))
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
            f'aria-label="{escape(self.words())}" width="100%" height="{HEIGHT + 28}" '
            f'style="overflow: visible; display: block; height: {HEIGHT + 28}px">'
            f"{''.join(marks)}</svg>"
        )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most eight, the first not above ``low`` and the last not below ``high``."""
    least = max(high - low, 1e-3) / 5
    power = 10.0 ** math.floor(math.log10(least))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= least)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 10) for k in range(first, max(last, first + 1) + 1)]


def _keep(curve: dict[int, float], told: Mapping[str, Any], name: str) -> None:
    step, value = told.get("step"), told.get(name)
    if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
        curve[step] = float(value)


def _line(curve: Mapping[int, float], last: int, low: float, high: float, colour: str) -> str:
    points = _thinned(sorted(curve.items()))
    if len(points) < 2:
        return ""
    told = " ".join(
        f"{1000 * step / last:.1f},{HEIGHT * (high - value) / (high - low):.1f}"
        for step, value in points
    )
    return (
        f'<polyline points="{told}" vector-effect="non-scaling-stroke" '
        f'style="fill: none; stroke: {colour}; stroke-width: 2"/>'
    )


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    if len(points) <= MOST_POINTS:
        return points
    every = math.ceil(len(points) / MOST_POINTS)
    return [*points[::every], points[-1]]
