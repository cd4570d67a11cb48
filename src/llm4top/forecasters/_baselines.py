"""The trivial and the strong baseline that every figure of a model is shown beside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from llm4top.forecasters._baseline_base import BaselineForecaster, Probabilities
from llm4top.forecasters._labels import as_trials
from llm4top.registry import Trial
from llm4top.tasks import Task, get_task


class AlwaysForecaster(BaselineForecaster):
    """Every trial gets the same label for certain: the event of a binary task ("success").

    For any other task it is the label that most training trials have, the first of equals.
    It answers what a figure is worth that "always success" reaches as well.
    """

    def __init__(self, task: Task | str = "outcome"):
        self.task = task

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Learn the labels; ``TaskError`` for labels that are none of the task's."""
        _, targets = self._learn(X, y)
        binary = get_task(self.task).kind == "binary"
        self.certain_ = 1 if binary else int(np.bincount(targets).argmax())
        return self

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """1 for the one label, 0 for the others: ``[n, K]``."""
        check_is_fitted(self)
        return np.tile(np.eye(len(self.classes_))[self.certain_], (len(as_trials(X)), 1))


class BaseRateForecaster(BaselineForecaster):
    """Every trial gets the label frequencies of its phase among the training trials.

    A phase's frequencies are drawn towards those of all phases as if ``prior_trials`` more trials
    of it had been seen at the pooled rate; a phase never seen gets the pooled rate itself.

    Attributes after ``fit``: ``classes_``; ``pooled_``, the frequencies of all phases ``[K]``;
    ``rates_``, those of each phase.
    """

    def __init__(self, task: Task | str = "outcome", *, prior_trials: float = 20.0):
        self.task = task
        self.prior_trials = prior_trials

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Count labels by phase; ``TaskError`` for labels that are none of the task's."""
        trials, targets = self._learn(X, y)
        labels = len(self.classes_)
        self.pooled_: Probabilities = np.bincount(targets, minlength=labels) / len(targets)
        self.rates_: dict[str | None, Probabilities] = {}
        for phase in {trial.phase for trial in trials}:
            mine = targets[[trial.phase == phase for trial in trials]]
            counts = np.bincount(mine, minlength=labels) + self.prior_trials * self.pooled_
            self.rates_[phase] = counts / counts.sum()
        return self

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """The frequencies of each trial's phase: ``[n, K]``."""
        check_is_fitted(self)
        rates = [self.rates_.get(trial.phase, self.pooled_) for trial in self._visible(X)]
        return np.array(rates, dtype=np.float64).reshape(-1, len(self.classes_))


class TfidfForecaster(BaselineForecaster):
    """Words and word pairs, weighted by TF-IDF, under a logistic regression.

    It reads phase, conditions, interventions, ICD codes and criteria, which any source of trials
    has. ``regularisation`` is scikit-learn's ``C``; ``min_count`` is the number of training trials
    a term must occur in.
    """

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        regularisation: float = 1.0,
        min_count: int = 2,
        class_weight: dict[Any, float] | str | None = None,
    ):
        self.task = task
        self.regularisation = regularisation
        self.min_count = min_count
        self.class_weight = class_weight

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Learn terms and weights; ``TaskError`` for labels that are none of the task's."""
        trials, targets = self._learn(X, y)
        weight = self.class_weight
        if isinstance(weight, dict):
            positions = {name: i for i, name in enumerate(self.classes_.tolist())}
            weight = {positions[name]: value for name, value in weight.items()}
        self.pipeline_: Pipeline = make_pipeline(
            TfidfVectorizer(
                ngram_range=(1, 2), min_df=min(self.min_count, len(trials)), sublinear_tf=True
            ),
            LogisticRegression(C=self.regularisation, max_iter=1000, class_weight=weight),
        )
        self.pipeline_.fit([baseline_text(trial) for trial in trials], targets)
        return self

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``."""
        check_is_fitted(self)
        texts = [baseline_text(trial) for trial in self._visible(X)]
        if not texts:
            return np.empty((0, len(self.classes_)))
        return np.asarray(self.pipeline_.predict_proba(texts), dtype=np.float64)


def baseline_text(trial: Trial) -> str:
    """The trial as ``TfidfForecaster`` reads it. Phase and codes are one word each."""
    phase = "phase_" + "_".join((trial.phase or "none").lower().replace("/", " ").split())
    codes = [f"icd_{code.replace('.', '_')}" for code in trial.icd_codes]
    names = [item.name for item in trial.interventions]
    parts = [phase, *trial.conditions, *names, *codes, trial.criteria or ""]
    return "\n".join(parts)
