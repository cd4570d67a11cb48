"""Step functions of a score made continuous, no wider than the scores are dense.

A step makes a cliff of a rounding difference: the same trial in another batch would get another
probability. Each calibration score therefore gets the mean of the steps' values at the calibration
trials around it, weighted by a tent that ends half a window away. Scores where no calibration
trial stands weigh nothing, so that a group of tied scores keeps its exact values however far the
next group is. Between two calibration scores the steps' own rule holds (a lower function keeps the
value of the score below, an upper one that of the score above), with a ramp in place of the cliff
that takes up no more than half of the gap.

The means keep the order: a tent is log-concave, so a higher score weighs higher trials more, and a
mean of rising values rises.
"""

import numpy as np

from llm4top.forecasters.calibration.calibrated import FloatArray, IntArray


def tent_means(points: FloatArray, rows: IntArray, window: float, values: FloatArray) -> FloatArray:
    """At each of the ascending ``points [m]``: the mean of rising ``values [m]`` around it.

    ``rows [m]`` are the calibration trials at each point. A trial weighs 1 at its own score and
    nothing from half of ``window`` on.
    """
    reach = window / 2
    if reach == 0:
        return values
    x = points - points.mean()
    first = np.searchsorted(x, x - reach, side="left")
    last = np.searchsorted(x, x + reach, side="right")
    own = np.arange(len(x))

    def weighted(terms: FloatArray) -> FloatArray:
        """Sums of the terms, each times its weight, by sums from the left."""
        total, moment = (np.concatenate([[0.0], np.cumsum(t)]) for t in (terms, terms * x))
        left, left_moment = total[own] - total[first], moment[own] - moment[first]
        right, right_moment = total[last] - total[own], moment[last] - moment[own]
        return np.asarray(
            left * (1 - x / reach)
            + left_moment / reach
            + right * (1 + x / reach)
            - right_moment / reach,
            dtype=np.float64,
        )

    means = weighted(rows * values) / weighted(rows.astype(np.float64))
    # The sums may be a rounding error off.
    rising = np.maximum.accumulate(means)
    return np.asarray(np.clip(rising, values[0], values[-1]), dtype=np.float64)


def lower_at(
    scores: FloatArray, points: FloatArray, values: FloatArray, window: float
) -> FloatArray:
    """A lower function at ``scores [n]``: 0 below the points, the value of the point before."""
    ramps = _ramps(points, window, below=True)
    knots = np.column_stack([points - ramps, points]).ravel()
    heights = np.column_stack([np.concatenate([[0.0], values[:-1]]), values]).ravel()
    return _along(scores, knots, heights)


def upper_at(
    scores: FloatArray, points: FloatArray, values: FloatArray, window: float
) -> FloatArray:
    """An upper function at ``scores [n]``: the value of the point after, 1 above the points."""
    ramps = _ramps(points, window, below=False)
    knots = np.column_stack([points, points + ramps]).ravel()
    heights = np.column_stack([values, np.concatenate([values[1:], [1.0]])]).ravel()
    return _along(scores, knots, heights)


def _ramps(points: FloatArray, window: float, *, below: bool) -> FloatArray:
    """How long the ramp at each point is: half of the adjacent gap, or half a window."""
    gaps = np.diff(points)
    adjacent = np.concatenate([[np.inf], gaps] if below else [gaps, [np.inf]])
    return np.asarray(np.minimum(adjacent, window) / 2, dtype=np.float64)


def _along(scores: FloatArray, knots: FloatArray, heights: FloatArray) -> FloatArray:
    return np.asarray(np.interp(scores, knots, heights), dtype=np.float64)
