"""Thresholds: chosen on any split but a test split, and applied."""

from collections.abc import Callable

import numpy as np

from llm4top.errors import EvaluationError, ScoreError, SealedTestError, TooFewRowsError
from llm4top.evaluation.metrics.counts import binary_decisions
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores

CHOICES = ("f1", "accuracy", "balanced_accuracy", "mcc")
"""Metrics that a threshold can be chosen by: none is perfect for a constant decision."""
_DEFAULT = 0.5


def choose_threshold(scores: Scores, *, metric: str = "f1") -> float:
    """The threshold of the event's probability with the highest ``metric`` on these rows.

    Candidates are halfway between neighbouring scores, and 0 (every row is decided for). Of equally
    good ones the nearest to .5 is taken, the lower of two.

    Args:
        scores: Scores of a binary task, not of a test split.
        metric: One of ``CHOICES``.

    Raises:
        SealedTestError: The scores are of a test split.
        ScoreError: There are more than two labels.
        EvaluationError: The metric is none of ``CHOICES``.
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
    """Decisions ``[n]`` by thresholds that were chosen on other rows (cross-fitting).

    Rows are split into folds, stratified by label; each fold is decided by the threshold of the
    others. So a validation split can both choose a threshold and measure it.

    Args:
        scores: Scores of a binary task, not of a test split.
        metric: One of ``CHOICES``.
        folds: Number of folds; fewer where the rarer label has fewer rows.
        seed: Seed of the split.

    Raises:
        TooFewRowsError: A label has only one row, or ``folds`` is below 2; and what
            ``choose_threshold`` raises.
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


def cross_fitted_or_half(scores: Scores, seed: int) -> tuple[IntArray | None, str]:
    """``cross_fitted_decisions``, or None and a note where they cannot be made.

    None decides at .5, or for the most probable of more than two labels.
    """
    if len(scores.labels) != 2:
        return None, ""
    try:
        return cross_fitted_decisions(scores, seed=seed), ""
    except EvaluationError as error:
        return None, at_half(error.message)


def chosen_or_half(valid: Callable[[], Scores]) -> tuple[float | None, str]:
    """``choose_threshold`` with a note that states it, or None and a note why there is none.

    ``valid`` makes the validation scores; rows that cannot be measured give no threshold either.
    """
    try:
        threshold = choose_threshold(valid())
    except ScoreError:
        raise
    except EvaluationError as error:
        return None, at_half(error.message)
    return threshold, f"Threshold {threshold:.3g}, chosen on the validation split."


def at_half(why: str) -> str:
    """The note of a forecaster that is decided at .5."""
    return f"Decided at .5: no threshold could be chosen on validation rows ({why.rstrip('.')})."


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
