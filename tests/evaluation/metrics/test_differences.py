"""Differences: DeLong's own data, Holm's correction, the paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import EvaluationError, ScoreError
from llm4top.evaluation.metrics.differences import compare_pairs, delong, holm, paired_p_value
from llm4top.evaluation.metrics.metrics import Measured, measure
from llm4top.evaluation.predictions import Scores
from tests.evaluation.kit import binary_scores, invented
from tests.profiles import examples

SURGERY = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""
"""Albumin, total protein, K-G score and outcome of the complete cases of DeLong, DeLong and
Clarke-Pearson (1988), as the SAS/STAT User's Guide prints them (LOGISTIC, "Comparing Receiver
Operating Characteristic Curves"); its output is what the test expects."""


def surgery(column: int) -> Scores:
    table = np.array(SURGERY.split(), dtype=float).reshape(43, 4)
    values = 10 - table[:, 2] if column == 2 else table[:, column]
    return binary_scores(values / 10, table[:, 3].astype(int), forecaster=str(column))


@pytest.mark.parametrize(
    ("column", "area", "difference", "error", "p_value"),
    [(0, 0.7366, 0.0108, 0.0953, 0.9102), (1, 0.6478, -0.0780, 0.1046, 0.4561)],
)
def test_delongs_own_example(
    column: int, area: float, difference: float, error: float, p_value: float
) -> None:
    scores = surgery(column)
    assert measure(scores, draws=2).figures["roc_auc"].value == pytest.approx(area, abs=5e-5)
    found = delong(scores, surgery(2))
    assert found.difference == pytest.approx(difference, abs=5e-5)
    assert found.standard_error == pytest.approx(error, abs=5e-5)
    assert found.p_value == pytest.approx(p_value, abs=5e-5)


def by_definition(a: Scores, b: Scores) -> tuple[float, float]:
    """DeLong's estimator written out: structural components, pair by pair."""

    def components(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
        with_event, without = scores.event[scores.y == 1], scores.event[scores.y == 0]
        wins = (with_event[:, None] > without) + 0.5 * (with_event[:, None] == without)
        return wins.mean(axis=1), wins.mean(axis=0)

    (a1, a0), (b1, b0) = components(a), components(b)
    covariance = np.cov(a1, b1) / len(a1) + np.cov(a0, b0) / len(a0)
    contrast = np.array([1, -1])
    return float(a1.mean() - b1.mean()), float(np.sqrt(contrast @ covariance @ contrast))


rows = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1)), min_size=5, max_size=40
).filter(lambda rows: 2 <= sum(row[2] for row in rows) <= len(rows) - 2)


@given(rows)
@examples(100)
def test_delong_is_what_it_is_defined_as(rows: list[tuple[int, int, int]]) -> None:
    first, second, y = np.array(rows, dtype=float).T
    a, b = binary_scores(first / 10, y.astype(int)), binary_scores(second / 10, y.astype(int))
    found = delong(a, b)
    difference, error = by_definition(a, b)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.standard_error == pytest.approx(error, abs=1e-9)
    back = delong(b, a)
    assert back.difference == pytest.approx(-found.difference, abs=1e-12)
    assert back.p_value == (None if found.p_value is None else pytest.approx(found.p_value))


def test_delong_of_scores_that_rank_alike() -> None:
    p, y = invented(40)
    found = delong(binary_scores(p, y), binary_scores(p**2, y))
    assert (found.difference, found.standard_error, found.p_value) == (0, 0, 1)


def test_delong_without_anything_that_varies() -> None:
    y = np.array([0, 0, 1, 1])
    found = delong(binary_scores(np.full(4, 0.5), y), binary_scores(np.linspace(0.1, 0.4, 4), y))
    assert (found.difference, found.standard_error, found.p_value) == (-0.5, 0, None)


def test_delong_wants_the_same_rows() -> None:
    p, y = invented(40)
    other = binary_scores(p, y, split="test", forecaster="other")
    with pytest.raises(ScoreError, match="model and other were not scored on the same rows"):
        delong(binary_scores(p, y), other)


def test_holms_correction() -> None:
    """Worked out by hand: steps of 4 x .005, 3 x .01, 2 x .03 and 1 x .04, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.02), None, pytest.approx(0.02)]
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert q is not None
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-12


def test_paired_p_values() -> None:
    assert paired_p_value(np.arange(1.0, 100.0)) == pytest.approx(2 / 100)
    assert paired_p_value(np.append(np.arange(1.0, 98.0), [-1, -2])) == pytest.approx(6 / 100)
    assert paired_p_value(np.zeros(99)) == 1
    assert paired_p_value(np.array([np.nan, 1.0])) == 1
    assert paired_p_value(np.array([np.nan])) is None


def measured(scores: Sequence[Scores], **more: Any) -> list[Measured]:
    return [measure(one, draws=200, seed=1, **more) for one in scores]


@pytest.fixture
def three() -> list[Scores]:
    p, y = invented(300, seed=2)
    noise, _ = invented(300, seed=3)
    return [
        binary_scores(p, y, forecaster="good"),
        binary_scores(noise, y, forecaster="noise"),
        binary_scores(np.clip(p * 0.99, 0, 1), y, forecaster="alike"),
    ]


def test_differences_against_one(three: list[Scores]) -> None:
    found = compare_pairs(measured(three), three, against="good", phase="I", check="valid")
    assert [(d.metric, d.first) for d in found] == [
        (metric, name) for metric in ("roc_auc", "log_loss", "brier") for name in ("noise", "alike")
    ]
    area = found[0]
    assert (area.second, area.phase, area.check, area.family) == ("good", "I", "valid", 2)
    assert area.method == "DeLong"
    assert area.p_value == delong(three[1], three[0]).p_value
    assert area.p_adjusted == pytest.approx(2 * (area.p_value or 0))
    assert (area.figure.upper or 0) < 0
    assert found[1].figure.value == found[1].figure.lower == 0
    assert found[1].p_value == found[1].p_adjusted == 1
    loss = found[2]
    assert loss.method == "paired bootstrap"
    assert loss.p_value == pytest.approx(2 / 201)
    good, noise, _ = (one.figures["log_loss"].value for one in measured(three))
    assert loss.figure.value == pytest.approx((noise or 0) - (good or 0))


def test_an_interval_and_its_p_value_agree() -> None:
    for seed in range(12):
        p, y = invented(80, seed=seed)
        q = np.clip(p + np.random.default_rng(seed).normal(0, 0.15, 80), 0.01, 0.99)
        pair = [binary_scores(p, y, forecaster="a"), binary_scores(q, y, forecaster="b")]
        both = [measure(one, draws=999) for one in pair]
        (found,) = compare_pairs(
            both, pair, against="a", metrics=["log_loss"], phase="I", check="valid"
        )
        lower, upper = found.figure.lower, found.figure.upper
        assert lower is not None
        assert upper is not None
        if not 0.04 < (found.p_value or 0) < 0.06:
            assert (lower <= 0 <= upper) == ((found.p_value or 0) > 0.05)


def test_many_labels_are_compared_by_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    good = 0.7 * np.eye(3)[y] + 0.1
    flat = np.full((90, 3), 1 / 3)
    both = [
        Scores(name, "valid", ("a", "b", "c"), p, y, tuple(map(str, range(90))))
        for name, p in (("good", good), ("flat", flat))
    ]
    found = compare_pairs(measured(both), both, against="flat", phase="II", check="newest")
    assert {d.method for d in found} == {"paired bootstrap"}
    assert found[0].figure.value == pytest.approx(0.5)


def test_what_neither_has_is_not_compared(three: list[Scores]) -> None:
    ones = binary_scores(np.ones(300), three[0].y, forecaster="always")
    pair = [three[0], ones]
    (found,) = compare_pairs(
        measured(pair),
        pair,
        against="good",
        metrics=["brier_skill"],
        phase="I",
        check="valid",
    )
    assert found.figure.value is found.p_value is found.p_adjusted is None
    assert found.family == 0


@pytest.mark.parametrize("against", ["nobody", "good"])
def test_there_is_one_to_compare_against(three: list[Scores], against: str) -> None:
    twice = [three[0], three[0]] if against == "good" else three
    with pytest.raises(EvaluationError, match="of the forecasters are named"):
        compare_pairs(measured(twice), twice, against=against, phase="I", check="valid")


def test_metrics_are_known(three: list[Scores]) -> None:
    with pytest.raises(EvaluationError, match=r"no metric 'auc'\. Known metrics: roc_auc, "):
        compare_pairs(
            measured(three), three, against="good", metrics=["auc"], phase="I", check="valid"
        )


def test_draws_line_up(three: list[Scores]) -> None:
    figures = measured(three)
    with pytest.raises(ScoreError, match="not of the same forecasters"):
        compare_pairs(figures[::-1], three, against="good", phase="I", check="valid")
    for wrong in (measure(three[1], draws=50), replace(figures[1], draws={})):
        with pytest.raises(ScoreError, match="draws of roc_auc were not kept, or are not as many"):
            compare_pairs(
                [figures[0], wrong, figures[2]], three, against="good", phase="I", check="valid"
            )
