"""Quantiles of binned quantities, and their words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.forecasters.distribution import Bins, in_words, summary_of
from llm4top.tasks.builtin import DROPOUT, DURATION, OUTCOME
from llm4top.tasks.task import Task
from tests.forecasters.test_forecast_format import FORECAST
from tests.profiles import examples

OPEN = Task("t", "ordinal", "How much?", ("low", "mid", "high"), ("A", "B", "C"), (-1.0, 3.0), "mg")


def test_quantiles_are_linear_within_a_bin():
    p = np.zeros(10)
    p[1] = 1.0  # 6 to 12 months
    found = summary_of(DURATION, p)
    assert (found.p10, found.median, found.p90) == pytest.approx((6.6, 9.0, 11.4))
    even = np.zeros(10)
    even[[0, 4]] = 0.5
    assert Bins.of(DURATION).quantiles(even, [0.25, 0.75])[0] == pytest.approx([3.0, 30.0])


def test_a_quantile_in_an_open_bin_is_none():
    last = np.eye(10)[-1]
    assert summary_of(DURATION, last).median is None
    found = summary_of(OPEN, [0.2, 0.6, 0.2])
    assert (found.p10, found.median, found.p90) == (None, pytest.approx(1.0), None)


def test_a_share_ends_at_one():
    found = summary_of(DROPOUT, np.eye(6)[-1])
    assert found.p90 == pytest.approx(0.35 + 0.9 * 0.65)


def test_none_of_a_share_is_no_interval_but_0():
    found = summary_of(DROPOUT, [0.3, 0.3, 0.4, 0, 0, 0])
    assert found.p10 == 0.0
    assert found.median == pytest.approx(0.0005 + 2 / 3 * 0.0495)
    nothing = summary_of(DROPOUT, np.eye(6)[0])
    assert (nothing.p10, nothing.median, nothing.p90) == (0.0, 0.0, 0.0)
    bins = Bins.of(DROPOUT)
    assert bins.middles()[:2] == pytest.approx([0.0, 0.02525])
    assert not Bins.of(DURATION).begins_at_a_point
    assert not Bins.of(OPEN).begins_at_a_point


def test_other_questions_have_none():
    assert summary_of(OUTCOME, [0.4, 0.6]).median is None


@examples(40)
@given(st.lists(st.floats(0, 1), min_size=10, max_size=10).filter(lambda p: sum(p) > 1e-3))
def test_quantiles_rise_and_stay_in_bins_with_probability(weights):
    p = np.array(weights) / sum(weights)
    bins = Bins.of(DURATION)
    levels = np.linspace(0.01, 0.99, 25)
    found = bins.quantiles(p, levels)[0]
    assert (np.diff(np.minimum(found, 999)) >= -1e-9).all()
    edges = np.array([0.0, *DURATION.bin_edges, np.inf])
    for level, value in zip(levels, found, strict=True):
        below = p[edges[1:] <= value].sum()
        assert np.isinf(value) or below <= level + 1e-9
        assert np.isinf(value) or level <= p[edges[:-1] <= value].sum() + 1e-9


def test_the_words():
    months = {"unit": "months", "labels": DURATION.labels}
    forecast = replace(FORECAST, **months, median=26.4, p10=14.2, p90=51.0)
    assert in_words(forecast) == "median 26 months, 80 % 14 to 51"
    assert in_words(replace(forecast, p90=None)).endswith("80 % 14 to 120 months or more")
    share = replace(FORECAST, unit="share", median=0.083, p10=0.0, p90=0.25)
    assert in_words(share).replace("\N{NO-BREAK SPACE}", " ") == "median 8 %, 80 % 0 % to 25 %"
    assert in_words(replace(FORECAST, unit=None)) == ""
