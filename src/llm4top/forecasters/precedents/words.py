"""Trials by their words: TF-IDF in an inverted index, exact and fast enough for a registry."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, vstack
from sklearn.feature_extraction.text import HashingVectorizer

from llm4top.errors import BundleError
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.registry.trial import Trial

COLUMNS = 1 << 18
_BATCH = 512
_VECTORISER = HashingVectorizer(n_features=COLUMNS, alternate_sign=False, norm=None)


def words_text(trial: Trial) -> str:
    """What is compared by words. What a trial is about stands twice, and so counts more."""
    about = [
        trial.brief_title,
        trial.official_title,
        *trial.conditions,
        *trial.condition_mesh,
        *trial.keywords,
        *(item.name for item in trial.interventions),
        *trial.intervention_mesh,
        *(outcome.measure for outcome in trial.primary_outcomes),
    ]
    lines = [*about, *about, trial.brief_summary, trial.criteria]
    return "\n".join(line for line in lines if line)


@dataclass(frozen=True, eq=False)
class WordIndex:
    """The words of n trials, by word.

    A word is a column of ``COLUMNS``, found by hashing: no vocabulary is stored. A trial's weights
    are ``(1 + ln tf) * idf`` with ``idf = 1 + ln((1 + n) / (1 + df))``, as unit vectors, so that
    the product of two is their cosine (Salton & Buckley 1988).

    Attributes:
        idf: ``[COLUMNS]`` float32.
        starts: ``[COLUMNS + 1]`` int64, where each column's entries begin.
        rows: int32, the trials of each column, ascending.
        values: float32, their weights.
        n: The number of trials.
    """

    idf: NDArray[np.float32]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    values: NDArray[np.float32]
    n: int

    @classmethod
    def of(cls, texts: Iterable[str], total: int, on_progress: OnProgress = ignore) -> Self:
        """Index ``total`` texts, in their order."""
        parts, batch, done = [csr_matrix((0, COLUMNS))], [], 0
        for text in texts:
            batch.append(text)
            if len(batch) == _BATCH:
                parts.append(word_counts(batch))
                done += len(batch)
                batch = []
                on_progress(Progress("reading words", done, total))
        if batch:
            parts.append(word_counts(batch))
        return cls.of_counts(csr_matrix(vstack(parts, format="csr")))

    @classmethod
    def of_counts(cls, counts: csr_matrix) -> Self:
        """Index word counts ``[n, COLUMNS]``."""
        n = counts.shape[0]
        present = np.bincount(counts.indices, minlength=COLUMNS)
        idf = (1 + np.log((1 + n) / (1 + present))).astype(np.float32)
        columns = csc_matrix(weighted(counts, idf))
        columns.sort_indices()
        return cls(
            idf,
            columns.indptr.astype(np.int64),
            columns.indices.astype(np.int32),
            columns.data.astype(np.float32),
            n,
        )

    def query(self, text: str) -> csr_matrix:
        """A text as weights ``[1, COLUMNS]``."""
        return weighted(word_counts([text]), self.idf)

    def similarities(self, query: csr_matrix, within: int) -> NDArray[np.float32]:
        """Cosine of a query to each of the first ``within`` trials: ``[within]``, 0 to 1."""
        found = np.zeros(within, dtype=np.float32)
        for column, weight in zip(query.indices, query.data, strict=True):
            start, end = self.starts[column], self.starts[column + 1]
            rows = self.rows[start:end]
            end = int(np.searchsorted(rows, within)) if within < self.n else len(rows)
            found[rows[:end]] += np.float32(weight) * self.values[start : start + end]
        return found

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a file stores of it."""
        return {"idf": self.idf, "starts": self.starts, "rows": self.rows, "values": self.values}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], n: int) -> Self:
        """Inverse of ``to_arrays`` for ``n`` trials; ``BundleError`` where they do not fit."""
        kinds = {"idf": np.float32, "starts": np.int64, "rows": np.int32, "values": np.float32}
        if {name: array.dtype for name, array in arrays.items()} != kinds:
            raise BundleError("holds other arrays than an index of words has.")
        idf, starts, rows, values = (arrays[name] for name in kinds)
        fits = (
            idf.shape == (COLUMNS,)
            and starts.shape == (COLUMNS + 1,)
            and rows.shape == values.shape == (int(starts[-1]),)
            and starts[0] == 0
            and bool((np.diff(starts) >= 0).all())
            and (rows.size == 0 or (int(rows.min()) >= 0 and int(rows.max()) < n))
            and bool(np.isfinite(idf).all() and np.isfinite(values).all())
        )
        if not fits:
            raise BundleError("holds an index of words whose parts do not fit together.")
        return cls(idf, starts, rows, values, n)


def word_counts(texts: Sequence[str]) -> csr_matrix:
    """How often each word occurs in texts: ``[n, COLUMNS]``."""
    return csr_matrix(_VECTORISER.transform(texts))


def weighted(counts: csr_matrix, idf: NDArray[np.float32]) -> csr_matrix:
    """Word counts as unit vectors of TF-IDF; a row without words stays 0."""
    weights = csr_matrix(counts, dtype=np.float32, copy=True)
    weights.data = (1 + np.log(weights.data)) * idf[weights.indices]
    lengths = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel())
    weights.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(weights.indptr))
    return weights
