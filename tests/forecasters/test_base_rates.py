"""The one base-rate formula."""

import numpy as np
import pytest

from llm4top.forecasters.base_rates import base_rate_of, measure_base_rates
from llm4top.forecasters.baselines.simple import BaseRateForecaster
from llm4top.registry.trial import Trial

PHASES = ["Phase 1"] * 14 + ["Phase 2"] * 13 + ["Phase 3"] * 13
LABELS = [0] * 14 + [1] * 26


def test_a_phase_is_drawn_towards_all_phases_by_twenty_trials():
    rates = measure_base_rates(2, PHASES, LABELS)
    assert list(rates) == ["Phase 1", "Phase 2", "Phase 3", "all"]
    assert (rates["Phase 1"].n, rates["all"].n) == (14, 40)
    assert rates["all"].shares == pytest.approx((14 / 40, 26 / 40))
    assert rates["Phase 1"].shares == pytest.approx(((14 + 20 * 0.35) / 34, 20 * 0.65 / 34))
    plain = measure_base_rates(2, PHASES, LABELS, prior_trials=0)
    assert plain["Phase 1"].shares == (1.0, 0.0)


def test_a_phase_of_fewer_than_ten_trials_gets_the_rate_of_all():
    few = measure_base_rates(3, ["Phase 4"] * 9 + [None] * 3, [0, 1, 2] * 4)
    assert list(few) == ["all"]
    assert base_rate_of(few, "Phase 4") == ("all", pytest.approx((1 / 3, 1 / 3, 1 / 3)))
    assert base_rate_of(few, None) == base_rate_of(few, "Phase 4")
    assert measure_base_rates(2, [], []) == {}
    assert base_rate_of({}, "Phase 1") is None


def test_the_baseline_of_every_report_predicts_these_rates():
    trials = [Trial(phase=phase) for phase in PHASES]
    fitted = BaseRateForecaster().fit(trials, LABELS)
    rates = measure_base_rates(2, PHASES, LABELS)
    assert fitted.base_rates_ == rates
    for phase in ("Phase 1", "Phase 3", "Phase 4", None):
        expected = base_rate_of(rates, phase)
        assert expected is not None
        found = fitted.predict_proba([Trial(phase=phase)])
        np.testing.assert_allclose(found[0], expected[1], atol=1e-15)
