"""Sentence embeddings under a logistic regression, where a local encoder is named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from llm4top.forecasters._baseline_base import BaselineForecaster, Probabilities
from llm4top.forecasters._encoder import TextEncoder, load_encoder
from llm4top.forecasters._feature_matrix import remembered
from llm4top.forecasters._features import FloatArray, all_text
from llm4top.forecasters._threads import one_thread
from llm4top.registry import Trial
from llm4top.tasks import Task


class SentenceForecaster(BaselineForecaster):
    """A logistic regression over the mean of an encoder's last hidden states.

    ``encoder`` is a folder with a text encoder: see ``load_encoder`` for the layouts and the
    errors. It reads the first 256 tokens of what ``all_text`` gives: phase, codes, conditions,
    interventions, titles and outcomes come first, the criteria last. ``regularisation`` is
    scikit-learn's ``C``, over standardised dimensions.

    Attributes after ``fit``: ``classes_``; ``means_`` and ``scales_`` of the embedding's
    dimensions; ``model_``; ``encoder_``, which is loaded again where it has been left out.
    """

    def __init__(
        self,
        task: Task | str = "outcome",
        *,
        encoder: str | Path,
        regularisation: float = 0.003,
    ):
        self.task = task
        self.encoder = encoder
        self.regularisation = regularisation

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Embed and learn weights; ``TaskError`` for labels that are none of the task's."""
        trials, targets = self._learn(X, y)
        self.encoder_: TextEncoder = load_encoder(self.encoder)
        rows = self._embedded(trials)
        self.means_: FloatArray = rows.mean(axis=0)
        spread = rows.std(axis=0)
        self.scales_: FloatArray = np.where(spread > 1e-9, spread, 1.0)
        with one_thread():
            self.model_ = LogisticRegression(C=self.regularisation, max_iter=2000)
            self.model_.fit((rows - self.means_) / self.scales_, targets)
        return self

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``."""
        check_is_fitted(self)
        trials = self._visible(X)
        if not trials:
            return np.empty((0, len(self.classes_)))
        rows = (self._embedded(trials) - self.means_) / self.scales_
        with one_thread():
            return np.asarray(self.model_.predict_proba(rows), dtype=np.float64)

    def _embedded(self, trials: list[Trial]) -> FloatArray:
        encoder = self.encoder_
        key = (id(encoder), "embeddings", *map(hash, trials))
        texts = map(all_text, trials)
        return remembered(key, lambda: encoder.encode(list(texts)), holding=encoder)
