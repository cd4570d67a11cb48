"""Sentence embeddings under a logistic regression, where a local encoder is named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from llm4top.errors import BundleError
from llm4top.forecasters._baseline_base import (
    BaselineForecaster,
    BaselineState,
    Probabilities,
    wanted,
)
from llm4top.forecasters._encoder import TextEncoder, load_encoder
from llm4top.forecasters._feature_matrix import remembered
from llm4top.forecasters._features import FloatArray, all_text
from llm4top.forecasters._learners import DenseLearner, numbers, read_regression
from llm4top.forecasters._threads import one_thread
from llm4top.registry import Trial
from llm4top.tasks import Task


class SentenceForecaster(BaselineForecaster):
    """A logistic regression over the mean of an encoder's last hidden states.

    ``encoder`` is a folder with a text encoder: see ``load_encoder`` for the layouts and the
    errors. It reads the first 256 tokens of what ``all_text`` gives: phase, codes, conditions,
    interventions, titles and outcomes come first, the criteria last. ``regularisation`` is
    scikit-learn's ``C``, over standardised dimensions; its default had the lowest log-loss in
    5-fold cross-validation inside TOP's phase III training rows, with a six-layer MiniLM.

    Attributes after ``fit``: ``classes_``; ``means_`` and ``scales_`` of the embedding's
    dimensions; ``learner_``, the regression; ``encoder_``.
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
            model = LogisticRegression(C=self.regularisation, max_iter=2000)
            model.fit((rows - self.means_) / self.scales_, targets)
        self.learner_: DenseLearner = read_regression(model)
        return self

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``."""
        check_is_fitted(self)
        trials = self._visible(X)
        if not trials:
            return np.empty((0, len(self.classes_)))
        rows = (self._embedded(trials) - self.means_) / self.scales_
        return self.learner_.predict_proba(rows)

    def state(self) -> BaselineState:
        """All it has learnt beside ``classes_``; the encoder stays where it lies."""
        own = {"means": self.means_, "scales": self.scales_}
        return BaselineState({**own, **self.learner_.to_arrays()})

    def restore(self, state: BaselineState) -> None:
        """Inverse of ``state``, which loads the encoder; ``BundleError`` if it does not fit."""
        arrays = dict(state.arrays)
        means, scales = wanted(arrays, "means", "scales", more=True)
        del arrays["means"], arrays["scales"]
        self.encoder_ = load_encoder(self.encoder)
        width = int(self.encoder_.model.config.hidden_size)
        if numbers(means, 1).shape != (width,) or numbers(scales, 1).shape != (width,):
            raise BundleError("holds weights for another encoder.")
        if not (scales > 0).all():
            raise BundleError("holds scales that are not above zero.")
        self.means_, self.scales_ = means, scales
        self.learner_ = DenseLearner.from_arrays(arrays, width, len(self.classes_))

    def _embedded(self, trials: list[Trial]) -> FloatArray:
        encoder = self.encoder_
        key = (id(encoder), "embeddings", *map(hash, trials))
        texts = map(all_text, trials)
        return remembered(key, lambda: encoder.encode(list(texts)), holding=encoder)
