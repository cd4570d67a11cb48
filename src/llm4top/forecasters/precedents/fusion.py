"""Reciprocal-rank fusion: one ranking out of several."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

K = 60
"""The constant of Cormack, Clarke & Büttcher (2009), Reciprocal rank fusion outperforms Condorcet
and individual rank learning methods, who found it good for all their collections."""


def fuse(rankings: Sequence[NDArray[np.int64]], k: int = K) -> NDArray[np.int64]:
    """Items by ``sum(1 / (k + rank))`` over the rankings, best first.

    Ranks count from 1. A ranking that lacks an item gives it nothing; of equals, the lower item
    comes first.
    """
    items, place = np.unique(np.concatenate(rankings), return_inverse=True)
    scores = np.zeros(len(items))
    at = 0
    for ranking in rankings:
        scores[place[at : at + len(ranking)]] += 1 / (k + np.arange(1, len(ranking) + 1))
        at += len(ranking)
    return np.asarray(items[np.lexsort((items, -scores))])


def best(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Positions of the ``k`` highest scores above 0, best first; of equals, the lower first."""
    if k < len(scores):
        least = np.partition(scores, -k)[-k]
        chosen = np.flatnonzero(scores >= max(least, np.nextafter(np.float32(0), np.float32(1))))
    else:
        chosen = np.flatnonzero(scores > 0)
    return np.asarray(chosen[np.lexsort((chosen, -scores[chosen]))][:k], dtype=np.int64)
