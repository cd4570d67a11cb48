"""Words and word pairs weighed by TF-IDF, and how they are kept as a list and an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer

from llm4top.errors import BundleError
from llm4top.forecasters._features import FloatArray
from llm4top.forecasters._learners import numbers

_SETTINGS: dict[str, Any] = {"ngram_range": (1, 2), "sublinear_tf": True}


def new_vectoriser(rows: int, *, min_count: int, most: int) -> TfidfVectorizer:
    """An unfitted vectoriser of words and pairs that occur in ``min_count`` of ``rows`` texts.

    Only the ``most`` frequent terms are kept.
    """
    return TfidfVectorizer(**_SETTINGS, min_df=min(min_count, rows), max_features=most)


def terms_of(vectoriser: TfidfVectorizer) -> tuple[list[str], FloatArray]:
    """The terms of a fitted vectoriser in the order of its columns, and each one's weight."""
    return vectoriser.get_feature_names_out().tolist(), vectoriser.idf_


def restored_vectoriser(terms: Sequence[str], weights: Any) -> TfidfVectorizer:
    """Inverse of ``terms_of``; ``BundleError`` where the two do not fit together."""
    if not terms or len(set(terms)) != len(terms) or len(terms) != len(numbers(weights, 1)):
        raise BundleError("holds terms that do not fit their weights.")
    vectoriser = TfidfVectorizer(**_SETTINGS, vocabulary=list(terms))
    vectoriser.idf_ = weights
    return vectoriser
