"""All metrics of draws of the same rows, from counts: of binary tasks and of several labels."""

import numpy as np

from llm4top.evaluation.metrics.bootstrap import CountArray, grouped
from llm4top.evaluation.metrics.counts import (
    BinnedGaps,
    Ranking,
    ap_of_decisions,
    binary_decisions,
    log_losses,
    multiclass_decisions,
    probability_metrics,
    running,
    squared_errors,
    total,
)
from llm4top.evaluation.predictions import FloatArray, IntArray


class BinaryStatistic:
    """The metrics of draws of the same rows; the rows are sorted once.

    Rows without the event and rows with it are held separately, each in ascending order of scores.
    """

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
        none = int((y == 0).sum())
        event = probabilities[order, 1]
        self._without_order = np.argsort(event[:none], kind="stable")
        self._event_order = none + np.argsort(event[none:], kind="stable")
        rows = order[np.concatenate([self._without_order, self._event_order])]
        self._n = len(y)
        self._none = none
        without, events = probabilities[rows[:none], 1], probabilities[rows[none:], 1]
        self._ranking = Ranking.of(without, events)
        self._half = (int(np.searchsorted(without, 0.5)), int(np.searchsorted(events, 0.5)))
        self._gaps = (
            BinnedGaps(without, np.zeros(none)),
            BinnedGaps(events, np.ones(self._n - none)),
        )
        self._own_gaps = self._gaps[0].sums(np.ones((1, none)))
        self._own_gaps += self._gaps[1].sums(np.ones((1, self._n - none)))
        self._losses = log_losses(probabilities, y)[rows]
        self._errors = squared_errors(probabilities, y)[rows]
        self._base_errors = None if reference is None else squared_errors(reference, y)[rows]
        self._decided = None if decisions is None else (decisions[rows] == 1).astype(np.float64)

    def stratified(self, counts: CountArray) -> dict[str, FloatArray]:
        """What does not depend on the prevalence: the ROC-AUC."""
        without = running(counts.take(self._without_order, axis=1))
        event = counts.take(self._event_order, axis=1).astype(np.float64)
        one_sided = (event.sum(axis=1) == 0) | (without[:, -1] == 0)
        return {"roc_auc": np.where(one_sided, np.nan, self._ranking.roc_auc(event, without))}

    def ordinary(self, counts: CountArray) -> dict[str, FloatArray]:
        """All other metrics; a draw may have rows of one label alone."""
        drawn = [counts.take(rows, axis=1) for rows in (self._without_order, self._event_order)]
        without, event = map(running, drawn)
        without_counts, event_counts = (one.astype(np.float64) for one in drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = self._ranking.average_precision(event_counts, event, without)
            return {
                "average_precision": precision,
                "lift": precision * self._n / event[:, -1],
                **self._decisions(without_counts, event_counts, without, event),
                **self._forecasts(without_counts, event_counts, event[:, -1] / self._n),
            }

    def _decisions(
        self,
        without_counts: FloatArray,
        event_counts: FloatArray,
        without: CountArray,
        event: CountArray,
    ) -> dict[str, FloatArray]:
        events, others = (one[:, -1].astype(np.float64) for one in (event, without))
        hits = events - event[:, self._half[1]]
        alarms = others - without[:, self._half[0]]
        half = binary_decisions(hits, alarms, events, others)
        chosen = half
        if self._decided is not None:
            chosen = binary_decisions(
                total(event_counts, self._decided[self._none :]),
                total(without_counts, self._decided[: self._none]),
                events,
                others,
            )
        return {
            **chosen,
            **{f"{name}_at_half": value for name, value in half.items()},
            "ap_decisions": ap_of_decisions(hits, alarms, events, others),
        }

    def _forecasts(
        self, without_counts: FloatArray, event_counts: FloatArray, prevalence: FloatArray
    ) -> dict[str, FloatArray]:
        def both(terms: FloatArray) -> FloatArray:
            first = total(without_counts, terms[: self._none])
            return first + total(event_counts, terms[self._none :])

        return probability_metrics(
            both(self._losses),
            both(self._errors),
            None if self._base_errors is None else both(self._base_errors),
            self._n * prevalence * (1 - prevalence),
            self._gaps[0].sums(without_counts) + self._gaps[1].sums(event_counts),
            self._own_gaps,
            self._n,
        )


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
    """Rows without and with the event by score, and the ranking of the latter."""
    order = np.argsort(p, kind="stable").astype(np.int64)
    rest, own = order[~event[order]], order[event[order]]
    return rest, own, Ranking.of(p[rest], p[own])
