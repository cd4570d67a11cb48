"""Fitted learners as arrays.

scikit-learn and XGBoost fit; the fitted parameters are then read out as plain arrays, and it is
these that forecast, before saving as after loading. So a stored baseline needs no pickle, does not
depend on either library's version, and nothing that a file says reaches compiled code: every index
is checked where arrays come from a file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from threading import RLock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.terms import TermRows
from llm4top.forecasters.calibration.calibrated import softmax

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

_CHUNK = 512
_MOST_LAYERS = 8


@dataclass(frozen=True, eq=False)
class DenseLearner:
    """Dense layers with rectified linear units between them; without a hidden layer, a regression.

    Layer i has ``weights[i]`` ``[in, out]`` and ``biases[i]`` ``[out]``; the last gives one
    number for the second of two classes, or one for each class.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]

    def predict_proba(self, rows: TermRows | FloatArray) -> FloatArray:
        """Probabilities ``[n, K]`` of rows ``[n, F]`` without gaps."""
        values: Any = rows
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weights + bias, 0.0)
        values = np.asarray(values @ self.weights[-1]) + self.biases[-1]
        if values.shape[1] == 1:
            values = np.hstack([np.zeros_like(values), values])
        return np.asarray(softmax(values))

    def to_arrays(self) -> Arrays:
        """Named arrays that hold all of it."""
        named: Arrays = {f"weights.{i}": w for i, w in enumerate(self.weights)}
        return named | {f"bias.{i}": b for i, b in enumerate(self.biases)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], width: int, classes: int) -> Self:
        """Inverse of ``to_arrays``, for rows of ``width`` columns.

        Raises ``BundleError`` where the arrays do not fit together.
        """
        count = len(arrays) // 2
        names = [f"{kind}.{i}" for kind in ("weights", "bias") for i in range(count)]
        if not 1 <= count <= _MOST_LAYERS or set(arrays) != set(names):
            raise BundleError("holds no dense layers.")
        weights = tuple(numbers(arrays[f"weights.{i}"], 2) for i in range(count))
        biases = tuple(numbers(arrays[f"bias.{i}"], 1) for i in range(count))
        sizes = [width, *(len(bias) for bias in biases)]
        shapes = list(pairwise(sizes))
        if [w.shape for w in weights] != shapes or sizes[-1] != (1 if classes == 2 else classes):
            raise BundleError("holds dense layers that do not fit together.")
        return cls(weights, biases)


@dataclass(frozen=True, eq=False)
class TreeLearner:
    """Trees whose leaves are summed, all nodes in one table.

    Node i goes to ``left[i]`` where the row's ``feature[i]``, as float32, is at most
    ``threshold[i]``, else to ``right[i]``; a leaf goes to itself and adds ``value[i]`` ``[K]``.
    ``roots`` are the trees' first nodes. The sums, plus ``base`` ``[K]``, are probabilities
    where ``exponential`` is false, else their softmax is.
    """

    left: IntArray
    right: IntArray
    feature: IntArray
    threshold: FloatArray
    value: FloatArray
    roots: IntArray
    base: FloatArray
    exponential: bool

    def predict_proba(self, rows: FloatArray) -> FloatArray:
        """Probabilities ``[n, K]`` of rows ``[n, F]`` without gaps."""
        narrow = rows.astype(np.float32)
        sums = np.empty((len(rows), self.value.shape[1]))
        for start in range(0, len(rows), _CHUNK):
            sums[start : start + _CHUNK] = self._sums(narrow[start : start + _CHUNK])
        sums += self.base
        if self.exponential:
            return np.asarray(softmax(sums))
        return np.asarray(sums / sums.sum(axis=1, keepdims=True))

    def _sums(self, rows: NDArray[np.float32]) -> FloatArray:
        row = np.arange(len(rows))[:, None]
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        while True:
            below = rows[row, self.feature[node]] <= self.threshold[node]
            reached = np.where(below, self.left[node], self.right[node])
            if (reached == node).all():
                break
            node = reached
        # Tree after tree: the order of a sum must not depend on how many rows there are.
        sums = np.zeros((len(rows), self.value.shape[1]))
        for tree in range(len(self.roots)):
            sums += self.value[node[:, tree]]
        return sums

    def to_arrays(self) -> Arrays:
        """Named arrays that hold all of it."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return arrays | {"exponential": np.array([int(self.exponential)])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], width: int, classes: int) -> Self:
        """Inverse of ``to_arrays``, for rows of ``width`` columns.

        Raises ``BundleError`` where an index points nowhere, a path would not end, or the arrays
        do not fit together.
        """
        if set(arrays) != {field.name for field in fields(cls)}:
            raise BundleError("holds no trees.")
        nodes = len(arrays["left"])
        here = np.arange(nodes)
        left, right, feature, roots = (
            indices(arrays[name]) for name in ("left", "right", "feature", "roots")
        )
        threshold = numbers(arrays["threshold"], 1)
        value, base = numbers(arrays["value"], 2), numbers(arrays["base"], 1)
        fits = (
            len(right) == len(feature) == len(threshold) == len(value) == nodes > 0
            and value.shape[1] == len(base) == classes
            and roots.size > 0
            and bool((roots < nodes).all() and (feature < max(width, 1)).all())
            and bool((left < nodes).all() and (right < nodes).all())
            # Children come after their parent, so that every path ends.
            and bool(((left > here) & (right > here) | (left == here) & (right == here)).all())
        )
        flag = arrays["exponential"].tolist()
        if not fits or flag not in ([0], [1]):
            raise BundleError("holds trees that do not fit together.")
        return cls(left, right, feature, threshold, value, roots, base, bool(flag[0]))


def numbers(array: NDArray[Any], dimensions: int) -> FloatArray:
    """An array from a file, if it holds finite float64; ``BundleError`` if not."""
    if array.dtype != np.float64 or array.ndim != dimensions or not np.isfinite(array).all():
        raise BundleError("holds an array of other numbers than it should.")
    return array


def indices(array: NDArray[Any]) -> IntArray:
    """An array from a file, if it holds a list of int64 from 0; ``BundleError`` if not."""
    if array.dtype != np.int64 or array.ndim != 1 or (array < 0).any():
        raise BundleError("holds an array of other indices than it should.")
    return array


Learner = DenseLearner | TreeLearner
"""A fitted learner: from rows ``[n, F]`` to probabilities ``[n, K]``."""


def read_dense(weights: Sequence[Any], biases: Sequence[Any]) -> DenseLearner:
    """The layers of a fitted ``LogisticRegression`` or of an ``MLPClassifier``."""
    return DenseLearner(
        tuple(np.ascontiguousarray(layer, dtype=np.float64) for layer in weights),
        tuple(np.asarray(bias, dtype=np.float64) for bias in biases),
    )


def read_regression(model: Any) -> DenseLearner:
    """The parameters of a fitted ``LogisticRegression``."""
    return read_dense([np.asarray(model.coef_).T], [model.intercept_])


def read_forest(model: Any) -> TreeLearner:
    """A fitted ``RandomForestClassifier``: the mean of its trees' leaf shares."""
    trees = [estimator.tree_ for estimator in model.estimators_]
    values = []
    for tree in trees:
        counts = np.asarray(tree.value)[:, 0, :]
        values.append(counts / counts.sum(axis=1, keepdims=True) / len(trees))
    return _of_sklearn(trees, values, exponential=False)


def read_adaboost(model: Any) -> TreeLearner:
    """A fitted ``AdaBoostClassifier`` of decision trees.

    Each tree votes for its leaf's commonest class with its weight and against the others with
    that weight over K - 1; the softmax of the mean votes over K - 1 are the probabilities.
    """
    trees, values = [], []
    classes = int(model.n_classes_)
    total = float(model.estimator_weights_.sum())
    for estimator, weight in zip(model.estimators_, model.estimator_weights_, strict=False):
        tree = estimator.tree_
        chosen = np.asarray(tree.value)[:, 0, :].argmax(axis=1)
        votes = np.full((tree.node_count, classes), -1.0 / (classes - 1))
        votes[np.arange(tree.node_count), chosen] = 1.0
        trees.append(tree)
        values.append(votes * (weight / total / (classes - 1)))
    return _of_sklearn(trees, values, exponential=True)


def _of_sklearn(
    trees: Sequence[Any], values: Sequence[FloatArray], *, exponential: bool
) -> TreeLearner:
    tables = [
        (t.children_left, t.children_right, t.feature, np.asarray(t.threshold), value)
        for t, value in zip(trees, values, strict=True)
    ]
    return _joined(tables, np.zeros(values[0].shape[1]), exponential=exponential)


def read_xgboost(model: Any, classes: int, base: FloatArray) -> TreeLearner:
    """An ``XGBClassifier`` fitted on rows without gaps.

    ``base`` ``[K]`` are the log-odds it started from: its ``base_score`` as logits.
    """
    stored = json.loads(bytes(model.get_booster().save_raw("json")))
    content = stored["learner"]["gradient_booster"]["model"]
    tables = []
    for tree, group in zip(content["trees"], content["tree_info"], strict=True):
        condition = np.asarray(tree["split_conditions"], dtype=np.float32)
        value = np.zeros((len(condition), classes))
        leaf = np.asarray(tree["left_children"]) < 0
        value[leaf, 1 if classes == 2 else group] = condition[leaf]
        # XGBoost goes left where x < c; in float32 that is x <= the number before c.
        threshold = np.nextafter(condition, np.float32(-np.inf)).astype(np.float64)
        children = (np.asarray(tree[f"{side}_children"]) for side in ("left", "right"))
        tables.append((*children, np.asarray(tree["split_indices"]), threshold, value))
    return _joined(tables, base, exponential=True)


def _joined(
    tables: Sequence[tuple[NDArray[Any], ...]], base: FloatArray, *, exponential: bool
) -> TreeLearner:
    """Trees with -1 for a leaf's children, in one table where a leaf is its own child."""
    starts = np.cumsum([0, *(len(table[0]) for table in tables)])
    columns = []
    for start, (left, right, feature, threshold, value) in zip(starts[:-1], tables, strict=True):
        here, leaf = np.arange(len(left)), left < 0
        children = (np.where(leaf, here, side) + start for side in (left, right))
        split = (np.where(leaf, 0, feature), np.where(leaf, 0.0, threshold))
        columns.append((*children, *split, value))
    left, right, feature, threshold, value = map(np.concatenate, zip(*columns, strict=True))
    return TreeLearner(
        left.astype(np.int64),
        right.astype(np.int64),
        feature.astype(np.int64),
        threshold.astype(np.float64),
        value.astype(np.float64),
        starts[:-1].astype(np.int64),
        base.astype(np.float64),
        exponential,
    )


_ALONE = RLock()
"""Limits hold in the whole process: of two threads, one would put back what the other has set."""


@contextmanager
def one_thread() -> Iterator[int]:
    """Linear algebra and OpenMP loops inside run on one thread, so equal inputs give equal bits.

    One thread at a time is inside; others wait. What torch computes is not limited: it has its own
    threads. Yields how many threads linear algebra takes outside.
    """
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    with _ALONE:
        controller = ThreadpoolController()
        libraries = controller.select(user_api="blas").info()
        threads = max((library["num_threads"] for library in libraries), default=1)
        with controller.limit(limits=1):
            yield threads
