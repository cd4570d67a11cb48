"""The classical learners that papers on trial outcomes compare with, over one feature matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

import numpy as np
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted
from xgboost import XGBClassifier

from llm4top.errors import ModelError
from llm4top.forecasters._baseline_base import BaselineForecaster, Probabilities
from llm4top.forecasters._feature_matrix import FeatureMatrix, fit_features
from llm4top.forecasters._features import FloatArray
from llm4top.forecasters._threads import one_thread
from llm4top.registry import Trial
from llm4top.tasks import Task

Learner = Literal["logistic", "forest", "adaboost", "xgboost", "knn-forest", "feed-forward"]

_TOPICS = 100
_EPOCHS = 60
_NEIGHBOURS = 5
_DONORS = 5000


class ClassicalForecaster(BaselineForecaster):
    """A classical learner over a trial's numbers and the topics of its text.

    ``learner`` is "logistic", "forest", "adaboost", "xgboost", "knn-forest" or "feed-forward".
    """

    def __init__(
        self, task: Task | str = "outcome", *, learner: Learner = "logistic", seed: int = 0
    ):
        self.task = task
        self.learner = learner
        self.seed = seed

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Learn features and weights; ``TaskError`` for labels that are none of the task's."""
        trials, targets = self._learn(X, y)
        self.features_: FeatureMatrix = fit_features(trials, topics=_TOPICS, seed=self.seed)
        rows = self.features_.rows(trials)
        with one_thread():
            self.donors_ = donors(rows, self.seed) if self.learner == "knn-forest" else None
            self.model_: Any = make_learner(self.learner, self.seed)
            filled = self._filled(rows)
            if isinstance(self.model_, MLPClassifier):
                train_epochs(self.model_, filled, targets)
            else:
                self.model_.fit(filled, targets)
        return self

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``."""
        check_is_fitted(self)
        trials = self._visible(X)
        if not trials:
            return np.empty((0, len(self.classes_)))
        with one_thread():
            found = self.model_.predict_proba(self._filled(self.features_.rows(trials)))
        found = np.asarray(found, dtype=np.float64)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def _filled(self, rows: FloatArray) -> FloatArray:
        """Rows without gaps. Numbers are standardised, so that their average is 0."""
        if self.donors_ is None:
            return np.nan_to_num(rows, nan=0.0)
        imputer = KNNImputer(n_neighbors=_NEIGHBOURS, keep_empty_features=True).fit(self.donors_)
        return np.asarray(imputer.transform(rows))


def make_learner(learner: Learner, seed: int) -> Any:
    """An unfitted scikit-learn classifier with the settings that the baselines use."""
    if learner == "logistic":
        return LogisticRegression(C=0.01, max_iter=2000)
    if learner in ("forest", "knn-forest"):
        return RandomForestClassifier(
            300, min_samples_leaf=3, max_features="sqrt", n_jobs=1, random_state=seed
        )
    if learner == "adaboost":
        return AdaBoostClassifier(
            DecisionTreeClassifier(max_depth=1), n_estimators=200, learning_rate=0.3,
            random_state=seed,
        )  # fmt: skip
    if learner == "xgboost":
        return XGBClassifier(
            n_estimators=200, learning_rate=0.03, max_depth=4, subsample=0.8,
            colsample_bytree=0.3, min_child_weight=5, reg_lambda=5.0, tree_method="hist",
            device="cpu", n_jobs=1, random_state=seed,
        )  # fmt: skip
    if learner == "feed-forward":
        return MLPClassifier((32,), alpha=1.0, learning_rate_init=1e-3, random_state=seed)
    raise ModelError(f"no classical learner {learner!r}.")


def train_epochs(network: MLPClassifier, rows: FloatArray, targets: Any) -> None:
    """Train for a fixed number of passes over the rows: nothing is held back, nothing stops it."""
    for _ in range(_EPOCHS):
        network.partial_fit(rows, targets, classes=np.unique(targets))


def donors(rows: FloatArray, seed: int) -> FloatArray:
    """The training rows that missing values are taken from, at most 5 000."""
    if len(rows) <= _DONORS:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), _DONORS, replace=False)
    return rows[np.sort(chosen)]
