"""Extremely randomised trees over words: what they read, weights, copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from llm4top.forecasters.baselines.extra_trees import ExtraTreesForecaster, presence_text
from llm4top.registry.trial import Intervention, Trial
from tests.forecasters.baseline_kit import planted

X, Y = planted(60)


def small(**settings) -> ExtraTreesForecaster:
    return ExtraTreesForecaster(**{"trees": 20, "min_count": 2, **settings})


def test_words_are_columns():
    fitted = small().fit(X, Y)
    words = CountVectorizer(binary=True, min_df=2).fit([presence_text(trial) for trial in X])
    assert fitted.terms_ == words.get_feature_names_out().tolist()
    assert fitted.score(X, Y) == 1.0
    assert fitted.sections_ == ExtraTreesForecaster.reads
    pairs = small(pairs=True).fit(X, Y).terms_
    assert "risky and" in pairs
    assert set(fitted.terms_) < set(pairs)


def test_what_is_read():
    trial = Trial(
        phase="Phase 2",
        brief_title="A study",
        conditions=("asthma",),
        icd_codes=("J45.909", "J45.20"),
        interventions=(Intervention("compound"),),
        brief_summary="never read",
    )
    coded = ["icd_J45_909", "icd_J45_20", "", "category_j45", "chapter_respiratory_system_j"]
    assert presence_text(trial).split("\n") == [
        *("phase_phase_2", "asthma", "compound", *coded, "A study")
    ]
    record = replace(trial, icd_codes=())
    assert presence_text(record).split("\n")[3:] == ["", "chapter_respiratory_system_j", "A study"]


def test_the_seed_decides():
    asked = [Trial(), Trial(phase="Phase 2"), Trial(conditions=("asthma",))]
    first, again, other = (small(seed=s).fit(X, Y).predict_proba(asked) for s in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_weight_is_as_good_as_a_row_more():
    trials, y = [*X, *X[1:20:2]], [*Y, *Y[1:20:2]]
    weights = np.where(np.arange(60) % 2 * (np.arange(60) < 20), 2.0, 1.0)
    # A leaf of all trials: its shares are the labels', whatever the seed.
    repeated = small(least_leaf=70).fit(trials, y).predict_proba(X[:1])
    weighted = small(least_leaf=60).fit(X, Y, sample_weight=weights).predict_proba(X[:1])
    assert repeated[0, 1] == pytest.approx(40 / 70)
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([1.0], r"has shape \(1,\), not \(60,\)"),
        ([-1.0] * 60, "needs finite numbers from 0"),
        ([np.nan] * 60, "needs finite numbers from 0"),
        ([0.0] * 60, "one of them above 0"),
    ],
)
def test_weights_that_are_none_are_refused(weights, told):
    with pytest.raises(ValueError, match=told):
        small().fit(X, Y, sample_weight=weights)


def test_copies_with_emptied_fields_are_learned_from():
    plain, copied = small().fit(X, Y), small(thin_copies=True).fit(X, Y)
    assert copied.terms_ == plain.terms_
    assert copied.base_rates_ == plain.base_rates_
    assert copied.score(X, Y) == 1.0
    thin = [Trial(), Trial(phase="Phase 2")]
    assert (copied.predict_proba(thin) != plain.predict_proba(thin)).any()
