"""What every forecaster is to scikit-learn: a classifier over a sequence of trials."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator, ClassifierMixin

from llm4top.forecasters.base_rates import BaseRate
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.data.dataset import Dataset


class TrialClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose ``X`` is a sequence of ``Trial``, without a two-dimensional table.

    Attributes after ``fit``: ``classes_``; ``base_rates_``, the base rates of the training trials
    by phase.
    """

    task: Task | str
    base_rates_: dict[str, BaseRate]

    def save(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        dataset: Dataset | None = None,
        validation: tuple[Iterable[Trial], Iterable[Any]] | None = None,
        replace: bool = False,
    ) -> Any:
        """Write the fitted forecaster into ``folder`` as a bundle; see ``Forecaster.save``.

        Returns:
            The bundle as a ``Forecaster``, loaded from ``folder``.
        """
        return saving().save_estimator(
            self, folder, name=name, dataset=dataset, validation=validation, replace=replace
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def saving() -> ModuleType:
    """The module that saves. It imports all forecasters, so they import it by name, when needed."""
    return import_module("llm4top.forecasters.bundles.save")
