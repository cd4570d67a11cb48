"""Forests of hundreds of deep trees as arrays that are narrow enough for a file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.learners import Arrays, FloatArray, indices
from llm4top.forecasters.baselines.terms import TermRows

_ROWS_AT_ONCE = 128
_MOST_NODES = 2**31 - 2
_GAPS = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, eq=False)
class NarrowTrees:
    """Trees as one table of nodes; a row's probabilities are the mean of the leaves it reaches.

    The table holds tree after tree, the two children of a node side by side. A row goes to the
    second child where its column, as float32, is above the node's threshold. A node of trees over
    words takes about 5 bytes, where ``TreeLearner`` takes 48.

    Attributes:
        gap: ``[nodes]``, how far behind a node its first child is; 0 for a leaf. A path only
            leads on, so that it ends.
        feature: ``[inner]`` uint16, the column that each inner node reads, in the order of nodes.
        threshold: ``[inner]`` float32, likewise; empty where all columns are 0 or 1.
        share: ``[leaves, K - 1]`` float32, the shares of all classes but the first, likewise.
        roots: ``[trees]``, the first node of each tree.
    """

    gap: NDArray[Any]
    feature: NDArray[np.uint16]
    threshold: NDArray[np.float32]
    share: NDArray[np.float32]
    roots: NDArray[np.int64]

    def __post_init__(self) -> None:
        nodes = len(self.gap)
        leaf = self.gap == 0
        place = np.empty(nodes, dtype=np.int32)
        place[leaf] = np.arange(leaf.sum())
        place[~leaf] = self.feature
        limit = np.full(nodes, 0.5, dtype=np.float32)
        if len(self.threshold):
            limit[~leaf] = self.threshold
        # A leaf leads to node 0, which is no node's child.
        child = np.where(leaf, 0, np.arange(nodes) + self.gap).astype(np.int32)
        for name, array in (("_child", child), ("_place", place), ("_limit", limit)):
            object.__setattr__(self, name, array)

    def predict_proba(self, rows: TermRows | FloatArray) -> FloatArray:
        """Probabilities ``[n, K]`` of rows ``[n, F]`` without gaps.

        A row's probabilities do not depend on the other rows, to the last bit.
        """
        others = np.empty((rows.shape[0], self.share.shape[1]))
        for start in range(0, len(others), _ROWS_AT_ONCE):
            chunk = rows[start : start + _ROWS_AT_ONCE]
            dense = chunk if isinstance(chunk, np.ndarray) else chunk.toarray()
            leaves = self._leaves(dense.astype(np.float32, copy=False))
            # A running sum adds tree after tree, whatever the number of rows.
            sums = np.cumsum(self.share[leaves], axis=1, dtype=np.float64)[:, -1]
            others[start : start + _ROWS_AT_ONCE] = sums / len(self.roots)
        # Rounded shares of three classes or more can sum to a little more than 1.
        found = np.column_stack([1.0 - others.sum(axis=1), others]).clip(0.0, 1.0)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def _leaves(self, rows: NDArray[np.float32]) -> NDArray[np.int32]:
        """The leaf of each row in each tree, ``[n, trees]``; all paths go down together."""
        child: NDArray[np.int32] = self._child  # type: ignore[attr-defined]
        place: NDArray[np.int32] = self._place  # type: ignore[attr-defined]
        limit: NDArray[np.float32] = self._limit  # type: ignore[attr-defined]
        n, width = rows.shape
        flat = rows.ravel()
        reached = np.empty(n * len(self.roots), dtype=np.int32)
        path = np.arange(len(reached))
        start = np.repeat(np.arange(n) * width, len(self.roots))
        node = np.tile(self.roots.astype(np.int32), n)
        while len(path):
            below = child[node]
            going = below > 0
            if not going.all():
                reached[path[~going]] = place[node[~going]]
                path, start, node, below = path[going], start[going], node[going], below[going]
            node = below + (flat[start + place[node]] > limit[node])
        return reached.reshape(n, len(self.roots))

    def to_arrays(self) -> Arrays:
        """Named arrays that hold all of it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], width: int, classes: int) -> Self:
        """Inverse of ``to_arrays``, for rows of ``width`` columns.

        Raises ``BundleError`` where an index points nowhere or the arrays do not fit together.
        """
        if set(arrays) != {field.name for field in fields(cls)}:
            raise BundleError("holds no trees.")
        trees = {name: array for name, array in arrays.items() if name != "roots"}
        kinds = {"gap": _GAPS, "feature": (np.uint16,), "threshold": (np.float32,)}
        roots = indices(arrays["roots"])
        sound = all(
            array.dtype in kinds.get(name, (np.float32,)) and array.ndim == 1 + (name == "share")
            for name, array in trees.items()
        )
        if not sound or not _fit_together(**trees, roots=roots, width=width, classes=classes):
            raise BundleError("holds trees that do not fit together.")
        return cls(**trees, roots=roots)


def _fit_together(
    *,
    gap: NDArray[Any],
    feature: NDArray[Any],
    threshold: NDArray[Any],
    share: NDArray[Any],
    roots: NDArray[np.int64],
    width: int,
    classes: int,
) -> bool:
    """Whether every index points into its table, and every number can be one of a tree."""
    if not 0 < len(gap) < _MOST_NODES:
        return False
    leaf = gap == 0
    inner = int((~leaf).sum())
    first = (np.arange(len(gap)) + gap.astype(np.int64))[~leaf]
    return (
        bool((first + 1 < len(gap)).all())
        and len(feature) == inner
        and bool((feature < width).all())
        and len(threshold) in (0, inner)
        and bool(np.isfinite(threshold).all())
        and share.shape == (len(gap) - inner, classes - 1)
        and bool(((share >= 0) & (share <= 1)).all())
        and roots.size > 0
        and bool((roots < len(gap)).all())
    )


def read_narrow_trees(model: Any, *, presence: bool) -> NarrowTrees:
    """The trees of a fitted ``ForestClassifier``.

    ``presence`` says that its rows held 0 and 1 only, for which no threshold is kept.
    """
    parts = [_read_tree(estimator.tree_) for estimator in model.estimators_]
    gap, feature, threshold, share = map(np.concatenate, zip(*parts, strict=True))
    starts = np.cumsum([0, *(len(part[0]) for part in parts[:-1])])
    narrow = next(kind for kind in _GAPS if gap.max() <= np.iinfo(kind).max)
    kept = threshold[:0] if presence else threshold
    return NarrowTrees(gap.astype(narrow), feature, kept, share, starts.astype(np.int64))


def _read_tree(tree: Any) -> tuple[NDArray[Any], ...]:
    """A tree's gaps, features, thresholds and shares, its nodes in the order of the table."""
    left, right = tree.children_left, tree.children_right
    inner = np.flatnonzero(left >= 0)
    # The children of the inner node that is number k in scikit-learn's order come at 1 + 2 k.
    first = 1 + 2 * np.arange(len(inner))
    place = np.zeros(len(left), dtype=np.int64)
    place[left[inner]], place[right[inner]] = first, first + 1
    gap = np.zeros(len(left), dtype=np.int64)
    gap[place[inner]] = first - place[inner]
    order = np.argsort(place)
    leaf = gap == 0
    feature = tree.feature[order][~leaf].astype(np.uint16)
    limit = tree.threshold[order][~leaf]
    threshold = limit.astype(np.float32)
    # The float32 numbers up to a threshold are those up to the float32 at or below it.
    threshold = np.where(threshold > limit, np.nextafter(threshold, -np.inf), threshold)
    counts = tree.value[:, 0, :][order][leaf]
    share = (counts / counts.sum(axis=1, keepdims=True))[:, 1:]
    return gap, feature, threshold.astype(np.float32), share.astype(np.float32)
