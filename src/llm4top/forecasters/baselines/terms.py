"""Words and pairs of words as columns, for what forecasts: in NumPy, without scikit-learn.

scikit-learn's vectorisers learn the terms and weights; these are then read out, and it is they
that forecast, as with the fitted learners (see ``learners``). The rows equal those of
``CountVectorizer`` and ``TfidfVectorizer`` (tested), and nothing has to be imported for them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from llm4top.errors import BundleError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FloatArray = NDArray[np.float64]
_WORD = re.compile(r"(?u)\b\w\w+\b")


@dataclass(frozen=True, eq=False)
class TermRows:
    """Sparse rows ``[n, F]``: row i has ``values`` at ``columns``, both from ``starts[i]`` on."""

    columns: NDArray[np.int64]
    values: FloatArray
    starts: NDArray[np.int64]
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows, and of columns."""
        return len(self.starts) - 1, self.width

    def __getitem__(self, rows: slice) -> TermRows:
        """Neighbouring rows."""
        first, last, _ = rows.indices(len(self.starts) - 1)
        starts = self.starts[first : last + 1]
        inside = slice(starts[0], starts[-1])
        return TermRows(self.columns[inside], self.values[inside], starts - starts[0], self.width)

    def __matmul__(self, dense: FloatArray) -> FloatArray:
        """The product with ``dense`` ``[F, K]``; a row's does not depend on the other rows."""
        found = np.empty((len(self.starts) - 1, dense.shape[1]))
        for row, (start, end) in enumerate(pairwise(self.starts.tolist())):
            found[row] = self.values[start:end] @ dense[self.columns[start:end]]
        return found

    def toarray(self) -> FloatArray:
        """All numbers, ``[n, F]``."""
        dense = np.zeros(self.shape)
        dense[np.repeat(np.arange(len(dense)), np.diff(self.starts)), self.columns] = self.values
        return dense

    def tocsr(self) -> csr_matrix:
        """The rows as a matrix of SciPy."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self.values, self.columns, self.starts), shape=self.shape)


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms that were learnt, in the order of columns, and how a text becomes a row of them.

    Attributes:
        terms: Words of two letters or more in small letters, and pairs with a space between.
        weights: The terms' inverse document frequencies, ``[F]``, for rows of TF-IDF; None for
            rows that say 1 where the text has the term.
        pairs: Whether pairs of neighbouring words count.
    """

    terms: tuple[str, ...]
    weights: FloatArray | None = None
    pairs: bool = False

    def __post_init__(self) -> None:
        columns = {term: column for column, term in enumerate(self.terms)}
        object.__setattr__(self, "_columns", columns)

    @classmethod
    def of(cls, vectoriser: Any) -> Self:
        """What a fitted ``CountVectorizer`` of presence or ``TfidfVectorizer`` has learnt."""
        terms = tuple(vectoriser.get_feature_names_out().tolist())
        weights = None if vectoriser.binary else np.asarray(vectoriser.idf_, dtype=np.float64)
        return cls(terms, weights, pairs=vectoriser.ngram_range == (1, 2))

    @classmethod
    def checked(
        cls, terms: Sequence[str], weights: FloatArray | None = None, *, pairs: bool
    ) -> Self:
        """Terms from a file; ``BundleError`` where they are not different, with a weight each."""
        found = cls(tuple(terms), weights, pairs)
        columns: dict[str, int] = found._columns  # type: ignore[attr-defined]
        different = 0 < len(terms) == len(columns)
        if weights is None and not different:
            raise BundleError("holds terms that are not different words.")
        if weights is not None and not (different and len(weights) == len(terms)):
            raise BundleError("holds terms that do not fit their weights.")
        return found

    def transform(self, texts: Iterable[str]) -> TermRows:
        """The rows of texts, ``[n, F]``.

        A row of TF-IDF has ``(1 + log count) x weight`` for each term, divided by its length.
        """
        rows = [self._row(text) for text in texts]
        return TermRows(
            np.concatenate([columns for columns, _ in rows] or [np.empty(0, dtype=np.int64)]),
            np.concatenate([values for _, values in rows] or [np.empty(0)]),
            np.cumsum([0, *(len(columns) for columns, _ in rows)]),
            len(self.terms),
        )

    def _row(self, text: str) -> tuple[NDArray[np.int64], FloatArray]:
        words: Iterable[str] = _WORD.findall(text.lower())
        if self.pairs:
            words = chain(words, map(" ".join, pairwise(words)))
        columns: dict[str, int] = self._columns  # type: ignore[attr-defined]
        counts: Counter[Any] = Counter(map(columns.get, words))
        counts.pop(None, None)
        found = np.array(sorted(counts), dtype=np.int64)
        if self.weights is None:
            return found, np.ones(len(found))
        values = np.array([counts[column] for column in found.tolist()], dtype=np.float64)
        values = (np.log(values) + 1.0) * self.weights[found]
        return found, values / (np.sqrt(values @ values) or 1.0)
