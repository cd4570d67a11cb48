"""Narrow trees: the same as scikit-learn's, and no hostile path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.ensemble import ExtraTreesClassifier

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.narrow_trees import NarrowTrees, read_narrow_trees


def drawn(count: int, *, words: bool, seed: int = 0):
    rng = np.random.default_rng(seed)
    if words:
        return csr_matrix((rng.random((count, 40)) < 0.2).astype(np.uint8))
    return rng.normal(size=(count, 40)).round(2)


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("least_leaf", [1, 4])
def test_the_arrays_forecast_what_scikit_learn_does(words, labels, least_leaf):
    rng = np.random.default_rng(labels)
    y, weights = rng.integers(0, labels, 150), rng.random(150)
    model = ExtraTreesClassifier(30, min_samples_leaf=least_leaf, random_state=0)
    model.fit(drawn(150, words=words), y, sample_weight=weights)
    trees = read_narrow_trees(model, presence=words)
    asked = drawn(300, words=words, seed=1)
    # Shares are kept in float32.
    np.testing.assert_allclose(
        trees.predict_proba(asked), model.predict_proba(asked), atol=1e-7, rtol=0
    )
    assert trees.gap.dtype == np.uint8
    alone = np.vstack([trees.predict_proba(asked[i : i + 1]) for i in range(20)])
    assert (alone == trees.predict_proba(asked)[:20]).all()


ROWS = drawn(60, words=False)
MODEL = ExtraTreesClassifier(10, random_state=0).fit(ROWS, np.arange(60) % 2)
ARRAYS = read_narrow_trees(MODEL, presence=False).to_arrays()
WIDTH = 40


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
        {"threshold": ARRAYS["threshold"][:-1]},
        {"threshold": ARRAYS["threshold"] * np.nan},
        {"threshold": ARRAYS["threshold"].astype(np.float64)},
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
    told = "do not fit together|other indices|holds no trees"
    with pytest.raises(BundleError, match=told):
        NarrowTrees.from_arrays({**ARRAYS, **change}, WIDTH, 2)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.integers(0, 99))
def test_whatever_a_file_says_every_path_ends(gaps, seed):
    gap = np.array(gaps, dtype=np.uint8)
    leaves = int((gap == 0).sum())
    rng = np.random.default_rng(seed)
    arrays = {
        "gap": gap,
        "feature": rng.integers(0, 5, len(gap) - leaves).astype(np.uint16),
        "threshold": np.empty(0, dtype=np.float32),
        "share": rng.random((leaves, 1)).astype(np.float32),
        "roots": rng.integers(0, len(gap), 3),
    }
    try:
        trees = NarrowTrees.from_arrays(arrays, 5, 2)
    except BundleError:
        return
    found = trees.predict_proba(csr_matrix(rng.integers(0, 2, (4, 5))))
    assert ((found >= 0) & (found <= 1)).all()
