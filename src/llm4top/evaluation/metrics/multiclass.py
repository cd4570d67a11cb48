"""All metrics of a task with more than two labels from counts."""

import numpy as np

from llm4top.evaluation.metrics.bootstrap import CountArray, grouped
from llm4top.evaluation.metrics.counts import (
    BinnedGaps,
    Ranking,
    log_losses,
    multiclass_decisions,
    probability_metrics,
    running,
    squared_errors,
    total,
)
from llm4top.evaluation.predictions import FloatArray, IntArray


class MulticlassStatistic:
    """The metrics of draws of the same rows; the rows are sorted once for each label."""

    def __init__(
        self,
        probabilities: FloatArray,
        y: IntArray,
        *,
        decisions: IntArray | None = None,
        reference: FloatArray | None = None,
    ):
        """As ``measure`` takes them."""
        order = grouped(y)
        p, truth = probabilities[order], y[order]
        self._k, self._n = p.shape[1], len(y)
        most_probable = p.argmax(axis=1)
        decided = most_probable if decisions is None else decisions[order]
        self._cells = truth * self._k + decided
        self._losses = log_losses(p, truth)
        self._errors = squared_errors(p, truth)
        self._base_errors = None if reference is None else squared_errors(reference[order], truth)
        confidence = p.max(axis=1)
        self._by_confidence = np.argsort(confidence, kind="stable")
        right = (most_probable == truth).astype(np.float64)
        self._gaps = BinnedGaps(confidence[self._by_confidence], right[self._by_confidence])
        self._own_gaps = self._gaps.sums(np.ones((1, self._n)))
        self._rankings = [_ranked(p[:, k], truth == k) for k in range(self._k)]

    def stratified(self, drawn: CountArray) -> dict[str, FloatArray]:
        """What does not depend on the prevalences: the ROC-AUC."""
        return {"roc_auc": np.mean([self._area(drawn, k) for k in range(self._k)], axis=0)}

    def ordinary(self, drawn: CountArray) -> dict[str, FloatArray]:
        """All other metrics; a draw may lack a label."""
        counts = drawn.astype(np.float64)
        matrix = self._matrix(counts)
        shares = matrix.sum(axis=2) / self._n
        base_errors = self._base_errors
        return multiclass_decisions(matrix) | probability_metrics(
            total(counts, self._losses),
            total(counts, self._errors),
            None if base_errors is None else total(counts, base_errors),
            self._n * (1 - (shares**2).sum(axis=1)),
            self._gaps.sums(counts.take(self._by_confidence, axis=1)),
            self._own_gaps,
            self._n,
        )

    def _matrix(self, counts: FloatArray) -> FloatArray:
        cells = self._k**2
        matrix = [np.bincount(self._cells, weights=draw, minlength=cells) for draw in counts]
        return np.asarray(matrix, dtype=np.float64).reshape(-1, self._k, self._k)

    def _area(self, counts: CountArray, k: int) -> FloatArray:
        rest, own, ranking = self._rankings[k]
        if not len(rest) or not len(own):
            return np.full(len(counts), np.nan)
        with_label = counts.take(own, axis=1).astype(np.float64)
        return ranking.roc_auc(with_label, running(counts.take(rest, axis=1)))


def _ranked(p: FloatArray, event: np.ndarray) -> tuple[IntArray, IntArray, Ranking]:
    """Rows without and with the event by score, and where the latter stand."""
    order = np.argsort(p, kind="stable").astype(np.int64)
    rest, own = order[~event[order]], order[event[order]]
    return rest, own, Ranking.of(p[rest], p[own])
