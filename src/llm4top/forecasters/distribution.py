"""The distribution of a quantity whose probabilities are known in bins: quantiles in its unit.

Within a bin the quantity is taken as uniform, so the distribution function is linear between the
edges. The first bin begins at 0 where its edge is above 0, and the last one ends at 1 for a share
(100 for "%"); otherwise the outer bins are open, and a quantile inside one is infinite. A first bin
that is hardly wider than a point, "none" of a share, is one: a quantile inside it is 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llm4top.forecasters.calibration.calibrated import FloatArray
from llm4top.forecasters.forecast_format import Forecast
from llm4top.tasks.builtin import SHARE
from llm4top.tasks.task import Task
from llm4top.text import percent

LEVEL = 0.8
"""Probability inside the interval that a forecast states: from its 10 % to its 90 % quantile."""
LEVELS = (0.1, 0.5, 0.9)
_HIGHEST = {SHARE: 1.0, "%": 100.0}
_POINT = 1e-3
"""A first bin of at most this part of the whole range is the point at its lower end: "none"."""


@dataclass(frozen=True, slots=True)
class Bins:
    """The inner ``edges`` of K bins and the outer bounds, infinite where a bin is open."""

    edges: tuple[float, ...]
    lowest: float
    highest: float

    @classmethod
    def of(cls, task: Task) -> "Bins":
        """The bins of an ordinal task."""
        edges = tuple(map(float, task.bin_edges))
        highest = _HIGHEST.get(task.unit, np.inf)
        return cls(
            edges,
            0.0 if edges[0] > 0 else -np.inf,
            highest if highest > edges[-1] else np.inf,
        )

    @property
    def begins_at_a_point(self) -> bool:
        """Whether the first bin stands for its lower end, as "none" of a share does."""
        return bool(self.edges[0] - self.lowest <= _POINT * (self.highest - self.lowest) < np.inf)

    def quantiles(self, probabilities: ArrayLike, levels: ArrayLike) -> FloatArray:
        """Quantiles ``[n, L]`` at the ``levels`` ``[L]`` of distributions ``[n, K]``."""
        p = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
        asked = np.asarray(levels, dtype=np.float64)
        nodes = np.array([self.lowest, *self.edges, self.highest])
        found = np.empty((len(p), len(asked)))
        for row, shares in enumerate(p):
            reached = np.concatenate([[0.0], np.cumsum(shares)])
            reached[-1] = 1.0
            # The first bin at whose end the level is reached; never one without probability.
            k = np.clip(np.searchsorted(reached, asked, side="left") - 1, 0, len(shares) - 1)
            width = reached[k + 1] - reached[k]
            part = np.divide(asked - reached[k], width, out=np.zeros(len(asked)), where=width > 0)
            low, high = nodes[k], nodes[k + 1]
            closed = np.isfinite(low) & np.isfinite(high)
            inside = np.where(closed, low, 0) + part * np.where(closed, high - low, 0)
            found[row] = np.where(closed, inside, np.where(np.isfinite(low), high, low))
            if self.begins_at_a_point:
                found[row, k == 0] = self.lowest
        return found

    def below(self, probabilities: ArrayLike, values: ArrayLike) -> FloatArray:
        """Probability ``[V]`` of at most each of ``values`` ``[V]`` under one distribution ``[K]``.

        An open bin's probability counts from its far side on: never that of an open last bin.
        """
        nodes = np.array([self.lowest, *self.edges, self.highest])
        reached = np.concatenate([[0.0], np.cumsum(np.asarray(probabilities, dtype=np.float64))])
        closed = np.isfinite(nodes)
        asked = np.asarray(values, dtype=np.float64)
        found = np.interp(asked, nodes[closed], np.minimum(reached[closed], 1.0), left=0.0)
        return np.asarray(found, dtype=np.float64)

    def clipped(self, values: ArrayLike) -> FloatArray:
        """The values with those of an open bin at its edge: the bins tell no more of them."""
        low = self.lowest if np.isfinite(self.lowest) else self.edges[0]
        high = self.highest if np.isfinite(self.highest) else self.edges[-1]
        return np.clip(np.asarray(values, dtype=np.float64), low, high)

    def middles(self) -> FloatArray:
        """The middle of each bin ``[K]``; of an open one its edge, of a point the point."""
        nodes = self.clipped([self.lowest, *self.edges, self.highest])
        found = (nodes[1:] + nodes[:-1]) / 2
        if self.begins_at_a_point:
            found[0] = self.lowest
        return found


@dataclass(frozen=True, slots=True)
class Summary:
    """Median and 80 % interval in the task's unit; None for a bound in an open bin."""

    median: float | None
    p10: float | None
    p90: float | None


def summary_of(task: Task, probabilities: ArrayLike) -> Summary:
    """The summary of one distribution ``[K]``; all None where the task is not ordinal."""
    if task.kind != "ordinal":
        return Summary(None, None, None)
    found = Bins.of(task).quantiles(probabilities, LEVELS)[0]
    p10, median, p90 = (float(value) if np.isfinite(value) else None for value in found)
    return Summary(median, p10, p90)


def in_words(forecast: Forecast) -> str:
    """The quantity as a person reads it: "median 26 months, 80 % 14 to 51"; "" without one."""
    unit = forecast.unit
    if unit is None:
        return ""
    low, high = forecast.labels[0], forecast.labels[-1]
    p10 = low if forecast.p10 is None else _plain(forecast.p10, unit)
    p90 = high if forecast.p90 is None else _plain(forecast.p90, unit)
    if forecast.median is None:
        middle = low if forecast.p90 is not None else high
    else:
        named = unit and unit not in _HIGHEST
        middle = _plain(forecast.median, unit) + (f" {unit}" if named else "")
    return f"median {middle}, 80 % {p10} to {p90}"


def _plain(value: float, unit: str) -> str:
    if unit == SHARE:
        return percent(value)
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
