"""Structured features: what is read, layout, gaps, weights and what was never seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.base import BaselineState
from llm4top.forecasters.baselines.structured import (
    FEATURE_NAMES,
    StructuredForecaster,
    structured_features,
)
from llm4top.registry.trial import Arm, Intervention, Trial
from tests.forecasters.baseline_kit import THREE, planted

X, Y = planted(60)
TRIAL = Trial(
    phase="Phase 2",
    conditions=("advanced breast cancer", "asthma"),
    interventions=(Intervention("Examplumab"), Intervention("ABC-1234"), Intervention("placebo")),
    criteria=(
        "Inclusion Criteria:\n- Aged 21 to 70 years: with informed consent (signed)\n"
        "- ECOG >= 1\nExclusion Criteria:\n- Pregnancy"
    ),
)


def small(**settings) -> StructuredForecaster:
    return StructuredForecaster(**{"trees": 20, **settings})


def test_the_numbers_of_a_trial():
    numbers = structured_features(TRIAL)
    expected = {
        "phase, lowest": 2,
        "conditions": math.log(3),
        "interventions": math.log(4),
        "placebo among interventions": 1,
        "criteria, words of exclusion": math.log(4),
        "criteria, no exclusion": 0,
        "criteria, brackets": math.log(2),
        "youngest age": 70,
        "oldest age": 70,
        "criteria mention: consent": 1,
        "criteria mention: HIV": 0,
        "criteria mention: performance status": 1,
        "conditions mention: cancer": 1,
        "conditions mention: advanced": 1,
        "drugs mention: antibody": 1,
        "drugs mention: code name": 1,
        "drugs mention: kinase inhibitor": 0,
        "chapter: neoplasms (C00-D48)": 1,
        "chapter: respiratory system (J)": 1,
        "chapter: eye (H00-H59)": 0,
    }
    assert {name: numbers[name] for name in expected} == pytest.approx(expected)
    with_limits = structured_features(
        replace(TRIAL, minimum_age="6 Months", maximum_age="80 Years")
    )
    assert (with_limits["youngest age"], with_limits["oldest age"]) == (0.5, 80)
    coded = structured_features(replace(TRIAL, icd_codes=("H25.9",)))
    assert coded["chapter: eye (H00-H59)"] == 1
    assert coded["chapter: neoplasms (C00-D48)"] == 0


def test_what_is_absent_has_no_number():
    assert all(math.isnan(value) for value in structured_features(Trial()).values())
    assert tuple(structured_features(TRIAL)) == FEATURE_NAMES


@pytest.mark.parametrize("mark", ["- ", "* ", "1. ", "", "        -  "])
def test_the_layout_of_the_criteria_moves_nothing(mark):
    lines = ("Aged 21 years or more", "Signed consent", "No fever")
    plain = Trial(criteria="Inclusion Criteria:\n" + "\n".join(f"- {line}" for line in lines))
    other = Trial(criteria="Inclusion Criteria:\n\n" + "\n\n".join(mark + x for x in lines))
    assert structured_features(other) == pytest.approx(structured_features(plain), nan_ok=True)


def test_it_learns_a_planted_number():
    fitted = small().fit(X, Y)
    assert fitted.score(X, Y) == 1.0
    assert "interventions" in fitted.names_
    trials, y = planted(60, labels=3)
    many = small(task=THREE).fit(trials, y).predict_proba(trials)
    assert many.shape == (60, 3)
    np.testing.assert_allclose(many.sum(axis=1), 1.0)


def test_what_never_varied_in_training_moves_nothing():
    fitted = small().fit(X, Y)
    more = replace(
        X[0],
        masking="Double",
        sponsor_class="Industry",
        arms=(Arm("A", "Placebo Comparator"),),
        planned_enrolment=5000,
        has_dmc=True,
    )
    assert (fitted.predict_proba([more]) == fitted.predict_proba(X[:1])).all()


def test_no_tree_can_tell_which_trials_lack_a_number():
    # Every success lacks its number of arms, and nothing else tells it.
    y = [i % 2 for i in range(200)]
    trials = [Trial(number_of_arms=None if k else 2 + i % 7) for i, k in enumerate(y)]
    fitted = small(trees=100).fit(trials, y)
    assert fitted.names_ == ["arms"]
    chances = fitted.predict_proba([Trial(), Trial(number_of_arms=4)])[:, 1]
    assert np.abs(chances - 0.5).max() < 0.15


def test_trials_without_any_number_get_the_base_rate():
    fitted = small().fit([Trial()] * 30, [0] * 10 + [1] * 20)
    assert fitted.predict_proba([TRIAL])[0, 1] == pytest.approx(2 / 3)


def test_a_weight_is_as_good_as_a_row_more():
    weights = np.where((np.arange(60) < 20) & (np.array(Y) == 1), 2.0, 1.0)
    root = small(least_leaf=60).fit(X, Y, sample_weight=weights)
    assert root.predict_proba(X[:1])[0, 1] == pytest.approx(40 / 70)


def test_copies_are_learned_from():
    plain, copied = small().fit(X, Y), small(thin_copies=True).fit(X, Y)
    assert copied.names_ == plain.names_
    assert copied.base_rates_ == plain.base_rates_
    assert (copied.predict_proba(X) != plain.predict_proba(X)).any()


@pytest.mark.parametrize(
    ("names", "means", "told"),
    [
        (["status"], np.zeros(1), "reads 'status', which this version"),
        (["conditions"], np.zeros(2), "averages of other numbers"),
        (["conditions"], np.full(1, np.nan), "other numbers than it should"),
        (["conditions"], np.zeros(1), "do not fit together"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(names, means, told):
    fitted = small().fit(X, Y)
    arrays = {**fitted.state().arrays, "means": means}
    with pytest.raises(BundleError, match=told):
        fitted.restore(BaselineState(arrays, {"numbers": names}))
