"""The matrix of the tabular baselines: a trial's numbers and the topics of its text."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from llm4top.errors import BundleError
from llm4top.forecasters.baselines import features
from llm4top.forecasters.baselines.base import BaselineState, wanted
from llm4top.forecasters.baselines.learners import numbers, one_thread
from llm4top.forecasters.baselines.terms import Terms
from llm4top.registry.trial import Trial

_T = TypeVar("_T")
_MOST_TERMS = 30_000


@dataclass(frozen=True, eq=False)
class FeatureMatrix:
    """Turns trials into rows: standardised numbers first, then the topics of their text.

    ``kept`` are the positions of ``FEATURE_NAMES`` that differ among the training trials, with
    their ``means`` and ``scales``. ``words`` weighs words and word pairs by TF-IDF;
    ``topics`` ``[T, V]`` are the first right singular vectors of that matrix, and
    ``topic_scale`` is one scale for all of them: it leaves strong topics stronger than weak ones.
    """

    kept: tuple[int, ...]
    means: features.FloatArray
    scales: features.FloatArray
    words: Terms
    topics: features.FloatArray
    topic_scale: float

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.kept) + len(self.topics)

    def rows(self, trials: Sequence[Trial]) -> features.FloatArray:
        """The rows of trials, ``[n, width]``; numbers that a trial lacks are NaN."""
        key = (id(self), "rows", *map(hash, trials))
        return remembered(key, lambda: self._rows(trials), holding=self)

    def to_state(self) -> BaselineState:
        """All of it, for a file."""
        arrays: dict[str, NDArray[Any]] = {
            "means": self.means,
            "scales": self.scales,
            "idf": np.asarray(self.words.weights),
            "topics": self.topics.astype(np.float32),
            "topic_scale": np.array([self.topic_scale]),
        }
        names = [features.FEATURE_NAMES[i] for i in self.kept]
        return BaselineState(arrays, {"terms": list(self.words.terms), "numbers": names})

    @classmethod
    def from_state(cls, state: BaselineState) -> Self:
        """Inverse of ``to_state``; ``BundleError`` where its parts do not fit together."""
        terms, names = wanted(state.words, "terms", "numbers")
        means, scales, idf, topics, topic_scale = wanted(
            state.arrays, "means", "scales", "idf", "topics", "topic_scale"
        )
        if unknown := [name for name in names if name not in features.FEATURE_NAMES]:
            raise BundleError(
                f"reads {unknown[0]!r:.60}, which this version of LLM4TOP does not measure."
            )
        topics = numbers(topics.astype(np.float64), 2)
        fits = (
            numbers(means, 1).shape == numbers(scales, 1).shape == (len(names),)
            and bool((scales > 0).all())
            and topics.shape[1] == len(terms)
            and numbers(topic_scale, 1).shape == (1,)
            and topic_scale[0] > 0
        )
        if not fits:
            raise BundleError("holds features that do not fit together.")
        kept = tuple(features.FEATURE_NAMES.index(name) for name in names)
        words = Terms.checked(terms, numbers(idf, 1), pairs=True)
        return cls(kept, means, scales, words, topics, float(topic_scale[0]))

    def _rows(self, trials: Sequence[Trial]) -> features.FloatArray:
        if not trials:
            return np.empty((0, self.width))
        table = (features.feature_table(trials)[:, list(self.kept)] - self.means) / self.scales
        weights = self.words.transform(features.all_text(trial) for trial in trials).tocsr()
        with one_thread():
            text = np.asarray(weights @ self.topics.T) / self.topic_scale
        rows = np.hstack([table, text])
        # Several baselines get this very array.
        rows.flags.writeable = False
        return rows


def fit_features(trials: Sequence[Trial], *, topics: int, seed: int) -> FeatureMatrix:
    """Learn scales, vocabulary and topics from the training trials.

    The last results are remembered, so that several baselines that fit on the same trials share
    the work; the trials themselves are not kept. The same trials and seed give the same bits,
    whatever the number of threads.
    """
    key = ("features", topics, seed, *map(hash, trials))
    return remembered(key, lambda: _fit(trials, topics, seed))


def _fit(trials: Sequence[Trial], topics: int, seed: int) -> FeatureMatrix:
    table = features.feature_table(trials)
    kept = tuple(int(i) for i in np.flatnonzero([features.varies(column) for column in table.T]))
    numbers = table[:, list(kept)]
    vectoriser = features.new_vectoriser(len(trials), min_count=2, most=_MOST_TERMS)
    weights = csr_matrix(vectoriser.fit_transform([features.all_text(trial) for trial in trials]))
    found = _topics(weights, min(topics, len(trials) - 1, weights.shape[1] - 1), seed)
    with one_thread():
        text = np.asarray(weights @ found.T)
    return FeatureMatrix(
        kept,
        np.nanmean(numbers, axis=0) if kept else np.empty(0),
        np.nanstd(numbers, axis=0) if kept else np.empty(0),
        Terms.of(vectoriser),
        found,
        float(np.sqrt((text**2).mean()) or 1.0) if text.size else 1.0,
    )


def _topics(weights: csr_matrix, count: int, seed: int) -> features.FloatArray:
    if count < 1:
        return np.empty((0, weights.shape[1]))
    with one_thread():
        _, _, topics = randomized_svd(weights, count, n_iter=7, random_state=seed)
    # As a file keeps them: half the bytes, and nothing changes when they are read back.
    return np.asarray(topics.astype(np.float32).astype(np.float64))


_MOST_REMEMBERED = 16
_MOST_BYTES = 512 * 1024 * 1024
_memory: OrderedDict[tuple[object, ...], tuple[object, object]] = OrderedDict()
_lock = threading.Lock()


def remembered(key: tuple[object, ...], make: Callable[[], _T], *, holding: object = None) -> _T:
    """What ``make`` returned for this key the last time, if that was not long ago.

    ``holding`` stays alive with the entry, since its ``id`` in a key must not pass to another.
    """
    with _lock:
        if key in _memory:
            _memory.move_to_end(key)
            return _memory[key][0]  # type: ignore[return-value]
    made = make()
    with _lock:
        _memory[key] = (made, holding)
        while len(_memory) > _MOST_REMEMBERED or _bytes_held() > _MOST_BYTES:
            _memory.popitem(last=False)
    return made


def _bytes_held() -> int:
    held = [made for made, _ in _memory.values()]
    arrays = [m.topics if isinstance(m, FeatureMatrix) else m for m in held]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
