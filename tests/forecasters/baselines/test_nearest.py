"""The share of the nearest training trials as a forecast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import BundleError
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.baselines.base import BaselineState
from llm4top.forecasters.baselines.nearest import NEIGHBOURS, PRIORS, NearestForecaster
from llm4top.registry.trial import Trial
from tests.forecasters.baseline_kit import THREE, planted
from tests.profiles import examples


def test_the_share_is_drawn_towards_the_base_rate_of_the_phase():
    X = [Trial(phase="Phase 2", conditions=("gout",)) for _ in range(12)]
    y = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    forecaster = NearestForecaster(k=12, prior_trials=8).fit(X, y)
    base = measure_base_rates(2, ["Phase 2"] * 12, y)["Phase 2"].shares[1]
    expected = (3 + 8 * base) / (12 + 8)
    assert forecaster.predict_proba(X[:1])[0, 1] == pytest.approx(expected)


def test_a_trial_that_is_like_none_gets_the_base_rate():
    X, y = planted(60)
    forecaster = NearestForecaster().fit(X, y)
    base = measure_base_rates(2, [trial.phase for trial in X], y)
    assert forecaster.predict_proba([Trial(phase="Phase 1")])[0].tolist() == pytest.approx(
        list(base["Phase 1"].shares)
    )


def test_it_learns_what_words_tell():
    X, y = planted(200, 3)
    forecaster = NearestForecaster(THREE).fit(X[:150], y[:150])
    assert np.mean(forecaster.predict(X[150:]) == np.array(y[150:])) > 0.9
    assert forecaster.k_ in NEIGHBOURS
    assert forecaster.prior_trials_ in PRIORS
    assert forecaster.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(200))


@examples(20)
@given(
    years=st.lists(st.none() | st.integers(1990, 2010), min_size=4, max_size=20),
    start=st.integers(1990, 2011),
)
def test_only_trials_completed_before_the_start_count(years, start):
    X = [Trial(conditions=("gout",))] * len(years)
    y = [i % 2 for i in range(len(years))]
    completed = [None if year is None else str(year) for year in years]
    forecaster = NearestForecaster(k=50, prior_trials=4).fit(X, y, completed=completed)
    earlier = [
        label for label, year in zip(y, years, strict=True) if year is not None and year < start
    ]
    base = measure_base_rates(2, [None] * len(y), y)["all"].shares[1]
    expected = (sum(earlier) + 4 * base) / (len(earlier) + 4)
    found = forecaster.predict_proba(X[:1], before=[f"{start}-01-01"])
    assert found[0, 1] == pytest.approx(expected)


def test_without_dates_no_trial_is_known_to_be_earlier():
    X, y = planted(20)
    with pytest.raises(ValueError, match="fitted without completion dates"):
        NearestForecaster(k=5).fit(X, y).predict_proba(X, before=["2001"] * 20)


def test_its_state_gives_the_same_forecasts():
    X, y = planted(60)
    fitted = NearestForecaster().fit(X, y, completed=[f"{2000 + i // 6}" for i in range(60)])
    again = NearestForecaster()
    again.classes_ = fitted.classes_
    again.restore(fitted.state())
    assert (again.predict_proba(X) == fitted.predict_proba(X)).all()
    days = ["2004"] * 60
    assert (again.predict_proba(X, before=days) == fitted.predict_proba(X, before=days)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("targets", np.array([0, 7])),
        ("days", np.array([5, 1])),
        ("chosen", np.array([0.0, 1.0, 0.0])),
        ("rows", np.array([9], dtype=np.int32)),
    ],
)
def test_a_state_that_does_not_fit_is_refused(name, value):
    X, y = planted(20)
    fitted = NearestForecaster(k=3, prior_trials=1).fit(X, y)
    state = fitted.state()
    broken = BaselineState({**state.arrays, name: value}, state.words)
    with pytest.raises(BundleError, match="do not fit together"):
        fitted.restore(broken)
