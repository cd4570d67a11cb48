"""The classical learners: they learn, repeat bit for bit, and agree with the libraries."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread
from typing import get_args

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from llm4top.errors import BundleError, ModelError, TaskError
from llm4top.forecasters.baselines.catalog import BASELINES
from llm4top.forecasters.baselines.classical import (
    LEARNERS,
    ClassicalForecaster,
    LearnerName,
    choose_donors,
)
from llm4top.forecasters.baselines.feature_matrix import _memory
from llm4top.forecasters.baselines.learners import (
    DenseLearner,
    TreeLearner,
    one_thread,
    read_adaboost,
    read_dense,
    read_forest,
    read_regression,
    read_xgboost,
)
from llm4top.registry.trial import Trial
from tests.forecasters.baseline_kit import THREE, planted

NAMES = tuple(LEARNERS)


def test_every_learner_has_its_name():
    assert set(get_args(LearnerName)) == set(NAMES) < set(BASELINES)


@pytest.mark.parametrize("learner", NAMES)
def test_each_learns_what_was_planted(learner):
    X, y = planted(80)
    unseen, truth = planted(95)
    forecaster = ClassicalForecaster(learner=learner).fit(X, y)
    found = forecaster.predict_proba(unseen[80:])
    assert found.shape == (15, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (forecaster.predict(unseen[80:]) == truth[80:]).all()


@pytest.mark.parametrize("learner", NAMES)
def test_three_labels_and_names(learner):
    X, y = planted(60, labels=3)
    forecaster = ClassicalForecaster(THREE, learner=learner)
    forecaster.fit(X, [THREE.labels[i] for i in y])
    assert forecaster.classes_.tolist() == ["high", "low", "none"]
    assert forecaster.score(X, [THREE.labels[i] for i in y]) > 0.9
    assert forecaster.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("learner", NAMES)
def test_the_same_seed_gives_the_same_bits_whatever_the_threads(learner):
    X, y = planted(60)
    found = []
    for threads in (1, 2):
        # Without what is remembered from the first time.
        _memory.clear()
        with threadpool_limits(limits=threads):
            fitted = ClassicalForecaster(learner=learner, seed=3).fit(X, y)
            found.append(fitted.predict_proba(X))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("learner", NAMES)
def test_a_trial_is_forecast_alone_as_among_others(learner):
    X, y = planted(50)
    fitted = ClassicalForecaster(learner=learner).fit(X, y)
    alone = np.vstack([fitted.predict_proba([trial]) for trial in X[:5]])
    np.testing.assert_allclose(alone, fitted.predict_proba(X)[:5], atol=1e-12)


def test_another_seed_gives_another_forest():
    X, y = planted(60)
    one, two = (ClassicalForecaster(learner="forest", seed=s).fit(X, y) for s in (0, 1))
    assert (one.predict_proba(X) != two.predict_proba(X)).any()


def test_they_are_classifiers_over_trials():
    X, y = planted(40)
    forecaster = ClassicalForecaster(learner="logistic")
    with pytest.raises(NotFittedError):
        clone(forecaster).predict_proba(X)
    assert cross_val_predict(forecaster, X, y, cv=2, method="predict_proba").shape == (40, 2)
    with pytest.raises(TaskError, match="'win' is not a label"):
        clone(forecaster).fit(X, ["win"] * 40)
    with pytest.raises(ModelError, match=r"no classical learner 'oracle'.*Known: logistic"):
        ClassicalForecaster(learner="oracle").fit(X, y)


def test_hidden_fields_make_no_difference():
    X, y = planted(40)
    fitted = ClassicalForecaster(learner="xgboost").fit(X, y)
    told = [replace(trial, planned_enrolment=5, planned_start="2031-01") for trial in X]
    np.testing.assert_array_equal(fitted.predict_proba(told), fitted.predict_proba(X))
    again = ClassicalForecaster(learner="xgboost").fit(told, y)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_missing_numbers_come_from_the_nearest_trials():
    X, y = planted(60)
    fitted = ClassicalForecaster(learner="knn-forest").fit(X, y)
    filled = fitted._filled(fitted.features_.rows(X))
    assert not np.isnan(filled).any()
    average = np.nan_to_num(fitted.features_.rows(X), nan=0.0)
    assert (filled != average).any()
    assert fitted.predict_proba([Trial()]).shape == (1, 2)


def test_donors_are_bounded_and_seeded():
    rows = np.arange(12_000.0).reshape(-1, 2)
    assert choose_donors(rows, 0).shape == (5000, 2)
    np.testing.assert_array_equal(choose_donors(rows, 4), choose_donors(rows, 4))
    assert choose_donors(rows[:10], 0) is not None


def rows_and_targets(classes: int):
    random = np.random.default_rng(5)
    # Rounded, so that rows fall exactly on the trees' thresholds.
    rows = random.normal(size=(240, 6)).round(1)
    signal = rows[:, 0] + rows[:, 1] * rows[:, 2] + random.normal(size=240)
    edges = [0.0] if classes == 2 else [-0.5, 0.7]
    return rows, np.digitize(signal, edges), random.normal(size=(200, 6)).round(1)


@pytest.mark.parametrize("classes", [2, 3])
def test_arrays_forecast_as_the_libraries_do(classes):
    rows, y, new = rows_and_targets(classes)
    network = MLPClassifier((8,), random_state=0)
    for _ in range(10):
        network.partial_fit(rows, y, classes=np.unique(y))
    start = 0.4 if classes == 2 else 0.5
    base = np.array([0.0, np.log(0.4 / 0.6)]) if classes == 2 else np.zeros(classes)
    stump = DecisionTreeClassifier(max_depth=2)
    regression = LogisticRegression().fit(rows, y)
    forest = RandomForestClassifier(20, min_samples_leaf=3, random_state=0).fit(rows, y)
    boosted = AdaBoostClassifier(stump, n_estimators=20, random_state=0).fit(rows, y)
    gradient = XGBClassifier(n_estimators=30, max_depth=4, base_score=start).fit(rows, y)
    for model, learnt, tolerance in (
        (regression, read_regression(regression), 1e-12),
        (network, read_dense(network.coefs_, network.intercepts_), 1e-12),
        (forest, read_forest(forest), 1e-12),
        (boosted, read_adaboost(boosted), 1e-12),
        (gradient, read_xgboost(gradient, classes, base), 1e-6),
    ):
        np.testing.assert_allclose(
            learnt.predict_proba(new), model.predict_proba(new), atol=tolerance
        )
        again = type(learnt).from_arrays(learnt.to_arrays(), 6, classes)
        np.testing.assert_array_equal(again.predict_proba(new), learnt.predict_proba(new))


def a_tree() -> dict[str, np.ndarray]:
    rows, y, _ = rows_and_targets(2)
    return read_forest(RandomForestClassifier(2, random_state=0).fit(rows, y)).to_arrays()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", lambda a: np.where(a == a.max(), 10_000, a)),
        ("left", lambda a: np.zeros_like(a)),
        ("left", lambda a: -a),
        ("right", lambda a: a[:-1]),
        ("feature", lambda a: a + 6),
        ("roots", lambda a: a + 10_000),
        ("roots", lambda a: a[:0]),
        ("threshold", lambda a: a * np.nan),
        ("threshold", lambda a: a.astype(np.float32)),
        ("value", lambda a: a[:, :1]),
        ("base", lambda a: a[:1]),
        ("exponential", lambda a: a + 7),
        ("feature", lambda a: a.astype(np.float64)),
    ],
)
def test_trees_from_a_file_are_checked(name, change):
    arrays = a_tree()
    TreeLearner.from_arrays(arrays, 6, 2)
    with pytest.raises(BundleError, match="holds "):
        TreeLearner.from_arrays({**arrays, name: change(arrays[name])}, 6, 2)
    with pytest.raises(BundleError, match="holds no trees"):
        TreeLearner.from_arrays({**arrays, "more": arrays["left"]}, 6, 2)


def test_layers_from_a_file_are_checked():
    good = {"weights.0": np.ones((3, 1)), "bias.0": np.ones(1)}
    DenseLearner.from_arrays(good, 3, 2)
    for bad in (
        {},
        {"weights.0": np.ones((3, 1))},
        {**good, "weights.0": np.ones((2, 1))},
        {**good, "bias.0": np.ones(2)},
        {**good, "weights.0": np.full((3, 1), np.inf)},
    ):
        with pytest.raises(BundleError, match="holds"):
            DenseLearner.from_arrays(bad, 3, 2)


def test_limits_of_two_threads_do_not_overlap():
    # Each would put back the other's limit, and linear algebra would stay on one thread.
    inside = []

    def enter() -> None:
        with one_thread():
            inside.append(1)

    with one_thread() as outer:
        other = Thread(target=enter)
        other.start()
        other.join(0.05)
        assert not inside
        with one_thread() as inner:
            assert (inner, outer >= 1) == (1, True)
    other.join()
    assert inside
