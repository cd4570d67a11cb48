"""Thresholds: chosen well, and never on a test split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from llm4top.errors import EvaluationError, ScoreError, SealedTestError, TooFewRowsError
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.threshold import (
    CHOICES,
    _deal,
    choose_threshold,
    cross_fitted_decisions,
    decide,
)
from tests.evaluation.kit import binary_scores, invented
from tests.profiles import examples

METRIC: dict[str, Callable[[Any, Any], float]] = {
    "f1": lambda y, said: reference.f1_score(y, said, zero_division=0),
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "mcc": reference.matthews_corrcoef,
}


@pytest.mark.parametrize("metric", CHOICES)
@pytest.mark.parametrize("decimals", [None, 1])
def test_no_other_threshold_is_better(metric: str, decimals: int | None) -> None:
    p, y = invented(150, decimals=decimals, seed=5)
    scores = binary_scores(p, y)
    threshold = choose_threshold(scores, metric=metric)
    achieved = METRIC[metric](y, decide(scores, threshold))
    best = max(METRIC[metric](y, p >= t) for t in [0, *np.unique(p)])
    assert achieved == pytest.approx(best, abs=1e-12)


def test_a_threshold_lies_between_scores() -> None:
    scores = binary_scores(np.array([0.1, 0.3, 0.6, 0.8]), np.array([0, 0, 1, 1]))
    assert choose_threshold(scores) == pytest.approx(0.45)
    assert decide(scores, 0.45).tolist() == [0, 0, 1, 1]


def test_of_equally_good_thresholds_the_one_nearest_to_half_is_taken() -> None:
    # Right is 3 of 4 at .15, .45 and .8.
    scores = binary_scores(np.array([0.1, 0.2, 0.7, 0.9]), np.array([0, 1, 0, 1]))
    assert choose_threshold(scores, metric="accuracy") == pytest.approx(0.8)
    constant = binary_scores(np.full(4, 0.3), np.array([0, 1, 1, 1]))
    assert choose_threshold(constant) == 0
    assert decide(constant, 0).tolist() == [1, 1, 1, 1]


def test_neighbours_among_numbers_are_told_apart() -> None:
    low = 0.3
    high = float(np.nextafter(low, 1))
    scores = binary_scores(np.array([low, high]), np.array([0, 1]))
    assert decide(scores, choose_threshold(scores)).tolist() == [0, 1]


@pytest.mark.parametrize("choose", [choose_threshold, cross_fitted_decisions])
def test_a_test_split_is_sealed(choose: Callable[[Scores], Any]) -> None:
    p, y = invented(20)
    with pytest.raises(SealedTestError) as raised:
        choose(binary_scores(p, y, split="test"))
    assert str(raised.value) == (
        "model, test split: a threshold is never chosen on a test split. "
        "Choose it on the validation split and decide by it here."
    )
    assert decide(binary_scores(p, y, split="test"), 0.5).sum() > 0


@pytest.mark.parametrize("choose", [choose_threshold, cross_fitted_decisions])
def test_an_unknown_metric_is_refused(choose: Callable[..., Any]) -> None:
    p, y = invented(20)
    with pytest.raises(EvaluationError, match=r"by 'recall'\. Choose by one of: f1, accuracy"):
        choose(binary_scores(p, y), metric="recall")


def test_a_threshold_is_a_probability() -> None:
    p, y = invented(20)
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(EvaluationError, match="is not a probability"):
            decide(binary_scores(p, y), wrong)


def test_many_labels_have_no_threshold() -> None:
    three = Scores(
        "m", "valid", ("a", "b", "c"), np.full((3, 3), 1 / 3), np.arange(3), tuple("abc")
    )
    for use in (choose_threshold, cross_fitted_decisions, lambda s: decide(s, 0.5)):
        with pytest.raises(ScoreError, match="only a binary task has an event"):
            use(three)


def test_a_row_does_not_choose_the_threshold_that_judges_it() -> None:
    p, y = invented(60, seed=7, skill=0.5)
    scores = binary_scores(p, y)
    decisions = cross_fitted_decisions(scores, seed=1)
    assert np.array_equal(decisions, cross_fitted_decisions(scores, seed=1))
    part = _deal(y, 5, np.random.default_rng(1))
    for k in range(5):
        threshold = choose_threshold(scores.take(part != k))
        assert np.array_equal(decisions[part == k], (p[part == k] >= threshold).astype(int))
    for label in (0, 1):
        sizes = np.bincount(part[y == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1


def test_cross_fitting_flatters_less_than_choosing_on_the_same_rows() -> None:
    gaps = []
    for seed in range(30):
        p, y = invented(60, seed=seed, skill=0.0)
        scores = binary_scores(p, y)
        chosen = decide(scores, choose_threshold(scores, metric="accuracy"))
        crossed = cross_fitted_decisions(scores, metric="accuracy")
        gaps.append((chosen == y).mean() - (crossed == y).mean())
    assert np.mean(gaps) > 0.03


def test_folds_are_fewer_where_a_label_is_rare() -> None:
    y = np.array([0] * 10 + [1] * 2)
    p = np.linspace(0.1, 0.9, 12)
    assert cross_fitted_decisions(binary_scores(p, y)).shape == (12,)
    with pytest.raises(TooFewRowsError, match="two rows or more of each label"):
        cross_fitted_decisions(binary_scores(p, np.array([0] * 11 + [1])))
    with pytest.raises(TooFewRowsError, match="Give two folds or more"):
        cross_fitted_decisions(binary_scores(p, y), folds=1)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=2, max_size=40).filter(
        lambda rows: 0 < sum(y for _, y in rows) < len(rows)
    ),
    st.sampled_from(CHOICES),
)
@examples(80)
def test_the_best_threshold_of_any_rows(rows: list[tuple[int, int]], metric: str) -> None:
    p, y = np.array(rows, dtype=float).T
    scores = binary_scores(p / 20, y.astype(int))
    decided = decide(scores, choose_threshold(scores, metric=metric))
    best = max(METRIC[metric](y, scores.event >= t) for t in np.unique(scores.event))
    assert METRIC[metric](y, decided) == pytest.approx(best, abs=1e-9)
