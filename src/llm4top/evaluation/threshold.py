"""Choosing a threshold, on anything but a test split, and deciding by it."""

from __future__ import annotations

import numpy as np

from llm4top.errors import EvaluationError, SealedTestError, TooFewRowsError
from llm4top.evaluation.metrics.counts import binary_decisions
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores

CHOICES = ("f1", "accuracy", "balanced_accuracy", "mcc")
"""What a threshold can be chosen by: metrics that no one-sided rule makes perfect."""
_DEFAULT = 0.5


def choose_threshold(scores: Scores, *, metric: str = "f1") -> float:
    """The threshold of the event's probability with the highest ``metric`` on these rows.

    Thresholds lie halfway between neighbouring scores, or at 0 (every row is decided for); of
    equally good ones the nearest to .5 is taken, the lower of two.

    Raises ``SealedTestError`` for scores of a test split, ``ScoreError`` with more than two
    labels, ``EvaluationError`` for a metric that is none of ``CHOICES``.
    """
    _refuse_test(scores)
    _check_metric(metric)
    event = scores.event
    order = np.argsort(event, kind="stable")
    ascending = event[order]
    firsts = np.flatnonzero(np.diff(ascending, prepend=-1.0) > 0)
    thresholds = np.zeros(len(firsts))
    thresholds[1:] = _between(ascending[firsts[1:] - 1], ascending[firsts[1:]])
    hits_below = np.concatenate([[0], np.cumsum(scores.y[order])])[firsts].astype(np.float64)
    events = np.full(len(firsts), float(scores.y.sum()))
    others = len(scores) - events
    hits = events - hits_below
    alarms = others - (firsts - hits_below)
    achieved = binary_decisions(hits, alarms, events, others)[metric]
    best = thresholds[achieved >= achieved.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - _DEFAULT))])


def decide(scores: Scores, threshold: float) -> IntArray:
    """1 where the event's probability is ``threshold`` or more, else 0: ``[n]``.

    Raises ``ScoreError`` with more than two labels, ``EvaluationError`` for a threshold that is
    no probability.
    """
    if not 0 <= threshold <= 1:
        raise EvaluationError(
            f"the threshold {threshold} is not a probability.", where=scores.where
        )
    return (scores.event >= threshold).astype(np.int64)


def cross_fitted_decisions(
    scores: Scores, *, metric: str = "f1", folds: int = 5, seed: int = 0
) -> IntArray:
    """Decisions by thresholds chosen on other rows: ``[n]``.

    Rows are dealt to ``folds`` parts (fewer where the rarer label has fewer rows), each label
    evenly; a part is judged by the threshold of the rest. So a validation split can both choose a
    threshold and say what it is worth.

    Raises what ``choose_threshold`` raises, and ``TooFewRowsError`` where a label has one row or
    fewer than two folds are asked for.
    """
    _refuse_test(scores)
    _check_metric(metric)
    event = scores.event
    folds = min(folds, int(np.bincount(scores.y).min()))
    if folds < 2:
        raise TooFewRowsError(
            "a threshold cannot be chosen on other rows than it judges.",
            where=scores.where,
            hint="Give two folds or more, and two rows or more of each label.",
        )
    part = _deal(scores.y, folds, np.random.default_rng(seed))
    thresholds = np.array(
        [choose_threshold(scores.take(part != k), metric=metric) for k in range(folds)]
    )
    return (event >= thresholds[part]).astype(np.int64)


def _deal(y: IntArray, folds: int, rng: np.random.Generator) -> IntArray:
    part = np.empty(len(y), dtype=np.int64)
    for label in range(int(y.max()) + 1):
        rows = np.flatnonzero(y == label)
        part[rng.permutation(rows)] = np.arange(len(rows)) % folds
    return part


def _between(low: FloatArray, high: FloatArray) -> FloatArray:
    """Halfway, yet above ``low`` where the two are neighbours among floating-point numbers."""
    middle = low + (high - low) / 2
    return np.where(middle > low, middle, high)


def _refuse_test(scores: Scores) -> None:
    if scores.split == "test":
        raise SealedTestError(
            "a threshold is never chosen on a test split.",
            where=scores.where,
            hint="Choose it on the validation split and decide by it here.",
        )


def _check_metric(metric: str) -> None:
    if metric not in CHOICES:
        raise EvaluationError(
            f"a threshold cannot be chosen by {metric!r}.",
            hint=f"Choose by one of: {', '.join(CHOICES)}.",
        )
