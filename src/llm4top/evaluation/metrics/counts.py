"""What the metrics of binary and multiclass tasks share, from counts of rows in draws."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from llm4top.evaluation.metrics.bootstrap import CountArray
from llm4top.evaluation.predictions import FloatArray, IntArray

LEAST = 1e-15
"""Probabilities of what came true are at least that in the log-loss."""
BINS = 10
ECE_NOISE = "ece_noise"
"""Of a draw: how far its bins' gaps are from the sample's, summed as the ECE sums them. It shows
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


def probability_metrics(
    losses: FloatArray,
    errors: FloatArray,
    base_errors: FloatArray | None,
    own_errors: FloatArray,
    gaps: FloatArray,
    sample_gaps: FloatArray,
    n: int,
) -> dict[str, FloatArray]:
    """Log-loss, Brier score, its two skills and the ECE of draws, from sums over ``n`` rows.

    Args:
        losses: Summed ``log_losses``, ``[b]``.
        errors: Summed ``squared_errors``, ``[b]``.
        base_errors: The same of the base rate's forecast; None where there is none.
        own_errors: The same of always forecasting the draw's own label frequencies.
        gaps: Summed gaps by bin, ``[b, 10]``.
        sample_gaps: Those of the sample itself, ``[1, 10]``.
        n: Rows of a draw.
    """
    unknown = np.full(len(errors), np.nan)
    return {
        "log_loss": losses / n,
        "brier": errors / n,
        "brier_skill": unknown if base_errors is None else skill(errors, base_errors),
        "brier_skill_own": skill(errors, own_errors),
        "ece": np.abs(gaps).sum(axis=1) / n,
        ECE_NOISE: np.abs(gaps - sample_gaps).sum(axis=1) / n,
    }


def skill(squared: FloatArray, reference: FloatArray) -> FloatArray:
    """1 less the ratio of two sums of squared errors; NaN where the reference has none."""
    ratio = np.full(squared.shape, np.nan)
    np.divide(squared, reference, out=ratio, where=reference > 0)
    return 1 - ratio


def binary_decisions(
    hits: FloatArray, false_alarms: FloatArray, events: FloatArray, others: FloatArray
) -> dict[str, FloatArray]:
    """Seven metrics of binary decisions for ``[b]`` draws, 0 where a denominator is 0.

    ``hits`` and ``false_alarms`` are decisions for the event that came and did not come true,
    ``events`` and ``others`` the rows with and without it.
    """
    rejected = others - false_alarms
    positive, negative = hits + false_alarms, events - hits + rejected
    recall, specificity = ratio(hits, events), ratio(rejected, others)
    spread = np.sqrt(positive) * np.sqrt(negative) * np.sqrt(events) * np.sqrt(others)
    return {
        "accuracy": ratio(hits + rejected, events + others),
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": ratio(hits, positive),
        "recall": recall,
        "specificity": specificity,
        "f1": ratio(2 * hits, positive + events),
        "mcc": ratio(hits * rejected - false_alarms * (events - hits), spread),
    }


def multiclass_decisions(matrix: FloatArray) -> dict[str, FloatArray]:
    """Metrics of decisions among K labels, 0 where a denominator is 0.

    ``matrix`` ``[b, K, K]`` counts rows by what came true (first) and what was decided (last).
    Labels without a row count in neither mean.
    """
    right = np.einsum("bkk->bk", matrix)
    true, decided = matrix.sum(axis=2), matrix.sum(axis=1)
    n = true.sum(axis=1)
    present = true > 0
    labels = np.maximum(present.sum(axis=1), 1)
    f1 = ratio(2 * right, true + decided)
    # Gorodkin 2004: the correlation of two partitions.
    covariance = right.sum(axis=1) * n - (true * decided).sum(axis=1)
    spread = np.sqrt(n**2 - (decided**2).sum(axis=1)) * np.sqrt(n**2 - (true**2).sum(axis=1))
    return {
        "accuracy": ratio(right.sum(axis=1), n),
        "balanced_accuracy": np.where(present, ratio(right, true), 0).sum(axis=1) / labels,
        "macro_f1": np.where(present, f1, 0).sum(axis=1) / labels,
        "mcc": ratio(covariance, spread),
    }


def ap_of_decisions(
    hits: FloatArray, false_alarms: FloatArray, events: FloatArray, others: FloatArray
) -> FloatArray:
    """Average precision where decisions stand in for scores: two distinct scores, 0 and 1."""
    recall = ratio(hits, events)
    precision = ratio(hits, hits + false_alarms)
    return recall * precision + (1 - recall) * ratio(events, events + others)


def ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    """``over / under``, 0 where ``under`` is 0 (scikit-learn's ``zero_division=0``)."""
    return np.divide(
        over, under, out=np.zeros(np.broadcast_shapes(over.shape, under.shape)), where=under > 0
    )


def running(counts: CountArray) -> CountArray:
    """Counts so far, from none: ``[b, n]`` to ``[b, n + 1]``."""
    total = np.empty((len(counts), counts.shape[1] + 1), dtype=np.int32)
    total[:, 0] = 0
    np.cumsum(counts, axis=1, out=total[:, 1:])
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The rank of each row with the event among the others; scores ascend in both groups.

    ``below`` is the number of rows without the event that score less, ``up_to`` those that score
    no more, ``own`` the number of rows with the event that score less: ``[n1]`` each, None where
    it says nothing new (no ties).
    """

    below: IntArray
    up_to: IntArray | None
    own: IntArray | None

    @classmethod
    def of(cls, without: FloatArray, event: FloatArray) -> Self:
        """From sorted scores of the rows without and with the event."""
        below = np.searchsorted(without, event, side="left")
        up_to = np.searchsorted(without, event, side="right")
        own = np.searchsorted(event, event, side="left")
        tied = bool((np.diff(event) == 0).any())
        return cls(below, None if np.array_equal(below, up_to) else up_to, own if tied else None)

    def roc_auc(self, counts: FloatArray, without: CountArray) -> FloatArray:
        """Area under the ROC curve, ties counting half (Mann-Whitney).

        ``counts`` ``[b, n1]`` are of rows with the event, ``without`` ``[b, n0 + 1]`` the running
        counts of the others.
        """
        beaten = without.take(self.below, axis=1).astype(np.float64)
        if self.up_to is not None:
            beaten += without.take(self.up_to, axis=1)
            beaten /= 2
        pairs = np.maximum(counts.sum(axis=1) * without[:, -1].astype(np.float64), 1)
        return np.asarray(np.einsum("bi,bi->b", counts, beaten) / pairs)

    def average_precision(
        self, counts: FloatArray, own: CountArray, without: CountArray
    ) -> FloatArray:
        """Sum of precision times the gain in recall over distinct scores, as scikit-learn's.

        ``own`` ``[b, n1 + 1]`` and ``without`` ``[b, n0 + 1]`` are running counts.
        """
        lower = own[:, :-1] if self.own is None else own.take(self.own, axis=1)
        hits = own[:, -1:] - lower
        decided = without[:, -1:] - without.take(self.below, axis=1)
        decided += hits
        # Where nothing of a draw scores as much, there is no hit either.
        np.maximum(decided, 1, out=decided)
        return np.asarray(np.einsum("bi,bi->b", counts, hits / decided) / own[:, -1])
