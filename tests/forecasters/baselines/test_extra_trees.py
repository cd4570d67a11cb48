"""Extremely randomised trees: the same as scikit-learn's, narrow arrays, no hostile path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction.text import CountVectorizer

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.extra_trees import (
    ExtraTreesForecaster,
    PresenceTrees,
    read_presence_trees,
)
from llm4top.forecasters.baselines.simple import baseline_text
from llm4top.registry.trial import Trial
from tests.forecasters.baseline_kit import planted

X, Y = planted(60)


def small(**settings) -> ExtraTreesForecaster:
    return ExtraTreesForecaster(**{"trees": 20, "min_count": 2, **settings})


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("least_leaf", [1, 4])
def test_the_arrays_forecast_what_scikit_learn_does(labels, least_leaf):
    rng = np.random.default_rng(labels)
    rows = csr_matrix((rng.random((150, 40)) < 0.2).astype(np.uint8))
    y = rng.integers(0, labels, 150)
    weights = rng.random(150)
    model = ExtraTreesClassifier(30, min_samples_leaf=least_leaf, random_state=0)
    trees = read_presence_trees(model.fit(rows, y, sample_weight=weights))
    asked = csr_matrix((rng.random((300, 40)) < 0.3).astype(np.uint8))
    # Shares are kept in float32.
    np.testing.assert_allclose(
        trees.predict_proba(asked), model.predict_proba(asked), atol=1e-7, rtol=0
    )
    assert trees.gap.dtype == np.uint8
    alone = np.vstack([trees.predict_proba(row) for row in asked[:20]])
    assert (alone == trees.predict_proba(asked)[:20]).all()


def test_it_reads_what_tfidf_reads():
    fitted = small().fit(X, Y)
    words = CountVectorizer(binary=True, min_df=2).fit([baseline_text(trial) for trial in X])
    assert fitted.terms_ == words.get_feature_names_out().tolist()
    assert fitted.score(X, Y) == 1.0
    assert fitted.sections_ == ("phase", "conditions", "icd_codes", "interventions", "criteria")
    pairs = small(pairs=True).fit(X, Y).terms_
    assert "risky and" in pairs
    assert set(fitted.terms_) < set(pairs)


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
    plain, copied = small().fit(X, Y), small(copies=2).fit(X, Y)
    assert copied.terms_ == plain.terms_
    assert copied.base_rates_ == plain.base_rates_
    assert copied.score(X, Y) == 1.0
    thin = [Trial(), Trial(phase="Phase 2")]
    assert (copied.predict_proba(thin) != plain.predict_proba(thin)).any()


ARRAYS = small().fit(X, Y).learner_.to_arrays()
WIDTH = len(small().fit(X, Y).terms_)


@pytest.mark.parametrize(
    "change",
    [
        {"gap": ARRAYS["gap"] + 200},
        {"gap": ARRAYS["gap"] * 0},
        {"gap": ARRAYS["gap"].astype(np.int64)},
        {"gap": ARRAYS["gap"][:0]},
        {"feature": ARRAYS["feature"] + WIDTH},
        {"feature": ARRAYS["feature"][:-1]},
        {"feature": ARRAYS["feature"].astype(np.float32)},
        {"share": ARRAYS["share"] + 1},
        {"share": ARRAYS["share"] * np.nan},
        {"share": ARRAYS["share"][:, :0]},
        {"share": ARRAYS["share"].astype(np.float64)},
        {"roots": ARRAYS["roots"] + len(ARRAYS["gap"])},
        {"roots": ARRAYS["roots"] - 1},
        {"roots": ARRAYS["roots"][:0]},
        {"more": ARRAYS["roots"]},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change):
    told = "do not fit together|other indices|more than its baseline"
    with pytest.raises(BundleError, match=told):
        PresenceTrees.from_arrays({**ARRAYS, **change}, WIDTH, 2)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.integers(0, 99))
def test_whatever_a_file_says_every_path_ends(gaps, seed):
    gap = np.array(gaps, dtype=np.uint8)
    leaves = int((gap == 0).sum())
    rng = np.random.default_rng(seed)
    arrays = {
        "gap": gap,
        "feature": rng.integers(0, 5, len(gap) - leaves).astype(np.uint16),
        "share": rng.random((leaves, 1)).astype(np.float32),
        "roots": rng.integers(0, len(gap), 3),
    }
    try:
        trees = PresenceTrees.from_arrays(arrays, 5, 2)
    except BundleError:
        return
    found = trees.predict_proba(csr_matrix(rng.integers(0, 2, (4, 5))))
    assert ((found >= 0) & (found <= 1)).all()
