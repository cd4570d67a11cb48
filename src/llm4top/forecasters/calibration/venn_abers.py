"""Inductive Venn-Abers calibration as exact step functions.

For a score ``s``, isotonic regression is fitted on the calibration data with ``(s, 0)`` added,
then with ``(s, 1)``; its values at ``s`` are ``p0`` and ``p1``. One of the two is a perfectly
calibrated probability whatever the scores are worth, if calibration and test trials are
exchangeable. (Vovk & Petej, Venn-Abers predictors, 2014, arXiv:1211.0025.)

``p0`` and ``p1`` close in on each other far faster than on the truth: with 900 calibration trials
they held the true chance at a score in about one case of five of a simulation. The interval that
is reported is therefore a bootstrap over the calibration trials, and always holds both.

A step makes a cliff of a rounding difference: the same trial in another batch would get another
probability. What is reported is therefore continuous: at each calibration score the mean of the
steps' values at the calibration trials around it, weighted by a tent that ends half a window away.
Scores without calibration trials weigh nothing, so a group of tied scores keeps its exact values
however far the next group is. Between two calibration scores the steps' own rule holds (a lower
function keeps the value of the score below, an upper one that of the score above), with a ramp in
place of the cliff that takes up no more than half of the gap. The means keep the order: a tent is
log-concave, so a higher score weighs higher trials more, and a mean of rising values rises.
"""

from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from llm4top.forecasters.calibration.calibrated import (
    INTERVAL_LEVEL,
    Calibrated,
    FloatArray,
    IntArray,
    Phases,
)
from llm4top.forecasters.calibration.stored import CalibratorState, StatefulCalibrator
from llm4top.forecasters.log_odds import logsumexp
from llm4top.schema import Strict


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
    # A ramp takes up half of the adjacent gap, or half a window.
    ramps = np.minimum(np.diff(points, prepend=-np.inf), window) / 2
    knots = np.column_stack([points - ramps, points]).ravel()
    heights = np.column_stack([np.concatenate([[0.0], values[:-1]]), values]).ravel()
    return np.asarray(np.interp(scores, knots, heights), dtype=np.float64)


def upper_at(
    scores: FloatArray, points: FloatArray, values: FloatArray, window: float
) -> FloatArray:
    """An upper function at ``scores [n]``: the value of the point after, 1 above the points."""
    ramps = np.minimum(np.diff(points, append=np.inf), window) / 2
    knots = np.column_stack([points, points + ramps]).ravel()
    heights = np.column_stack([values, np.concatenate([values[1:], [1.0]])]).ravel()
    return np.asarray(np.interp(scores, knots, heights), dtype=np.float64)


RESAMPLES = 200
WINDOW = 0.05
"""Width of the window over which trials are averaged, in standard deviations of the scores."""

_SEED = 0

_Point = tuple[int, int]
_Four = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


class _Steps(Strict):
    """A lower and an upper function of the score, both rising in steps.

    The lower is 0 below the first of ``breaks0`` and ``values0[i]`` from ``breaks0[i]`` on; the
    upper is ``values1[i]`` up to and including ``breaks1[i]`` and 1 above the last.
    """

    breaks0: tuple[float, ...]
    values0: tuple[float, ...]
    breaks1: tuple[float, ...]
    values1: tuple[float, ...]

    @classmethod
    def of(cls, points: FloatArray, lower: FloatArray, upper: FloatArray) -> Self:
        """From the values at each of the ascending ``points``, steps of equal value merged."""
        firsts = np.flatnonzero(np.diff(lower, prepend=-1.0) != 0)
        lasts = np.flatnonzero(np.diff(upper, append=2.0) != 0)
        return cls(
            breaks0=tuple(points[firsts].tolist()),
            values0=tuple(lower[firsts].tolist()),
            breaks1=tuple(points[lasts].tolist()),
            values1=tuple(upper[lasts].tolist()),
        )

    def fault(self) -> str | None:
        """Why this is not a pair of rising step functions within [0, 1], or None."""
        for breaks, values in ((self.breaks0, self.values0), (self.breaks1, self.values1)):
            if not breaks or len(breaks) != len(values):
                return "its steps and their values differ in number"
            if not (np.diff(breaks) > 0).all() or not (np.diff(values) >= 0).all():
                return "its steps do not rise"
            if values[0] < 0 or values[-1] > 1:
                return "its probabilities are not within 0 and 1"
        below, above = self.at(self.everywhere())
        return "its lower probability exceeds its upper" if (below > above).any() else None

    def everywhere(self) -> FloatArray:
        """Scores that visit each step of both functions."""
        edges = np.array([*self.breaks0, *self.breaks1])
        return np.concatenate([np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf)])

    def at(self, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The lower and the upper function at ``scores [n]``."""
        values0 = np.array([0.0, *self.values0])
        values1 = np.array([*self.values1, 1.0])
        return (
            values0[np.searchsorted(self.breaks0, scores, side="right")],
            values1[np.searchsorted(self.breaks1, scores, side="left")],
        )


class _Column(Strict):
    """One label: ``p0`` and ``p1``, the interval around them, and what smooths both.

    ``points`` are the calibration scores, ascending, and ``rows`` the trials at each. Bundles of
    before they were stored have none: the scores at which a step begins or ends stand for them.
    """

    pair: _Steps
    interval: _Steps
    window: Annotated[float, Field(ge=0)]
    points: tuple[float, ...] = ()
    rows: tuple[Annotated[int, Field(gt=0)], ...] = ()

    def fault(self) -> str | None:
        """Why this is not a calibration of one label, or None."""
        if fault := self.pair.fault() or self.interval.fault():
            return fault
        if len(self.points) != len(self.rows) or not (np.diff(self.points) > 0).all():
            return "its scores do not rise, or are not as many as their rows"
        scores = np.concatenate([self.pair.everywhere(), self.interval.everywhere()])
        (p0, p1), (lower, upper) = self.pair.at(scores), self.interval.at(scores)
        inside = (lower <= p0).all() and (p1 <= upper).all()
        return None if inside else "its interval does not hold its probabilities"

    def smoothed(self, scores: FloatArray) -> _Four:
        """``p0``, ``p1`` and the interval's bounds at ``scores [n]``, continuous in the score."""
        points, at_points = self._at_points
        p0, p1, lower, upper = at_points
        below = [lower_at(scores, points, values, self.window) for values in (p0, lower)]
        above = [upper_at(scores, points, values, self.window) for values in (p1, upper)]
        return below[0], above[0], below[1], above[1]

    def sampled(self, scores: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """Probabilities ``[n, rows]`` at ``scores`` by isotonic regressions on redrawn labels."""
        points, (p0, p1, _, _) = self._at_points
        rows = np.array(self.rows, dtype=np.int64)
        chance = np.clip(p1 / (1 - p0 + p1), 0, 1)
        found = np.empty((n, len(scores)))
        from scipy.optimize import isotonic_regression

        for draw in range(n):
            rising = isotonic_regression(rng.binomial(rows, chance) / rows, weights=rows).x
            found[draw] = np.interp(scores, points, tent_means(points, rows, self.window, rising))
        return found

    @cached_property
    def _at_points(self) -> tuple[FloatArray, _Four]:
        points, rows = np.array(self.points), np.array(self.rows, dtype=np.int64)
        if not self.points:
            points = np.unique([*self.pair.breaks0, *self.pair.breaks1])
            rows = np.ones(len(points), dtype=np.int64)
        p0, p1, lower, upper = (
            tent_means(points, rows, self.window, values)
            for values in (*self.pair.at(points), *self.interval.at(points))
        )
        return points, (p0, p1, lower, upper)


class _State(CalibratorState):
    """``columns``: one for a binary task (its second label), else one a label."""

    method: Literal["venn-abers"] = "venn-abers"
    columns: tuple[_Column, ...]

    @property
    def label_count(self) -> int:
        """How many labels it is about."""
        return 2 if len(self.columns) == 1 else len(self.columns)

    def fault(self) -> str | None:
        """Why this is not a calibration, or None."""
        if len(self.columns) in (0, 2):
            return "it fits no number of labels"
        return next((fault for column in self.columns if (fault := column.fault())), None)


class VennAbersCalibrator(StatefulCalibrator[_State]):
    """Venn-Abers, the default: it assumes nothing about the scores but their order.

    Binary tasks: the second label's probability is ``p1 / (1 - p0 + p1)``, the choice that is
    minimax under log-loss. More labels: one label against the rest each, the probabilities
    divided by their sum. ``lower`` and ``upper`` are a 95 % bootstrap interval over 200 resamples
    of the calibration data, from the 2.5 % quantile of ``p0`` to the 97.5 % quantile of ``p1``,
    widened to hold ``[p0, p1]`` and the probability. All of these are means over the calibration
    trials of nearly the same score, so they are continuous, and non-decreasing in the score of a
    binary task; where no other trial's score is near, as in a group of tied scores, they are
    exact. See ``docs/calibration.md`` for what the interval means.
    """

    method = "venn-abers"
    title = "Venn-Abers"
    state_type = _State

    def _fitted(self, logits: FloatArray, labels: IntArray) -> _State:
        scores = _scores(logits)
        events = [1] if scores.shape[1] == 1 else range(scores.shape[1])
        columns = tuple(
            _fit_column(scores[:, column], (labels == event).astype(np.int64))
            for column, event in enumerate(events)
        )
        return _State(n=len(labels), columns=columns)

    def predict(self, logits: ArrayLike, phases: Phases | None = None) -> Calibrated:
        """See ``Calibrator.predict``."""
        columns, scores = self._scored(logits, phases)
        smoothed = [c.smoothed(s) for c, s in zip(columns, scores.T, strict=True)]
        p0, p1, lower, upper = (np.stack(side, axis=1) for side in zip(*smoothed, strict=True))
        # Means may be a rounding error off.
        lower, upper = np.minimum(lower, p0), np.maximum(upper, p1)
        # Rounding must not push the point out of its own pair.
        point = np.clip(p1 / (1 - p0 + p1), p0, p1)
        if point.shape[1] == 1:
            probabilities = np.concatenate([1 - point, point], axis=1)
            return Calibrated(probabilities, lower[:, 0], upper[:, 0])
        probabilities = point / point.sum(axis=1, keepdims=True)
        rows, best = np.arange(len(point)), probabilities.argmax(axis=1)
        reported = probabilities[rows, best]
        return Calibrated(
            probabilities,
            np.minimum(lower[rows, best], reported),
            np.maximum(upper[rows, best], reported),
        )

    def sampled(
        self, logits: ArrayLike, phases: Phases | None, n: int, rng: np.random.Generator
    ) -> FloatArray | None:
        """See ``sampled.sampled_probabilities``: a parametric bootstrap over the stored scores.

        None for bundles of before the calibration scores were stored.
        """
        columns, scores = self._scored(logits, phases)
        if not all(column.points for column in columns):
            return None
        drawn = [c.sampled(s, n, rng) for c, s in zip(columns, scores.T, strict=True)]
        events = np.stack(drawn, axis=2)
        if events.shape[2] == 1:
            return np.concatenate([1 - events, events], axis=2)
        return np.asarray(events / events.sum(axis=2, keepdims=True))

    def multiprobability(
        self, logits: ArrayLike, phases: Phases | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Vovk's ``p0`` and ``p1`` of answer logits ``[n, K]``, exact and with every step.

        Each is ``[n, 1]`` for a binary task (its second label), else ``[n, K]``.
        """
        columns, scores = self._scored(logits, phases)
        pairs = [c.pair.at(s) for c, s in zip(columns, scores.T, strict=True)]
        p0, p1 = (np.stack(side, axis=1) for side in zip(*pairs, strict=True))
        return p0, p1

    def _scored(
        self, logits: ArrayLike, phases: Phases | None
    ) -> tuple[tuple[_Column, ...], FloatArray]:
        return self.state.columns, _scores(self._corrected(logits, phases))


def _scores(logits: FloatArray) -> FloatArray:
    """One score a label: its log-odds against all other labels; one column for a binary task."""
    if logits.shape[1] == 2:
        return logits[:, 1:] - logits[:, :1]
    columns = range(logits.shape[1])
    rest = [logsumexp(np.delete(logits, column, axis=1), axis=1) for column in columns]
    return np.asarray(logits - np.stack(rest, axis=1), dtype=np.float64)


def _fit_column(scores: FloatArray, events: IntArray) -> _Column:
    """Step functions of calibration ``scores [n]`` and ``events [n]`` (0 or 1)."""
    points, group = np.unique(scores, return_inverse=True)
    p0, p1 = _pair(group, events, len(points))
    rng = np.random.default_rng(_SEED)
    # Every resample's steps stand at scores of the data, so the quantiles are step functions of
    # the same scores: p0 holds from its score up to the next, p1 from the score before.
    lows, highs = np.empty((2, RESAMPLES, len(points)))
    for resample in range(RESAMPLES):
        drawn = rng.integers(0, len(scores), len(scores))
        kept, position = np.unique(group[drawn], return_inverse=True)
        steps = _Steps.of(points[kept], *_pair(position, events[drawn], len(kept)))
        lows[resample], highs[resample] = steps.at(points)
    tail = (1 - INTERVAL_LEVEL) / 2
    lower = np.minimum(np.quantile(lows, tail, axis=0), p0)
    upper = np.maximum(np.quantile(highs, 1 - tail, axis=0), p1)
    # Interpolated quantiles may fall out of order in the last digit.
    return _Column(
        pair=_Steps.of(points, p0, p1),
        interval=_Steps.of(
            points,
            np.minimum.accumulate(lower[::-1])[::-1],
            np.maximum.accumulate(upper),
        ),
        window=WINDOW * float(scores.std()),
        points=tuple(points.tolist()),
        rows=tuple(np.bincount(group).tolist()),
    )


def _pair(group: IntArray, events: IntArray, n_points: int) -> tuple[FloatArray, FloatArray]:
    """``p0`` and ``p1`` at each of ``n_points`` ascending scores; ``group [n]`` names the row's."""
    sizes = np.bincount(group, minlength=n_points).tolist()
    sums = np.bincount(group[events == 1], minlength=n_points).tolist()
    upper = _with_an_event_added(sizes, sums)
    # Adding a non-event is adding an event once scores and events are turned upside down.
    misses = [size - total for size, total in zip(sizes, sums, strict=True)]
    turned = _with_an_event_added(sizes[::-1], misses[::-1])
    return 1 - np.array(turned[::-1]), np.array(upper)


def _with_an_event_added(sizes: list[int], sums: list[int]) -> list[float]:
    """``p1`` at each distinct score, scores ascending, in linear time.

    ``sizes`` and ``sums`` are the rows and events of each score. The isotonic value is a slope of
    the lower convex hull of the cumulative sums; the added event slides from the first score to
    the last while the hull is repaired. Whole numbers throughout, so the turns are exact.
    (Algorithms 1 and 2 of Vovk, Petej & Fedorova, 2015, arXiv:1511.00213.)
    """
    points: list[_Point] = [(0, 0)]
    for size, total in zip(sizes, sums, strict=True):
        points.append((points[-1][0] + size, points[-1][1] + total))
    hull: list[_Point] = [(-1, -1)]
    for point in points:
        while len(hull) > 1 and not _turns_left(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    hull.reverse()

    values = []
    for x, y in points[1:]:
        top, following = hull[-1], hull[-2]
        values.append((following[1] - top[1]) / (following[0] - top[0]))
        start = (x - 1, y - 1)
        if _cross(top, following, start) >= 0:
            continue
        hull.pop()
        while len(hull) > 1 and not _turns_left(start, hull[-1], hull[-2]):
            hull.pop()
        hull.append(start)
    return values


def _cross(a: _Point, b: _Point, c: _Point) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _turns_left(a: _Point, b: _Point, c: _Point) -> bool:
    return _cross(a, b, c) > 0
