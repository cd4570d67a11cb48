"""Extremely randomised trees over the words that a trial has or has not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction.text import CountVectorizer

from llm4top.errors import BundleError
from llm4top.forecasters.baselines import learners
from llm4top.forecasters.baselines.base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    training_rows,
    wanted,
)
from llm4top.forecasters.baselines.simple import baseline_text
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

_MOST_TERMS = 65_536
_ROWS_AT_ONCE = 128
_MOST_NODES = 2**31 - 2
_GAPS = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, eq=False)
class PresenceTrees:
    """Trees that ask at each node whether a term is present; the mean of the leaves reached.

    All nodes are in one table, tree after tree, the two children of a node side by side: the
    first is where the term is absent.

    Attributes:
        gap: ``[nodes]``, how far behind a node its first child is; 0 for a leaf. A path only
            leads on, so that it ends.
        feature: ``[inner]``, the term that each inner node asks for, in the order of nodes.
        share: ``[leaves, K - 1]`` float32, the shares of all classes but the first, likewise.
        roots: ``[trees]``, the first node of each tree.
    """

    gap: NDArray[Any]
    feature: NDArray[Any]
    share: NDArray[np.float32]
    roots: NDArray[np.int64]

    def __post_init__(self) -> None:
        here = np.arange(len(self.gap), dtype=np.int32)
        leaf = self.gap == 0
        place = np.empty(len(self.gap), dtype=np.int32)
        place[leaf] = np.arange(leaf.sum())
        place[~leaf] = self.feature
        # A leaf leads to node 0, which is no node's child.
        object.__setattr__(self, "_child", np.where(leaf, 0, here + self.gap).astype(np.int32))
        object.__setattr__(self, "_place", place)

    def predict_proba(self, rows: csr_matrix) -> learners.FloatArray:
        """Probabilities ``[n, K]`` of rows ``[n, terms]`` that are not 0 where a term is present.

        A row's probabilities do not depend on the other rows, to the last bit.
        """
        others = np.empty((rows.shape[0], self.share.shape[1]))
        for start in range(0, len(others), _ROWS_AT_ONCE):
            chunk = rows[start : start + _ROWS_AT_ONCE]
            leaves = self._leaves((chunk != 0).toarray())
            # A running sum adds tree after tree, whatever the number of rows.
            sums = np.cumsum(self.share[leaves], axis=1, dtype=np.float64)[:, -1]
            others[start : start + _ROWS_AT_ONCE] = sums / len(self.roots)
        return np.column_stack([1.0 - others.sum(axis=1), others]).clip(0.0, 1.0)

    def _leaves(self, present: NDArray[np.bool_]) -> NDArray[np.int32]:
        """The leaf of each row in each tree, ``[n, trees]``; all paths go down together."""
        child: NDArray[np.int32] = self._child  # type: ignore[attr-defined]
        place: NDArray[np.int32] = self._place  # type: ignore[attr-defined]
        n, width = present.shape
        flat = present.ravel()
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
            node = below + flat[start + place[node]]
        return reached.reshape(n, len(self.roots))

    def to_arrays(self) -> learners.Arrays:
        """Named arrays that hold all of it, as narrow as its numbers allow."""
        return {name: getattr(self, name) for name in ("gap", "feature", "share", "roots")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], width: int, classes: int) -> Self:
        """Inverse of ``to_arrays``, for rows of ``width`` terms.

        Raises ``BundleError`` where an index points nowhere or the arrays do not fit together.
        """
        gap, feature, share, roots = wanted(arrays, "gap", "feature", "share", "roots")
        fault = BundleError("holds trees that do not fit together.")
        if not (
            gap.dtype in _GAPS
            and gap.ndim == 1
            and 0 < len(gap) < _MOST_NODES
            and feature.dtype == np.uint16
            and feature.ndim == 1
            and share.dtype == np.float32
            and share.ndim == 2
        ):
            raise fault
        roots = learners.indices(roots)
        leaf = gap == 0
        first = np.arange(len(gap)) + gap.astype(np.int64)
        if not (
            bool((first[~leaf] + 1 < len(gap)).all())
            and len(feature) == int((~leaf).sum())
            and bool((feature < width).all())
            and share.shape == (int(leaf.sum()), classes - 1)
            and bool(((share >= 0) & (share <= 1)).all())
            and roots.size > 0
            and bool((roots < len(gap)).all())
        ):
            raise fault
        return cls(gap, feature, share, roots)


def read_presence_trees(model: Any) -> PresenceTrees:
    """The trees of a ``ForestClassifier`` that was fitted on rows of 0 and 1."""
    parts = [_read_tree(estimator.tree_) for estimator in model.estimators_]
    gaps, features, shares = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    starts = np.cumsum([0, *(len(gap) for gap, _, _ in parts[:-1])])
    narrow = next(kind for kind in _GAPS if gaps.max() <= np.iinfo(kind).max)
    return PresenceTrees(gaps.astype(narrow), features, shares, starts.astype(np.int64))


def _read_tree(tree: Any) -> tuple[NDArray[Any], ...]:
    """A tree's ``gap``, ``feature`` and ``share``, its nodes in the order of ``PresenceTrees``."""
    left, right = tree.children_left, tree.children_right
    inner = np.flatnonzero(left >= 0)
    # The children of the inner node that is number k in scikit-learn's order come at 1 + 2 k.
    first = 1 + 2 * np.arange(len(inner))
    place = np.zeros(len(left), dtype=np.int64)
    place[left[inner]], place[right[inner]] = first, first + 1
    gap = np.zeros(len(left), dtype=np.int64)
    gap[place[inner]] = first - place[inner]
    counts = np.empty_like(tree.value[:, 0, :])
    counts[place] = tree.value[:, 0, :]
    feature = np.zeros(len(left), dtype=np.uint16)
    feature[place] = np.maximum(tree.feature, 0)
    leaf = gap == 0
    share = (counts / counts.sum(axis=1, keepdims=True))[leaf, 1:]
    return gap, feature[~leaf], share.astype(np.float32)


class ExtraTreesForecaster(BaselineForecaster):
    """Extremely randomised trees over the words of a trial, each present or absent.

    It reads what ``TfidfForecaster`` reads. Trees are grown by scikit-learn's
    ``ExtraTreesClassifier`` (Geurts, Ernst & Wehenkel, Extremely randomized trees, 2006) and kept
    as arrays. The same trials, weights and ``seed`` give the same bits.

    Args:
        task: The question; its name or a ``Task``.
        trees: The number of trees.
        min_count: Number of training trials in which a word must occur.
        least_leaf: The least number of training trials in a leaf.
        pairs: Whether pairs of neighbouring words count as well.
        copies: How many copies of each training trial, with whole fields emptied at random, it
            also learns from; a trial and its copies together weigh as much as the trial.
        seed: Seed of the trees and of the copies.

    Attributes:
        classes_: The classes, in the order of the task's labels. Set by ``fit``.
        terms_: The words, in the order of columns.
        learner_: The fitted trees.
    """

    reads = ("phase", "conditions", "icd_codes", "interventions", "criteria")

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        trees: int = 500,
        min_count: int = 8,
        least_leaf: int = 1,
        pairs: bool = False,
        copies: int = 0,
        seed: int = 0,
    ):
        self.task = task
        self.trees = trees
        self.min_count = min_count
        self.least_leaf = least_leaf
        self.pairs = pairs
        self.copies = copies
        self.seed = seed

    def fit(self, X: Iterable[Trial], y: Iterable[Any], sample_weight: Any = None) -> Self:
        """Learn words and trees.

        Args:
            X: The training trials.
            y: Their labels, or the labels' positions.
            sample_weight: ``[n]``, how much each trial counts; all alike where None.

        Raises:
            TaskError: A label is none of the task's.
            ValueError: A weight is negative or not finite, or none is above 0.
        """
        trials, targets = self._learn(X, y)
        texts = [baseline_text(trial) for trial in trials]
        counter = self._counter(min_df=min(self.min_count, len(texts)), max_features=_MOST_TERMS)
        rows = csr_matrix(counter.fit_transform(texts))
        self._use(counter.get_feature_names_out().tolist())
        learn = training_rows(trials, targets, sample_weight, copies=self.copies, seed=self.seed)
        if learn.copies:
            rows = vstack([rows, self._rows(learn.copies)], format="csr")
        model = ExtraTreesClassifier(
            self.trees, min_samples_leaf=self.least_leaf, n_jobs=1, random_state=self.seed
        )
        with learners.one_thread():
            model.fit(rows, learn.targets, sample_weight=learn.weights)
        self.learner_: PresenceTrees = read_presence_trees(model)
        return self

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        return self.learner_.predict_proba(self._rows(trials))

    def _rows(self, trials: Sequence[Trial]) -> csr_matrix:
        return csr_matrix(self._words.transform([baseline_text(trial) for trial in trials]))

    def _counter(self, **options: Any) -> CountVectorizer:
        """An unfitted counter of the words, and pairs where they count, that a text has."""
        return CountVectorizer(
            binary=True, ngram_range=(1, 2) if self.pairs else (1, 1), dtype=np.uint8, **options
        )

    def _use(self, terms: list[str]) -> None:
        self.terms_: list[str] = terms
        self._words = self._counter(vocabulary=terms)

    def state(self) -> BaselineState:
        """See ``BaselineForecaster.state``."""
        return BaselineState(self.learner_.to_arrays(), {"terms": self.terms_})

    def restore(self, state: BaselineState) -> None:
        """See ``BaselineForecaster.restore``."""
        (terms,) = wanted(state.words, "terms")
        if not terms or len(set(terms)) != len(terms):
            raise BundleError("holds terms that are not different words.")
        self._use(terms)
        self.learner_ = PresenceTrees.from_arrays(state.arrays, len(terms), len(self.classes_))
