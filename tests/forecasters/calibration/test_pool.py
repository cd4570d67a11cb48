"""Pools of forecasters: the fit against scikit-learn's, cross-fitting, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from llm4top.errors import CalibrationError
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.calibration.pool import (
    FLOOR,
    LogPool,
    cross_pool,
    fit_pool,
    log_probabilities,
)


def two_sources(n=3000, seed=0, noise=(1.0, 1.5)):
    """Log-odds of an event with independent noise, each half of the truth: ``[n, 2]`` each."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(0, 1, (2, n))
    y = (rng.random(n) < 1 / (1 + np.exp(-parts.sum(axis=0)))).astype(int)
    sources = {
        name: np.stack([np.zeros(n), part + rng.normal(0, s, n)], axis=1)
        for name, part, s in zip(("a", "b"), parts, noise, strict=True)
    }
    return sources, y


def loss(p, y):
    return -np.log(p[np.arange(len(y)), y]).mean()


def test_equal_weights_are_the_mean_of_the_log_odds():
    sources, _ = two_sources(50)
    pool = LogPool.equal([*sources], 2)
    assert (pool.n, pool.weights, pool.offsets) == (0, (0.5, 0.5), (0.0, 0.0))
    odds = np.mean([array[:, 1] - array[:, 0] for array in sources.values()], axis=0)
    pooled = softmax(pool.logits([*sources.values()]))
    np.testing.assert_allclose(pooled[:, 1], 1 / (1 + np.exp(-odds)))


def test_two_labels_are_logistic_regression_on_the_log_odds():
    sources, y = two_sources()
    pool = fit_pool(sources, y)
    odds = np.stack([s[:, 1] - s[:, 0] for s in sources.values()], axis=1)
    free = LogisticRegression(C=1e6, tol=1e-10).fit(odds, y)
    # The pool's penalty is half a squared unit in all, next to thousands of rows.
    assert pool.weights == pytest.approx(free.coef_[0], abs=2e-3)
    assert pool.offsets == pytest.approx((0.0, free.intercept_[0]), abs=2e-3)
    assert pool.sources == ("a", "b")
    assert pool.n == 3000
    found = softmax(pool.logits(list(sources.values())))[:, 1]
    assert found == pytest.approx(free.predict_proba(odds)[:, 1], abs=2e-3)


def test_a_source_that_ranks_backwards_gets_no_weight():
    sources, y = two_sources()
    pool = fit_pool({"a": sources["a"], "turned over": -sources["b"]}, y)
    assert pool.weights[1] == 0.0
    assert pool.weights[0] > 0.2


def test_a_pool_of_both_beats_either_and_a_copy_adds_nothing():
    sources, y = two_sources()
    both = loss(cross_pool(sources, y), y)
    alone = [loss(cross_pool({name: s}, y), y) for name, s in sources.items()]
    assert both < min(alone) - 0.005
    twice = loss(cross_pool({"a": sources["a"], "copy": sources["a"]}, y), y)
    assert twice == pytest.approx(alone[0], abs=1e-4)


def test_more_labels():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 600)
    truth = rng.normal(np.eye(3)[y] * 2, 1.0)
    pool = fit_pool({"sharp": truth * 4, "noise": rng.normal(size=(600, 3))}, y)
    assert pool.weights[0] == pytest.approx(0.5, abs=0.1)  # the sharp one is overconfident
    assert pool.weights[1] < 0.2
    assert len(pool.offsets) == 3
    assert pool.logits([truth, truth]).shape == (600, 3)
    # A shift common to a trial's logits means nothing.
    assert pool.logits([truth + 7, truth]) == pytest.approx(pool.logits([truth, truth]))


def test_no_row_is_pooled_by_a_fit_that_saw_it():
    sources, y = two_sources(n=200)
    found = cross_pool(sources, y, seed=3)
    for rest, fold in StratifiedKFold(5, shuffle=True, random_state=3).split(y, y):
        pool = fit_pool({name: s[rest] for name, s in sources.items()}, y[rest])
        expected = softmax(pool.logits([s[fold] for s in sources.values()]))
        assert found[fold] == pytest.approx(expected, abs=0)


def test_a_calibration_can_follow_in_the_same_folds():
    sources, y = two_sources(n=600)
    p = cross_pool(sources, y, calibrator=make_calibrator("platt"))
    assert p.sum(axis=1) == pytest.approx(1.0)
    assert loss(p, y) == pytest.approx(loss(cross_pool(sources, y), y), abs=0.02)


def test_a_certain_baseline_is_taken_to_be_nearly_certain():
    logits = log_probabilities([[0.0, 1.0], [0.3, 0.7]])
    assert np.exp(logits[0]) == pytest.approx([FLOOR / (1 + FLOOR), 1 / (1 + FLOOR)])
    assert np.exp(logits[1]) == pytest.approx([0.3, 0.7])


def test_what_cannot_be_pooled_is_refused():
    sources, y = two_sources(n=100)
    pool = fit_pool(sources, y)
    a = sources["a"]
    with pytest.raises(CalibrationError, match=r"1 forecasters for a pool of 2\. It pools: a, b"):
        pool.logits([a])
    with pytest.raises(CalibrationError, match="different numbers of trials"):
        pool.logits([a, a[:50]])
    with pytest.raises(CalibrationError, match="about 3 labels"):
        pool.logits([np.zeros((4, 3)), np.zeros((4, 3))])
    with pytest.raises(CalibrationError, match="10 rows are too few"):
        fit_pool({"a": a[:10]}, y[:10])
    with pytest.raises(CalibrationError, match="40 folds cannot be drawn"):
        cross_pool({"a": a}, np.r_[np.zeros(80, int), np.ones(20, int)], folds=40)


def test_a_stored_pool_is_checked():
    sources, y = two_sources(n=100)
    stored = fit_pool(sources, y).model_dump(mode="json")
    assert LogPool.model_validate(stored) == fit_pool(sources, y)
    for broken in (
        {"weights": [0.5]},
        {"weights": [0.5, -0.1]},
        {"offsets": [0.0]},
        {"offsets": [0.0, float("nan")]},
        {"more": 1},
    ):
        with pytest.raises(ValidationError):
            LogPool.model_validate({**stored, **broken})
