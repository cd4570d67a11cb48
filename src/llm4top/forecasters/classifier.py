"""What every forecaster is to scikit-learn: a classifier over a sequence of trials."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm4top.errors import TaskError
from llm4top.forecasters.base_rates import BaseRate
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

if TYPE_CHECKING:
    from llm4top.data.dataset import Dataset


def as_trials(X: Iterable[Any]) -> list[Trial]:
    """``X`` as a list of trials; ``TypeError`` names the first item that is none."""
    if hasattr(X, "columns"):
        raise TypeError("X is a table; make trials of it with llm4top.trials_from_frame(X).")
    if isinstance(X, Trial) or not isinstance(X, Iterable):
        raise TypeError(f"X must be a sequence of Trial, not {type(X).__name__}.")
    trials = list(X)
    for position, item in enumerate(trials):
        if not isinstance(item, Trial):
            advice = "Make trials of a table's rows with llm4top.trials_from_frame(X)."
            if hasattr(item, "trial"):
                advice = "Pass the records' trials: [record.trial for record in records]."
            raise TypeError(f"X[{position}] is {type(item).__name__}, not Trial. {advice}")
    return trials


def class_positions(task: Task, y: Iterable[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The classes that ``y`` holds and, for each of its items, the position in the task's labels.

    ``y`` holds the task's labels, their positions 0..K-1, or for a binary task booleans; classes
    are of the same kind, in the order of the task's labels. scikit-learn's own scorers sort
    strings alphabetically; where the task's order is another one a ``UserWarning`` says so.

    Raises ``TaskError`` for an item that is no label, and where fewer than two labels occur.
    """
    values = list(y.tolist() if isinstance(y, np.ndarray) else y)
    kinds = {bool if isinstance(v, bool | np.bool_) else type(v) for v in values}
    if all(issubclass(kind, str) for kind in kinds):
        names: Sequence[Any] = task.labels
        if tuple(sorted(names)) != task.labels:
            warnings.warn(
                f"the labels of task {task.name!r} are not in alphabetical order, in which "
                "scikit-learn's scorers and cross_val_predict sort strings: with those, pass "
                "positions instead, [task.label_index(label) for label in y].",
                UserWarning,
                stacklevel=3,
            )
    elif kinds == {bool} and task.kind == "binary":
        names = (False, True)
    elif all(issubclass(kind, int | np.integer) for kind in kinds) and bool not in kinds:
        names = tuple(range(len(task.labels)))
    else:
        mixed = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TaskError(
            f"y holds {mixed}.",
            hint=f"Give labels of task {task.name!r} ({', '.join(task.labels)}) "
            f"or their positions, 0 to {len(task.labels) - 1}.",
        )
    known = {name: position for position, name in enumerate(names)}
    for value in values:
        if value not in known:
            raise TaskError(
                f"{value!r} is not a label of task {task.name!r}.",
                hint=f"Its labels are: {', '.join(map(str, names))}.",
            )
    positions = np.array([known[value] for value in values], dtype=np.int64)
    present = sorted(set(positions.tolist()))
    if len(present) < 2:
        raise TaskError(
            f"y holds {len(present)} of the labels of task {task.name!r}; two or more are needed.",
            hint="A split that is stratified by label keeps all of them.",
        )
    return np.array([names[i] for i in present]), positions


def checked_weights(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    """``sample_weight`` as float64 ``[n]``; None stays None.

    Raises ``ValueError`` where it is not one number a trial, from 0 and not all 0.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight has shape {weights.shape}, not ({n},).")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight needs finite numbers from 0, one of them above 0.")
    return weights


def weights_of(
    class_weight: Mapping[Any, float] | str | None,
    classes: NDArray[Any],
    targets: NDArray[np.int64],
) -> tuple[float, ...] | None:
    """The loss's weight of each class, in the order of ``classes``; None weighs all alike.

    ``targets`` are positions in ``classes``. As scikit-learn has it: "balanced" takes
    n / (classes x n of that class), and a class that a mapping leaves out weighs 1.
    Raises ``TaskError`` for a name that is no class, and for any other text.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise TaskError(f"no class weight {class_weight!r}.", hint="Choose 'balanced'.")
        counts = np.bincount(targets, minlength=len(classes))
        return tuple((len(targets) / (len(classes) * counts)).tolist())
    unknown = [name for name in class_weight if name not in classes.tolist()]
    if unknown:
        raise TaskError(f"class_weight names {unknown[0]!r}, which y does not hold.")
    return tuple(float(class_weight.get(name, 1.0)) for name in classes.tolist())


class TrialClassifier:
    """A classifier whose ``X`` is a sequence of ``Trial``, without a two-dimensional table.

    It keeps the protocol of scikit-learn's estimators (parameters are the arguments of
    ``__init__`` and attributes of the same names; clones, tags, scores) and is none of its
    subclasses: to forecast, scikit-learn is not imported, which takes longer than a forecast.

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
        # The module imports all forecasters, so they import it when it is needed.
        forecaster = import_module("llm4top.forecasters.forecaster").as_forecaster(self)
        return forecaster.save(
            folder, name=name, dataset=dataset, validation=validation, replace=replace
        )

    def predict(self, X: Iterable[Trial]) -> NDArray[Any]:
        """The most probable class of each trial: ``[n]``."""
        raise NotImplementedError

    def score(self, X: Iterable[Trial], y: Any, sample_weight: Any = None) -> float:
        """The accuracy on trials and their labels."""
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """The names of the arguments of ``__init__``, sorted."""
        return sorted([*inspect.signature(cls.__init__).parameters][1:])

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - none is nested
        """The parameters by name. ``deep`` is for scikit-learn: no parameter has parameters."""
        return {name: getattr(self, name) for name in self._get_param_names()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``ValueError`` for a name that is none."""
        known = self._get_param_names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{name!r} is no parameter of {type(self).__name__}: {', '.join(known)}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The class with the parameters that are not at their defaults."""
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def _check_fitted(self) -> None:
        """Raise scikit-learn's ``NotFittedError`` before ``fit``."""
        if not self.__sklearn_is_fitted__():
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False),
        )
