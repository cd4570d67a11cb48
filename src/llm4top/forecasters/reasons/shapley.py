"""Shapley values of a function of sets: exact for few players, else by sampled permutations.

The Shapley value of a player is the mean, over all orders in which the players can come, of what
the function gains when the player joins those before it (Shapley, 1953; sampled as by Castro,
Gomez & Tejada, Polynomial calculation of the Shapley value based on sampling, 2009, with each
permutation also in reverse, which makes their errors cancel in part). In each order the gains add
up to the function of all players less that of none, so the values do as well, sampled or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

FloatArray = NDArray[np.float64]
Masks = NDArray[np.bool_]
SetFunction = Callable[[Masks], FloatArray]
"""From sets ``[m, n]``, a column a player, to values ``[m]``."""

MOST_EXACT = 6
"""Players for which all sets are asked: 64 sets."""
SAMPLES = 16
"""Permutations of more players, each second one the reverse of the one before."""


@dataclass(frozen=True, slots=True, eq=False)
class ShapleyValues:
    """Shapley values.

    Attributes:
        values: ``[n]``; they add up to ``full - empty``.
        lower: ``[n]``, lower ends of the 95 % intervals over the sampled permutations.
        upper: ``[n]``; like ``lower`` the value itself where it is exact.
        empty: The function of no player.
        full: The function of all players.
        asked: How many different sets the function was asked for.
        exact: Whether all sets were asked.
    """

    values: FloatArray
    lower: FloatArray
    upper: FloatArray
    empty: float
    full: float
    asked: int
    exact: bool


def shapley_values(
    function: SetFunction, n: int, *, samples: int = SAMPLES, seed: int = 0
) -> ShapleyValues:
    """Shapley values of ``n`` players.

    Args:
        function: Asked once, for all different sets together.
        n: The number of players; 0 is allowed.
        samples: Permutations, where there are more than ``MOST_EXACT`` players: an even number
            from 4. Intervals take them as independent, which is careful: a permutation and its
            reverse err in opposite directions.
        seed: Of the permutations.

    Raises:
        ValueError: ``samples`` is odd or below 4.
    """
    if samples < 4 or samples % 2:
        raise ValueError(f"samples is {samples}; it must be an even number from 4.")
    if n <= MOST_EXACT:
        return _exact(function, n)
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(n) for _ in range(samples // 2)]
    orders = np.array([order for one in drawn for order in (one, one[::-1])])
    # Set k of an order has its first k players.
    place = np.argsort(orders, axis=1)
    masks = place[:, None, :] < np.arange(n + 1)[None, :, None]
    different, back = np.unique(masks.reshape(-1, n), axis=0, return_inverse=True)
    found = np.asarray(function(different), dtype=np.float64)[back.ravel()]
    gains = np.diff(found.reshape(len(orders), n + 1), axis=1)
    by_player = np.take_along_axis(gains, place, axis=1)
    values = by_player.mean(axis=0)
    error = by_player.std(axis=0, ddof=1) / np.sqrt(len(orders))
    half = student.ppf(0.975, len(orders) - 1) * error
    empty, full = (float(found.reshape(len(orders), n + 1)[0, k]) for k in (0, n))
    return ShapleyValues(
        values, values - half, values + half, empty, full, len(different), exact=False
    )


def _exact(function: SetFunction, n: int) -> ShapleyValues:
    masks = (np.arange(2**n)[:, None] >> np.arange(n)[None, :]) % 2 == 1
    found = np.asarray(function(masks), dtype=np.float64)
    sizes = masks.sum(axis=1)
    values = np.zeros(n)
    for player in range(n):
        without = np.flatnonzero(~masks[:, player])
        weights = np.array([factorial(s) * factorial(n - s - 1) for s in sizes[without]])
        gains = found[without + 2**player] - found[without]
        values[player] = (weights * gains).sum() / factorial(n)
    return ShapleyValues(
        values, values, values, float(found[0]), float(found[-1]), len(found), exact=True
    )
