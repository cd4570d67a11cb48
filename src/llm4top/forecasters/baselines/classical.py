"""The classical learners that papers on trial outcomes compare with, over one feature matrix."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

import numpy as np
from scipy.special import logit
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from llm4top.errors import BundleError, ModelError
from llm4top.forecasters.baselines import learners
from llm4top.forecasters.baselines.base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    taken,
)
from llm4top.forecasters.baselines.feature_matrix import FeatureMatrix, fit_features
from llm4top.forecasters.baselines.features import FloatArray
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

LearnerName = Literal["logistic", "forest", "adaboost", "xgboost", "knn-forest", "feed-forward"]

_TOPICS = 100
_STEPS = 200
_NEIGHBOURS = 5
_DONORS = 5000
_FITTED = "learnt."
_DENSE = ("logistic", "feed-forward")


class ClassicalForecaster(BaselineForecaster):
    """A classical learner over a trial's numbers and the topics of its text.

    ``learner`` is one of:

    - "logistic": logistic regression
    - "forest": random forest of 300 trees
    - "adaboost": boosted trees of depth 2; its probabilities lie close to one half, as the
      votes of AdaBoost do
    - "xgboost": gradient-boosted trees
    - "knn-forest": the same forest, with each missing number taken from the five most similar
      training trials instead of the average of all
    - "feed-forward": a network with one hidden layer

    A missing number is otherwise the average of the training trials. Settings are fixed: they
    were chosen by log-loss in 4-fold cross-validation inside TOP's training split, and on its
    newest fifth, in phases I, II, III and all together; no validation or test split was looked at.
    The same trials and ``seed`` give the same bits.

    HINT and its successors print figures of these learners over other features (fingerprints of
    the molecules, ICD codes); its public code has no "kNN + random forest", which follows
    the description "statistical imputation, then a random forest".

    Attributes after ``fit``: ``classes_``; ``features_``, how a trial becomes a row; ``donors_``,
    the rows that missing numbers are taken from, or None; ``learner_``, the fitted learner.
    """

    def __init__(
        self, task: Task | str = "outcome", *, learner: LearnerName = "logistic", seed: int = 0
    ):
        self.task = task
        self.learner = learner
        self.seed = seed

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Learn features and weights.

        Raises ``TaskError`` for labels that are none of the task's and ``ModelError`` for a
        learner that is none.
        """
        if self.learner not in LEARNERS:
            raise ModelError(
                f"no classical learner {self.learner!r:.60}.", hint=f"Known: {', '.join(LEARNERS)}."
            )
        trials, targets = self._learn(X, y)
        self.features_: FeatureMatrix = fit_features(trials, topics=_TOPICS, seed=self.seed)
        rows = self.features_.rows(trials)
        self.donors_: FloatArray | None = None
        if self.learner == "knn-forest":
            self.donors_ = choose_donors(rows, self.seed)
        with learners.one_thread():
            self.learner_: learners.Learner = LEARNERS[self.learner](
                self._filled(rows), targets, self.seed
            )
        return self

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        rows = self.features_.rows(trials)
        with learners.one_thread():
            return self.learner_.predict_proba(self._filled(rows))

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        features = self.features_.to_state()
        own = {} if self.donors_ is None else {"donors": self.donors_}
        fitted = {_FITTED + name: array for name, array in self.learner_.to_arrays().items()}
        return BaselineState({**features.arrays, **own, **fitted}, features.words)

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        arrays = dict(state.arrays)
        fitted = {
            name.removeprefix(_FITTED): arrays.pop(name)
            for name in state.arrays
            if name.startswith(_FITTED)
        }
        self.donors_ = None
        if self.learner == "knn-forest":
            (self.donors_,) = taken(arrays, "donors")
        self.features_ = FeatureMatrix.from_state(BaselineState(arrays, state.words))
        width = self.features_.width
        rows = self.donors_
        if rows is not None and (
            rows.dtype != np.float64
            or rows.ndim != 2
            or rows.shape[1] != width
            or not 0 < len(rows) <= _DONORS
            or np.isinf(rows).any()
        ):
            raise BundleError("holds training rows that do not fit.")
        kind = learners.DenseLearner if self.learner in _DENSE else learners.TreeLearner
        self.learner_ = kind.from_arrays(fitted, width, len(self.classes_))

    def _filled(self, rows: FloatArray) -> FloatArray:
        """Rows without gaps. Numbers are standardised, so that their average is 0."""
        if self.donors_ is None:
            return np.nan_to_num(rows, nan=0.0)
        imputer = KNNImputer(n_neighbors=_NEIGHBOURS, keep_empty_features=True)
        return np.asarray(imputer.fit(self.donors_).transform(rows))


def choose_donors(rows: FloatArray, seed: int) -> FloatArray:
    """The training rows that missing numbers are taken from, at most 5 000."""
    if len(rows) <= _DONORS:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), _DONORS, replace=False)
    return np.asarray(rows[np.sort(chosen)])


def _logistic(rows: FloatArray, targets: learners.IntArray, _seed: int) -> learners.Learner:
    return learners.read_regression(LogisticRegression(C=0.01, max_iter=2000).fit(rows, targets))


def _forest(rows: FloatArray, targets: learners.IntArray, seed: int) -> learners.Learner:
    model = RandomForestClassifier(300, min_samples_leaf=3, n_jobs=1, random_state=seed)
    return learners.read_forest(model.fit(rows, targets))


def _adaboost(rows: FloatArray, targets: learners.IntArray, seed: int) -> learners.Learner:
    tree = DecisionTreeClassifier(max_depth=2)
    model = AdaBoostClassifier(tree, n_estimators=100, learning_rate=0.1, random_state=seed)
    return learners.read_adaboost(model.fit(rows, targets))


def _xgboost(rows: FloatArray, targets: learners.IntArray, seed: int) -> learners.Learner:
    classes = int(targets.max()) + 1
    # Where it starts from: the prevalence of the second of two classes, else all alike.
    start = float(targets.mean()) if classes == 2 else 0.5
    model = XGBClassifier(
        n_estimators=150,
        learning_rate=0.03,
        max_depth=4,
        min_child_weight=5,
        subsample=0.7,
        colsample_bytree=0.2,
        reg_lambda=5.0,
        base_score=start,
        tree_method="hist",
        device="cpu",
        n_jobs=1,
        random_state=seed,
    )
    base = np.array([0.0, float(logit(start))]) if classes == 2 else np.zeros(classes)
    return learners.read_xgboost(model.fit(rows, targets), classes, base)


def _feed_forward(rows: FloatArray, targets: learners.IntArray, seed: int) -> learners.Learner:
    model = MLPClassifier((32,), alpha=5.0, random_state=seed)
    # A fixed number of steps: no rows are held back to say when to stop.
    batches = -(-len(rows) // min(200, len(rows)))
    for _ in range(max(1, _STEPS // batches)):
        model.partial_fit(rows, targets, classes=np.unique(targets))
    return learners.read_dense(model.coefs_, model.intercepts_)


LEARNERS: dict[str, Callable[[FloatArray, learners.IntArray, int], learners.Learner]] = {
    "logistic": _logistic,
    "forest": _forest,
    "adaboost": _adaboost,
    "xgboost": _xgboost,
    "knn-forest": _forest,
    "feed-forward": _feed_forward,
}
"""How each learner fits rows without gaps, targets 0..K-1 and a seed."""
