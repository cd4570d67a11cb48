"""Calibration slope and intercept (Cox 1958): what a forecaster's log-odds lack.

The slope is the coefficient of a logistic regression of what came true on the log-odds (1 is
right, less means forecasts too extreme). The intercept is that of the same regression with the
slope held at 1, "calibration in the large" (0 is right, less means forecasts too high); see
Van Calster et al. 2019, BMC Medicine 17:230.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llm4top.evaluation._bootstrap import CountArray
from llm4top.evaluation._scores import FloatArray, IntArray

BoolArray = NDArray[np.bool_]

MOST_POINTS = 4096
"""Up to that many distinct scores, draws are fitted exactly; above, on log-odds in bins."""
_STEPS = 100
_TOLERANCE = 1e-6
"""A last step: what is left after it is of the order of its square."""
_LARGEST_STEP = 4.0
_ROUNDING = 1e-9
"""Log-odds no further apart are one value, computed twice."""


class Recalibration:
    """Fits draws of the same rows by Newton's method, from the fit of the whole sample.

    Above ``MOST_POINTS`` distinct scores, log-odds are put into bins, narrow in log-odds and in
    rows, where the fitted chances are summed; the whole sample is still fitted exactly, and each
    draw is moved by what the bins do to the whole sample's fit. A draw's fit is then wrong by less
    than a hundredth of the draws' standard deviation (tested), which no interval shows.
    """

    def __init__(self, without: FloatArray, event: FloatArray):
        """From sorted log-odds of the rows without and with the event, all finite."""
        z = np.sort(np.concatenate([without, event]))
        distinct, rows = np.unique(z, return_counts=True)
        self._centre, self._scale = float(z.mean()), float(z.std()) or 1.0
        self._varies = z[-1] - z[0] > _ROUNDING
        self._event = self._standard(event)
        sums = np.array([[len(event)], [self._event.sum()]], dtype=np.float64)
        cold = np.zeros((3, 1))
        exact = self._fit(distinct, rows[None, :].astype(np.float64), sums, cold)
        edges = distinct if len(distinct) <= MOST_POINTS else _edges(z)
        self._without_cuts = _cuts(without, edges)
        self._event_cuts = _cuts(event, edges)
        in_bins = np.diff(_cuts(z, edges)).astype(np.float64)
        starts = np.searchsorted(z, edges, side="left")
        self._points = np.add.reduceat(z, starts) / in_bins
        self._start = np.where(np.isfinite(exact), exact, 0)
        if len(edges) < len(distinct):
            binned = self._fit(self._points, in_bins[None, :], sums, self._start)
            self._shift = exact - binned
        else:
            self._shift = cold

    def fit(
        self, event_counts: FloatArray, event: CountArray, without: CountArray
    ) -> tuple[FloatArray, FloatArray]:
        """Slopes and intercepts of draws, ``[b]`` each; NaN without spread, or where separated.

        ``event_counts`` ``[b, n1]`` are of rows with the event in the order of their log-odds,
        ``event`` and ``without`` the running counts of the rows with and without it.
        """
        events = np.diff(event.take(self._event_cuts, axis=1), axis=1)
        others = np.diff(without.take(self._without_cuts, axis=1), axis=1)
        sums = np.stack([event[:, -1], np.einsum("bi,i->b", event_counts, self._event)])
        counts = (events + others).astype(np.float64)
        fitted = self._fit(self._points, counts, sums, self._start) + self._shift
        slopes = np.where(_separated(events, others), np.nan, fitted[1] / self._scale)
        return slopes, fitted[2]

    def _standard(self, z: FloatArray) -> FloatArray:
        return (z - self._centre) / self._scale

    def _fit(
        self, z: FloatArray, counts: FloatArray, sums: FloatArray, start: FloatArray
    ) -> FloatArray:
        """Rows: the slope's own intercept, the slope in standard deviations, the intercept."""
        b = len(counts)
        line = np.full((2, b), np.nan)
        if self._varies:
            line = fit_line(self._standard(z), counts, sums, np.repeat(start[:2], b, axis=1))
        level = fit_level(z, counts, sums[0], np.repeat(start[2], b))
        return np.vstack([line, level])


def fit_line(u: FloatArray, counts: FloatArray, sums: FloatArray, start: FloatArray) -> FloatArray:
    """Logistic regressions on ``u`` ``[m]`` with ``counts`` ``[b, m]``: ``[2, b]``, NaN if none.

    ``sums`` ``[2, b]`` are the events of each draw and their sum of ``u``.
    """
    fitted = start.copy()
    active = np.arange(counts.shape[0])
    for _ in range(_STEPS):
        n = counts[active]
        p = _chance(fitted[0, active, None] + fitted[1, active, None] * u)
        expected = n * p
        g0 = sums[0, active] - expected.sum(axis=1)
        g1 = sums[1, active] - np.einsum("bm,m->b", expected, u)
        expected *= 1 - p
        h0 = expected.sum(axis=1)
        h1 = np.einsum("bm,m->b", expected, u)
        h2 = np.einsum("bm,m->b", expected, u * u)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.stack([h2 * g0 - h1 * g1, h0 * g1 - h1 * g0]) / (h0 * h2 - h1 * h1)
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        fitted[:, active] += step
        lost = ~np.isfinite(step).all(axis=0)
        fitted[:, active[lost]] = np.nan
        active = active[~lost & (np.abs(step).max(axis=0) > _TOLERANCE)]
        if not len(active):
            break
    fitted[:, active] = np.nan
    return fitted


def fit_level(
    z: FloatArray, counts: FloatArray, events: FloatArray, start: FloatArray
) -> FloatArray:
    """What to add to log-odds ``z`` ``[m]`` to expect as many ``events`` as came: ``[b]``."""
    fitted = start.copy()
    active = np.arange(counts.shape[0])
    for _ in range(_STEPS):
        p = _chance(fitted[active, None] + z)
        expected = counts[active] * p
        missing = events[active] - expected.sum(axis=1)
        expected *= 1 - p
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(missing / expected.sum(axis=1), -_LARGEST_STEP, _LARGEST_STEP)
        fitted[active] += step
        lost = ~np.isfinite(step)
        fitted[active[lost]] = np.nan
        active = active[~lost & (np.abs(step) > _TOLERANCE)]
        if not len(active):
            break
    fitted[active] = np.nan
    return fitted


def _chance(z: FloatArray) -> FloatArray:
    """Of log-odds, in their place; by way of tanh it takes half the time of ``expit``."""
    z /= 2
    np.tanh(z, out=z)
    z += 1
    z /= 2
    return z


def _separated(events: CountArray, others: CountArray) -> BoolArray:
    """Draws ``[b]`` in which one log-odds parts rows with and without the event: no best slope."""
    some = (events > 0, others > 0)
    firsts = [one.argmax(axis=1) for one in some]
    lasts = [one.shape[1] - 1 - one[:, ::-1].argmax(axis=1) for one in some]
    return np.asarray((lasts[0] <= firsts[1]) | (lasts[1] <= firsts[0]))


def _edges(z: FloatArray) -> FloatArray:
    """Lower edges of bins of sorted ``z``, each with a row in it."""
    half = MOST_POINTS // 2
    by_rows = z[np.linspace(0, len(z) - 1, half).astype(np.intp)]
    by_value = np.linspace(z[0], z[-1], half)
    wanted = np.unique(np.concatenate([by_rows, by_value]))
    starts = np.unique(np.searchsorted(z, wanted, side="left"))
    return np.unique(z[starts])


def _cuts(z: FloatArray, edges: FloatArray) -> IntArray:
    """Where bins begin in sorted ``z``, and its end: ``[len(edges) + 1]``."""
    starts = np.searchsorted(z, edges, side="left")
    return np.append(starts, len(z)).astype(np.int64)
