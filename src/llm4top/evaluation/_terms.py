"""Metrics that are sums over rows: log-loss, Brier score, the gaps behind the ECE."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from llm4top.evaluation._scores import FloatArray, IntArray

LEAST = 1e-15
"""Probabilities of what came true are at least that in the log-loss."""
BINS = 10
ECE_NOISE = "ece_noise"
"""Of a draw: how far its bins' gaps are from the sample's, summed as the ECE sums them. It tells
how large an ECE chance alone makes, and is not a metric."""


def log_losses(probabilities: FloatArray, y: IntArray) -> FloatArray:
    """-ln p of the label that came true: ``[n]``."""
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(y)), y], LEAST)))


def squared_errors(probabilities: FloatArray, y: IntArray) -> FloatArray:
    """Of the second of two labels (0 to 1), else summed over labels (0 to 2): ``[n]``."""
    squares = (probabilities - np.eye(probabilities.shape[1])[y]) ** 2
    return np.asarray(squares[:, 1] if probabilities.shape[1] == 2 else squares.sum(axis=1))


class BinnedGaps:
    """Sums of forecast less outcome within equal bins of the forecast, a draw at a time.

    Bins are [0, .1), [.1, .2), ... [.9, 1]; rows come in ascending order of forecasts.
    """

    def __init__(self, forecasts: FloatArray, outcomes: FloatArray):
        self._gaps = forecasts - outcomes
        inner = np.arange(1, BINS) / BINS
        self._cuts = [0, *np.searchsorted(forecasts, inner, side="left"), len(forecasts)]

    def sums(self, counts: FloatArray) -> FloatArray:
        """For counts ``[b, n]``: ``[b, 10]``."""
        sums = np.zeros((len(counts), BINS))
        for k, (low, high) in enumerate(pairwise(self._cuts)):
            if high > low:
                sums[:, k] = np.einsum("bn,n->b", counts[:, low:high], self._gaps[low:high])
        return sums


def total(counts: FloatArray, terms: FloatArray) -> FloatArray:
    """Sums of ``terms`` ``[n]`` over draws ``[b, n]``: ``[b]``.

    Not by BLAS, whose last bits depend on its threads.
    """
    return np.asarray(np.einsum("bn,n->b", counts, terms))


def skill(squared: FloatArray, reference: FloatArray) -> FloatArray:
    """1 less the ratio of two sums of squared errors; NaN where the reference has none."""
    ratio = np.full(squared.shape, np.nan)
    np.divide(squared, reference, out=ratio, where=reference > 0)
    return 1 - ratio
