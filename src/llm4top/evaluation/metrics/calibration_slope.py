"""Calibration slope and intercept, each from one logistic fit with a Wald interval.

With ``z`` the log-odds of the forecasts (Cox 1958, Biometrika 45:562; Van Calster et al. 2019, BMC
Medicine 17:230):

- slope ``b`` of ``logit P(event) = a + b z``: 1 is right, below 1 forecasts are too extreme;
- intercept ``a`` of ``logit P(event) = a + z`` ("calibration in the large"): 0 is right, below 0
  forecasts are too high.

The interval is Wald's, the estimate plus and minus 1.96 robust standard errors (White 1982,
Econometrica 50:1): the square roots of the diagonal of ``I^-1 J I^-1``, where ``I`` is the sum of
``p (1 - p) x x'`` (Fisher's information) and ``J`` that of ``(y - p)^2 x x'``. The plain form,
``I^-1``, assumes that the regression holds. With the slope held at 1 it does not hold for forecasts
that are too extreme: plain intervals then covered .90 instead of .95
(``benchmarks/metric_coverage.py``).
"""

import numpy as np
from scipy.special import expit

from llm4top.evaluation.predictions import FloatArray, IntArray

_QUANTILE = 1.959963984540054
_STEPS, _LARGEST_STEP = 200, 4.0
_TOLERANCE = 1e-8
_RIDGE = 1e-12
_ROUNDING = 1e-9
"""Log-odds that differ by less are one value, computed twice."""

Estimate = tuple[float, float, float]
"""A value and the ends of its 95 % interval; all NaN where there is none."""
_NONE: Estimate = (np.nan, np.nan, np.nan)


def calibration_fit(probabilities: FloatArray, y: IntArray) -> dict[str, Estimate]:
    """``calibration_slope`` and ``calibration_intercept`` of forecasts ``[n, 2]`` of ``y`` ``[n]``.

    Neither exists where a forecast is exactly 0 or 1 (infinite log-odds) or all rows have one
    label; the slope does not exist for constant forecasts, nor where the labels are separated.
    """
    found = {"calibration_slope": _NONE, "calibration_intercept": _NONE}
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities[:, 1]) - np.log(probabilities[:, 0])
    if not np.isfinite(logits).all() or not 0 < y.sum() < len(y):
        return found
    z, row = np.unique(logits, return_inverse=True)
    n = np.bincount(row).astype(np.float64)
    events = np.asarray(np.bincount(row, weights=y), dtype=np.float64)
    ones = np.ones((len(z), 1))
    found["calibration_intercept"] = _last_coefficient(ones, z, n, events)
    if z[-1] - z[0] > _ROUNDING and not _separated(events, n - events):
        scale = float(logits.std())
        design = np.column_stack([ones, (z - logits.mean()) / scale])
        slope = _last_coefficient(design, np.zeros(len(z)), n, events)
        found["calibration_slope"] = (slope[0] / scale, slope[1] / scale, slope[2] / scale)
    return found


def _last_coefficient(
    design: FloatArray, offset: FloatArray, n: FloatArray, events: FloatArray
) -> Estimate:
    """Logistic regression of ``events`` among ``n`` by Newton's method: the last coefficient.

    Sums are not left to BLAS, whose last bits depend on its threads.
    """
    beta = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = expit(offset + np.einsum("mi,i->m", design, beta))
        information = np.einsum("mi,m,mj->ij", design, n * chance * (1 - chance), design)
        gradient = np.einsum("mi,m->i", design, events - n * chance)
        # Far from the fit the information may vanish; the ridge keeps the direction and does not
        # move the fit, where the gradient is 0.
        inverse = np.linalg.inv(information + _RIDGE * np.eye(len(beta)))
        step = np.clip(inverse @ gradient, -_LARGEST_STEP, _LARGEST_STEP)
        beta += step
        if np.abs(step).max() <= _TOLERANCE * (1 + np.abs(beta).max()):
            squares = events * (1 - chance) ** 2 + (n - events) * chance**2
            meat = np.einsum("mi,m,mj->ij", design, squares, design)
            half = _QUANTILE * float(np.sqrt((inverse @ meat @ inverse)[-1, -1]))
            return float(beta[-1]), float(beta[-1]) - half, float(beta[-1]) + half
    return _NONE


def _separated(events: FloatArray, others: FloatArray) -> bool:
    """Whether one value of ascending log-odds parts rows with and without the event."""
    with_event, without = np.flatnonzero(events), np.flatnonzero(others)
    return bool(with_event[-1] <= without[0] or without[-1] <= with_event[0])
