"""Reciprocal-rank fusion."""

import numpy as np

from llm4top.forecasters.precedents.fusion import best, fuse


def test_what_both_rank_high_comes_first():
    # 7: 1/61 + 1/62; 3: 1/62 + 1/61, the same; 5: 1/63; 9: 1/63.
    assert fuse([np.array([7, 3, 5]), np.array([3, 7, 9])]).tolist() == [3, 7, 5, 9]


def test_one_high_rank_yields_to_two_middling_ones():
    ranked = fuse([np.array([1, 8, 2]), np.array([4, 9, 2])])
    assert ranked[0] == 2  # 2/63 is more than 1/61


def test_one_ranking_stays_as_it_is():
    assert fuse([np.array([4, 0, 2])]).tolist() == [4, 0, 2]
    assert fuse([np.array([], dtype=np.int64)]).tolist() == []


def test_the_best_are_in_order_and_above_zero():
    scores = np.array([0.2, 0.0, 0.9, 0.2, 0.5], dtype=np.float32)
    assert best(scores, 3).tolist() == [2, 4, 0]
    assert best(scores, 9).tolist() == [2, 4, 0, 3]
    assert best(np.zeros(4, dtype=np.float32), 2).tolist() == []
