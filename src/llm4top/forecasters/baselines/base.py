"""What all baselines are: scikit-learn classifiers over trials that see what the task shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.features import visible_trials
from llm4top.forecasters.validation import as_trials, class_positions
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

Probabilities = NDArray[np.float64]
_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class BaselineState:
    """What a fitted baseline has learnt, as a file can hold it: named arrays, and lists of words.

    What comes from a file may hold anything: whoever reads it checks it.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)


class BaselineForecaster(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trials in, probabilities in the task's label order out; no two-dimensional input."""

    task: Task | str

    def predict(self, X: Iterable[Trial]) -> NDArray[Any]:
        """The most probable class of each trial: ``[n]``."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``."""
        raise NotImplementedError

    def state(self) -> BaselineState:
        """All it has learnt beside ``classes_``."""
        raise NotImplementedError

    def restore(self, state: BaselineState) -> None:
        """Inverse of ``state``, once ``classes_`` is set; ``BundleError`` if it does not fit."""
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


def wanted(parts: Mapping[str, _T], *names: str, more: bool = False) -> list[_T]:
    """Those parts of a state, in that order.

    Raises ``BundleError`` where one is missing or, without ``more``, where there is another.
    """
    if missing := [name for name in names if name not in parts]:
        raise BundleError(f"lacks {', '.join(missing)}.")
    if not more and set(parts) != set(names):
        raise BundleError("holds more than its baseline has learnt.")
    return [parts[name] for name in names]
