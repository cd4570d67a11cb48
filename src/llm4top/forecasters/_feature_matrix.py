"""The matrix that the tabular baselines share: a trial's numbers beside the topics of its text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from llm4top.forecasters._features import FloatArray, all_text, feature_table
from llm4top.forecasters._threads import one_thread
from llm4top.registry import Trial

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class FeatureMatrix:
    """Turns trials into rows: standardised numbers first, then the topics of their text.

    ``kept`` are the positions of ``FEATURE_NAMES`` that differ among the training trials, with
    their ``means`` and ``scales``. ``vectoriser`` weighs words and word pairs by TF-IDF;
    ``topics`` ``[T, V]`` are the first right singular vectors of that matrix, and
    ``topic_scale`` is one scale for all of them: it leaves strong topics stronger than weak ones.
    """

    kept: tuple[int, ...]
    means: FloatArray
    scales: FloatArray
    vectoriser: TfidfVectorizer
    topics: FloatArray
    topic_scale: float

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.kept) + len(self.topics)

    def rows(self, trials: Sequence[Trial]) -> FloatArray:
        """The rows of trials, ``[n, width]``; numbers that a trial lacks are NaN."""
        key = (id(self), "rows", *map(hash, trials))
        return remembered(key, lambda: self._rows(trials), holding=self)

    def _rows(self, trials: Sequence[Trial]) -> FloatArray:
        if not trials:
            return np.empty((0, self.width))
        table = (feature_table(trials)[:, list(self.kept)] - self.means) / self.scales
        with one_thread():
            weights = self.vectoriser.transform([all_text(trial) for trial in trials])
            text = np.asarray(weights @ self.topics.T) / self.topic_scale
        return np.hstack([table, text])


def fit_features(trials: Sequence[Trial], *, topics: int, seed: int) -> FeatureMatrix:
    """Learn scales, vocabulary and topics from the training trials.

    The last results are remembered, so that several baselines that fit on the same trials share
    the work; the trials themselves are not kept. The same trials and seed give the same bits,
    whatever the number of threads.
    """
    key = ("features", topics, seed, *map(hash, trials))
    return remembered(key, lambda: _fit(trials, topics, seed))


def _fit(trials: Sequence[Trial], topics: int, seed: int) -> FeatureMatrix:
    table = feature_table(trials)
    kept = tuple(int(i) for i in np.flatnonzero([_varies(column) for column in table.T]))
    numbers = table[:, list(kept)]
    vectoriser = TfidfVectorizer(
        ngram_range=(1, 2), min_df=min(2, len(trials)), sublinear_tf=True, max_features=50_000
    )
    weights = csr_matrix(vectoriser.fit_transform([all_text(trial) for trial in trials]))
    found = _topics(weights, min(topics, len(trials) - 1, weights.shape[1] - 1), seed)
    with one_thread():
        text = np.asarray(weights @ found.T)
    return FeatureMatrix(
        kept,
        np.nanmean(numbers, axis=0) if kept else np.empty(0),
        np.nanstd(numbers, axis=0) if kept else np.empty(0),
        vectoriser,
        found,
        float(np.sqrt((text**2).mean()) or 1.0) if text.size else 1.0,
    )


def _varies(column: FloatArray) -> bool:
    given = column[~np.isnan(column)]
    return given.size > 0 and bool(np.ptp(given) > 1e-9)


def _topics(weights: csr_matrix, count: int, seed: int) -> FloatArray:
    if count < 1:
        return np.empty((0, weights.shape[1]))
    with one_thread():
        svd = TruncatedSVD(count, n_iter=7, random_state=seed).fit(weights)
    return np.asarray(svd.components_, dtype=np.float64)


_MOST_REMEMBERED = 4
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
        while len(_memory) > _MOST_REMEMBERED:
            _memory.popitem(last=False)
    return made
