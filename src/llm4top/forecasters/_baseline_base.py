"""What all baselines are: scikit-learn classifiers over trials that see what the task shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from llm4top.forecasters._features import visible_trials
from llm4top.forecasters._labels import as_trials, class_positions
from llm4top.registry import Trial
from llm4top.tasks import Task, get_task

Probabilities = NDArray[np.float64]


class BaselineForecaster(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trials in, probabilities in the task's label order out; no two-dimensional input."""

    task: Task | str

    def predict(self, X: Iterable[Trial]) -> NDArray[Any]:
        """The most probable class of each trial: ``[n]``."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def _learn(self, X: Iterable[Trial], y: Iterable[Any]) -> tuple[list[Trial], NDArray[np.int64]]:
        """Sets ``classes_``; the trials as the task shows them, each label's position in it."""
        trials = self._visible(X)
        self.classes_, positions = class_positions(get_task(self.task), y)
        if len(trials) != len(positions):
            raise ValueError(f"X has {len(trials)} trials and y {len(positions)} labels.")
        return trials, np.searchsorted(np.unique(positions), positions)

    def _visible(self, X: Iterable[Trial]) -> list[Trial]:
        return visible_trials(get_task(self.task), as_trials(X))
