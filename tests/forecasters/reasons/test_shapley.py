"""Shapley values against their definition."""

from itertools import permutations

import numpy as np
import pytest

from llm4top.forecasters.reasons.shapley import shapley_values


def game(n, seed=0):
    """A random function of sets of ``n`` players, and what it was asked."""
    table = np.random.default_rng(seed).normal(size=2**n)

    def function(masks):
        return table[masks.astype(int) @ (2 ** np.arange(n))]

    return function


def by_definition(function, n):
    orders = list(permutations(range(n)))
    found = np.zeros(n)
    for order in orders:
        there = np.zeros(n, dtype=bool)
        for player in order:
            before = function(there[None])[0]
            there[player] = True
            found[player] += function(there[None])[0] - before
    return found / len(orders)


@pytest.mark.parametrize("n", range(7))
def test_few_players_are_exact_and_follow_the_definition(n):
    function = game(n)
    found = shapley_values(function, n)
    assert found.exact
    assert found.asked == 2**n
    assert found.values == pytest.approx(by_definition(function, n), abs=1e-12)
    assert found.values.sum() == pytest.approx(found.full - found.empty, abs=1e-9)
    assert (found.lower == found.values).all()


def test_more_players_are_sampled_add_up_and_lie_in_their_intervals():
    function, n = game(7), 7
    truth = by_definition(function, n)
    held = []
    for seed in range(20):
        found = shapley_values(function, n, samples=32, seed=seed)
        assert not found.exact
        assert found.values.sum() == pytest.approx(found.full - found.empty, abs=1e-9)
        held.append((found.lower <= truth) & (truth <= found.upper))
    assert np.mean(held) >= 0.9


def test_additive_players_are_exact_in_every_sample():
    weights = np.arange(9.0) - 3
    found = shapley_values(lambda masks: masks @ weights, 9, samples=4)
    assert found.values == pytest.approx(weights, abs=1e-12)
    assert (found.upper - found.lower < 1e-9).all()


def test_the_seed_decides_and_equal_sets_are_asked_once():
    asked = []

    def function(masks):
        asked.append(masks)
        return game(8)(masks)

    one, same, other = (shapley_values(function, 8, samples=8, seed=s) for s in (1, 1, 2))
    assert (one.values == same.values).all()
    assert (one.values != other.values).any()
    assert len(np.unique(asked[0], axis=0)) == len(asked[0]) == one.asked


@pytest.mark.parametrize("samples", [2, 7])
def test_a_number_of_samples_that_cannot_be_is_refused(samples):
    with pytest.raises(ValueError, match=f"samples is {samples}; it must be an even number"):
        shapley_values(game(7), 7, samples=samples)
