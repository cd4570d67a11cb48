"""Curves: exact at the ends, thin, and with the area that the metrics have."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from llm4top.errors import ScoreError
from llm4top.evaluation.metrics.curves import MOST_POINTS, curve_set, curves_of, treat_all
from llm4top.evaluation.predictions import Scores
from tests.profiles import examples


def scores_of(p, y, name="model") -> Scores:
    p = np.asarray(p, float)
    ids = tuple(f"trial {i}" for i in range(len(p)))
    probabilities = np.column_stack([1 - p, p])
    return Scores(name, "valid", ("failure", "success"), probabilities, np.asarray(y), ids)


def drawn(n, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    y = np.append([0, 1], rng.integers(0, 2, n - 2))
    p = 1 / (1 + np.exp(-(rng.normal(size=n) + y - 0.5)))
    return (p.round(1) if ties else p), y


def step_area(points):
    return sum((b[0] - a[0]) * b[1] for a, b in itertools.pairwise(points))


@examples(40)
@given(n=st.integers(2, 3000), seed=st.integers(0, 2**31), ties=st.booleans())
def test_areas_are_those_of_the_metrics(n, seed, ties):
    p, y = drawn(n, seed, ties)
    curves = curves_of(scores_of(p, y), "baseline")
    x, sensitivity = np.array(curves.roc).T
    assert np.trapezoid(sensitivity, x) == pytest.approx(roc_auc_score(y, p), abs=0.003)
    assert step_area(curves.pr) == pytest.approx(average_precision_score(y, p), abs=0.01)


@examples(40)
@given(n=st.integers(2, 3000), seed=st.integers(0, 2**31), ties=st.booleans())
def test_curves_are_thin_monotone_and_exact_at_the_ends(n, seed, ties):
    p, y = drawn(n, seed, ties)
    curves = curves_of(scores_of(p, y), "baseline")
    assert max(map(len, (curves.roc, curves.pr, curves.decision))) <= MOST_POINTS
    assert curves.roc[0] == (0, 0)
    assert curves.roc[-1] == (1, 1)
    assert curves.pr[0][0] == 0
    assert curves.pr[-1] == (1, pytest.approx(y.mean(), abs=1e-6))
    assert (np.diff(np.array(curves.roc), axis=0) >= 0).all()
    assert (np.diff(np.array(curves.pr)[:, 0]) >= 0).all()
    assert sum(map(sum, curves.histogram)) == n
    assert sum(curves.histogram[1]) == y.sum()


def test_few_points_are_not_thinned():
    curves = curves_of(scores_of([0.9, 0.8, 0.4, 0.2], [1, 0, 1, 0]), "baseline")
    assert step_area(curves.pr) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3, abs=1e-6)
    assert curves.pr[0] == (0, 1)


def test_a_constant_forecaster_has_the_diagonal_and_one_bin():
    curves = curves_of(scores_of([0.6] * 300, [1, 1, 0] * 100), "trivial")
    assert curves.roc == ((0, 0), (1, 1))
    assert step_area(curves.pr) == pytest.approx(2 / 3, abs=1e-6)
    (only,) = curves.reliability
    assert (only.n, only.low, only.high) == (300, 0.6, 0.6)
    assert only.observed == pytest.approx(2 / 3)


@examples(40)
@given(n=st.integers(2, 1500), seed=st.integers(0, 2**31), ties=st.booleans())
def test_reliability_bins_share_the_rows_and_split_no_tie(n, seed, ties):
    p, y = drawn(n, seed, ties)
    bins = curves_of(scores_of(p, y), "baseline").reliability
    assert sum(b.n for b in bins) == n
    assert len(bins) <= min(10, max(1, n // 20))
    assert all(a.high < b.low for a, b in itertools.pairwise(bins))
    for b in bins:
        assert b.low <= b.forecast <= b.high
        assert 0 <= b.lower <= b.observed + 1e-12
        assert b.observed <= b.upper + 1e-12
        assert b.upper <= 1


def test_equal_counts_where_there_are_no_ties():
    p, y = drawn(1000)
    assert [b.n for b in curves_of(scores_of(p, y), "baseline").reliability] == [100] * 10


def test_the_interval_is_wilsons():
    # Newcombe 1998, table I: 15 of 148 has the score interval .0624 to .1605.
    y = [1] * 15 + [0] * 133
    (only,) = curves_of(scores_of([0.1] * 148, y), "baseline").reliability
    assert only.lower == pytest.approx(0.0624, abs=5e-5)
    assert only.upper == pytest.approx(0.1605, abs=5e-5)


def test_net_benefit_is_that_of_its_definition():
    p, y = drawn(400, seed=3)
    decision = dict(curves_of(scores_of(p, y), "baseline").decision)
    for t in (0.01, 0.2, 0.5, 0.83, 0.99):
        act = p >= t
        expected = (act & (y == 1)).mean() - (act & (y == 0)).mean() * t / (1 - t)
        assert decision[t] == pytest.approx(expected, abs=1e-5)


def test_acting_on_all_is_the_net_benefit_of_a_certain_forecaster():
    y = [1, 1, 1, 0]
    for t, benefit in curves_of(scores_of([1.0] * 4, y), "trivial").decision:
        assert benefit == pytest.approx(treat_all(0.75, t), abs=1e-5)


def test_a_set_holds_its_rows():
    p, y = drawn(60)
    both = [scores_of(p, y, "a"), scores_of(1 - p, y, "b")]
    drawn_set = curve_set(both, ["baseline", "cheating"], phase="II", check="valid")
    assert [c.forecaster for c in drawn_set.curves] == ["a", "b"]
    assert drawn_set.curves[1].kind == "cheating"
    assert drawn_set.n == 60
    assert drawn_set.prevalence == pytest.approx(y.mean())


def test_other_rows_are_refused():
    p, y = drawn(60)
    with pytest.raises(ScoreError, match="not scored on the same rows"):
        curve_set(
            [scores_of(p, y, "a"), scores_of(p[:50], y[:50], "b")],
            ["baseline", "baseline"],
            phase="II",
            check="valid",
        )
    with pytest.raises(ScoreError, match="no scores to draw"):
        curve_set([], [], phase="II", check="valid")


def test_more_than_two_labels_have_no_curves():
    three = Scores("m", "valid", ("a", "b", "c"), np.eye(3), np.arange(3), ("x", "y", "z"))
    with pytest.raises(ScoreError, match="only a binary task has an event"):
        curves_of(three, "baseline")


def test_a_million_scores_in_seconds():
    p, y = drawn(1_000_000)
    curves = curves_of(scores_of(p, y), "baseline")
    assert len(curves.roc) <= MOST_POINTS
