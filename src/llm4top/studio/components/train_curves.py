"""The curves of a training as SVG: loss and validation ROC-AUC by step."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llm4top.text import thousands
from llm4top.workspace.run_states import RunEvent
from llm4top.workspace.views import svg

HEIGHT = 220
MOST_POINTS = 600
LOSS, VALIDATION = "var(--series-1, #0072b2)", "var(--series-5, #d55e00)"
_LEFT = 8
"""Percent of the width for the labels of the vertical axis."""


class Curves:
    """Loss, validation log-loss and ROC-AUC by step; a resumed run replaces repeated steps.

    The saved model is that of the lowest validation log-loss, ``best``.
    """

    def __init__(self) -> None:
        self.loss: dict[int, float] = {}
        self.validation: dict[int, float] = {}
        self.roc_auc: dict[int, float] = {}

    @property
    def best(self) -> int | None:
        """The step of the lowest validation log-loss; None before the first evaluation."""
        return min(self.validation, key=lambda step: self.validation[step], default=None)

    def take(self, events: Iterable[RunEvent]) -> bool:
        """Read events of a training; whether there is anything new to draw."""
        before = self._sizes()
        for event in events:
            details = event.details
            if details.get("event") == "training":
                self._drop_after(int(details.get("step", 0)))
            elif details.get("event") == "log":
                _add(self.loss, details, "loss")
            elif details.get("event") == "evaluation":
                _add(self.validation, details, "eval_log_loss")
                _add(self.roc_auc, details, "eval_roc_auc")
        return before != self._sizes()

    def _sizes(self) -> tuple[int, ...]:
        return tuple(map(len, (self.loss, self.validation, self.roc_auc)))

    def _drop_after(self, step: int) -> None:
        for curve in (self.loss, self.validation, self.roc_auc):
            for later in [known for known in curve if known > step]:
                del curve[later]

    def words(self) -> str:
        """The latest losses in words, also for screen readers."""
        parts = []
        for name, curve in (("Training loss", self.loss), ("Validation", self.validation)):
            if curve:
                last = max(curve)
                parts.append(f"{name} {curve[last]:.3f} at step {thousands(last)}.")
        if (best := self.best) is not None and best != max(self.validation):
            parts.append(f"Best validation {self.validation[best]:.3f} at step {thousands(best)}.")
        return " ".join(parts)

    def roc_words(self) -> str:
        """The latest ROC-AUC in words; empty before the first evaluation."""
        if not self.roc_auc:
            return ""
        last = max(self.roc_auc)
        return f"Validation ROC-AUC {self.roc_auc[last]:.3f} at step {thousands(last)}."

    def drawing(self, total: int) -> str:
        """Both losses over the steps from 0 to ``total``, which may be 0 where it is unknown."""
        return _chart({LOSS: self.loss}, {VALIDATION: self.validation}, total, self, self.words())

    def roc_drawing(self, total: int) -> str:
        """The validation ROC-AUC over the same steps."""
        return _chart({}, {VALIDATION: self.roc_auc}, total, self, self.roc_words())


def _chart(
    lines: Mapping[str, Mapping[int, float]],
    dotted: Mapping[str, Mapping[int, float]],
    total: int,
    curves: Curves,
    label: str,
) -> str:
    """Curves by colour; ``dotted`` ones have a mark at each point, the best one with a ring."""
    drawn = {**lines, **dotted}
    values = [value for curve in drawn.values() for value in curve.values()]
    last = max([total, 1, *curves.loss, *curves.validation])
    ticks = _ticks(min(values, default=0.0), max(values, default=1.0))
    low, high = ticks[0], ticks[-1]

    def y(value: float) -> float:
        return HEIGHT * (high - value) / (high - low)

    marks = []
    for value in ticks:
        marks.append(svg.line((_LEFT, y(value)), (100, y(value))))
        marks.append(svg.text(0, y(value) + 4, f"{value:g}"))
    # The lines have a drawing of their own, which is as wide as the page lets it be.
    inner = [
        _polyline([(1000 * step / last, y(value)) for step, value in sorted(curve.items())], colour)
        for colour, curve in drawn.items()
    ]
    marks.append(
        f'<svg x="{_LEFT}%" width="{100 - _LEFT}%" height="{HEIGHT}" '
        f'viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">{"".join(inner)}</svg>'
    )
    for colour, curve in dotted.items():
        for step, value in curve.items():
            best = step == curves.best
            ring = f"; stroke: {svg.MUTED}; stroke-width: 2; stroke-opacity: 1" if best else ""
            x = _LEFT + (100 - _LEFT) * step / last
            dot = svg.dot(x, y(value), 6 if best else 4, colour, ring)
            marks.append(svg.titled(f"Step {step}: {value:.4f}{', best' if best else ''}", dot))
    marks.append(svg.text(_LEFT, HEIGHT + 20, "0"))
    marks.append(svg.text(100, HEIGHT + 20, f"step {thousands(last)}"))
    return svg.chart(marks, label, HEIGHT + 28)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most eight, the first not above ``low`` and the last not below ``high``."""
    least = max(high - low, 1e-3) / 5
    power = 10.0 ** math.floor(math.log10(least))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= least)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 10) for k in range(first, max(last, first + 1) + 1)]


def _add(curve: dict[int, float], details: Mapping[str, Any], name: str) -> None:
    step, value = details.get("step"), details.get(name)
    if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
        curve[step] = float(value)


def _polyline(points: Sequence[tuple[float, float]], colour: str) -> str:
    if len(points) > MOST_POINTS:
        points = [*points[:: math.ceil(len(points) / MOST_POINTS)], points[-1]]
    if len(points) < 2:
        return ""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{places}" vector-effect="non-scaling-stroke" '
        f'style="fill: none; stroke: {colour}; stroke-width: 2"/>'
    )
