"""All metrics of a task with more than two labels from counts."""

from __future__ import annotations

import numpy as np

from llm4top.evaluation.metrics.bootstrap import CountArray, grouped
from llm4top.evaluation.metrics.counts import (
    ECE_NOISE,
    BinnedGaps,
    Ranking,
    decisions_of_many,
    log_losses,
    running,
    skill,
    squared_errors,
    total,
)
from llm4top.evaluation.predictions import FloatArray, IntArray


class ManyStatistic:
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
        likeliest = p.argmax(axis=1)
        decided = likeliest if decisions is None else decisions[order]
        self._cells = truth * self._k + decided
        self._losses = log_losses(p, truth)
        self._errors = squared_errors(p, truth)
        self._base_errors = None if reference is None else squared_errors(reference[order], truth)
        trust = p.max(axis=1)
        self._by_trust = np.argsort(trust, kind="stable")
        right = (likeliest == truth).astype(np.float64)
        self._gaps = BinnedGaps(trust[self._by_trust], right[self._by_trust])
        self._own_gaps = self._gaps.sums(np.ones((1, self._n)))
        self._rankings = [_ranked(p[:, k], truth == k) for k in range(self._k)]

    def stratified(self, drawn: CountArray) -> dict[str, FloatArray]:
        """What does not depend on the prevalences: the ROC-AUC."""
        return {"roc_auc": np.mean([self._area(drawn, k) for k in range(self._k)], axis=0)}

    def ordinary(self, drawn: CountArray) -> dict[str, FloatArray]:
        """All other metrics; a draw may lack a label."""
        counts = drawn.astype(np.float64)
        errors = total(counts, self._errors)
        none = np.full(len(errors), np.nan)
        matrix = self._matrix(counts)
        shares = matrix.sum(axis=2) / self._n
        gaps = self._gaps.sums(counts.take(self._by_trust, axis=1))
        return {
            **decisions_of_many(matrix),
            "log_loss": total(counts, self._losses) / self._n,
            "brier": errors / self._n,
            "brier_skill": (
                none
                if self._base_errors is None
                else skill(errors, total(counts, self._base_errors))
            ),
            "brier_skill_own": skill(errors, self._n * (1 - (shares**2).sum(axis=1))),
            "ece": np.abs(gaps).sum(axis=1) / self._n,
            ECE_NOISE: np.abs(gaps - self._own_gaps).sum(axis=1) / self._n,
        }

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
