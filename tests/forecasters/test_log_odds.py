"""Log-odds and softmax are those of SciPy."""

import numpy as np
import pytest
from scipy import special

from llm4top.forecasters import log_odds

NUMBERS = np.array([-800.0, -40.0, -1.5, -1e-12, 0.0, 1e-12, 0.3, 36.0, 800.0])
ROWS = np.random.default_rng(0).normal(scale=[[1.0], [30.0], [500.0]], size=(3, 4))


def test_probabilities_of_log_odds() -> None:
    for numbers in (NUMBERS, np.array([-np.inf, np.inf, np.nan])):
        np.testing.assert_allclose(log_odds.expit(numbers), special.expit(numbers), rtol=1e-12)
    assert log_odds.expit(0.5) == pytest.approx(special.expit(0.5), abs=1e-16)


def test_log_odds_of_probabilities() -> None:
    chances = np.array([0.0, 1e-300, 1e-9, 0.2, 0.5, 1 - 1e-9, 1.0, np.nan, 2.0])
    np.testing.assert_allclose(log_odds.logit(chances), special.logit(chances), rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_and_softmax(axis: int) -> None:
    expected = special.logsumexp(ROWS, axis=axis)
    np.testing.assert_allclose(log_odds.logsumexp(ROWS, axis=axis), expected, rtol=1e-14)
    expected = special.log_softmax(ROWS, axis=axis)
    np.testing.assert_allclose(log_odds.log_softmax(ROWS, axis=axis), expected, rtol=1e-14)


def test_an_impossible_label_has_no_chance() -> None:
    found = log_odds.log_softmax([[0.0, -np.inf, 0.0]], axis=1)
    np.testing.assert_allclose(np.exp(found), [[0.5, 0.0, 0.5]])
