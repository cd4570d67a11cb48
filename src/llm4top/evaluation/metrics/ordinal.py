"""Metrics of forecasts of a quantity in bins, in the quantity's unit.

A forecast is the distribution of ``forecasters/distribution.py``: uniform within a bin. Where an
outer bin is open, the quantity is only known to lie beyond an edge, so values there count as that
edge; this is the threshold-weighted CRPS of Gneiting and Ranjan (2011, J. Bus. Econ. Stat. 29:411),
which stays proper. A data set holds bins, not quantities: unless the values are at hand, the truth
is taken at the middle of its bin.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from llm4top.evaluation.metrics.bootstrap import DRAWS, CountArray, bootstrap, whole
from llm4top.evaluation.predictions import FloatArray, IntArray
from llm4top.forecasters.distribution import LEVELS, Bins


def ordinal_losses(
    probabilities: FloatArray, y: IntArray, bins: Bins, values: ArrayLike | None = None
) -> dict[str, FloatArray]:
    """Per trial ``[n]``: CRPS and absolute error of the median in the unit, and coverage 0 or 1.

    Args:
        probabilities: ``[n, K]``.
        y: The true bins ``[n]``.
        bins: Those of the task.
        values: The true quantities ``[n]``; None takes the middle of the true bin.
    """
    truth = bins.clipped(bins.middles()[y] if values is None else values)
    p10, median, p90 = bins.clipped(bins.quantiles(probabilities, LEVELS)).T
    return {
        "crps": _crps(np.asarray(probabilities, dtype=np.float64), truth, bins),
        "mae": np.abs(median - truth),
        "coverage_80": ((p10 <= truth) & (truth <= p90)).astype(np.float64),
    }


def ordinal_means(
    losses: dict[str, FloatArray], y: IntArray, *, draws: int = DRAWS, seed: int = 0
) -> tuple[dict[str, float], dict[str, FloatArray]]:
    """The means of the losses, and of each bootstrap draw ``[draws]``."""

    def statistic(counts: CountArray) -> dict[str, FloatArray]:
        drawn = counts.astype(np.float64)
        return {name: drawn @ loss / drawn.sum(axis=1) for name, loss in losses.items()}

    return whole(statistic, len(y)), bootstrap(statistic, y, draws=draws, seed=seed)


def _crps(p: FloatArray, truth: FloatArray, bins: Bins) -> FloatArray:
    """The integral of (F(x) - 1[x >= truth])^2 between the outer edges: exact, F is linear."""
    nodes = bins.clipped([bins.lowest, *bins.edges, bins.highest])
    reached = np.concatenate([np.zeros((len(p), 1)), np.cumsum(p, axis=1)], axis=1)
    total = np.zeros(len(p))
    for k, (low, high) in enumerate(pairwise(nodes)):
        if high <= low:
            continue
        start, end = reached[:, k], reached[:, k + 1]
        cut = np.clip(truth, low, high)
        at_cut = start + (end - start) * (cut - low) / (high - low)
        total += (cut - low) * _mean_square(start, at_cut)
        total += (high - cut) * _mean_square(at_cut - 1, end - 1)
    return total


def _mean_square(first: FloatArray, last: FloatArray) -> FloatArray:
    """The mean of the square of what goes evenly from ``first`` to ``last``."""
    return (first**2 + first * last + last**2) / 3
