"""The reference baselines of every evaluation: the two trivial ones and TF-IDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import TaskError

if TYPE_CHECKING:
    from llm4top.forecasters.forecaster import Forecaster

ALWAYS, BASE_RATE, TFIDF = "always", "base-rate", "tfidf"
BESIDE = (ALWAYS, BASE_RATE, TFIDF)
"""The baselines that every evaluation shows, fitted on the data set's own training split."""


def beside(dataset: Dataset, *, seed: int = 0) -> dict[str, Forecaster]:
    """The reference baselines by name; none where there is nothing to fit them on."""
    learn = dataset.select("train")
    if len(set(learn.labels)) < 2:
        return {}
    found = {}
    for name in BESIDE:
        try:
            found[name] = _fitted(name, learn, seed)
        except (TaskError, ValueError):
            # TF-IDF cannot be fitted on training trials without a word in them.
            continue
    return found


def _fitted(name: str, learn: Dataset, seed: int) -> Forecaster:
    from llm4top.forecasters.baselines.catalog import make_baseline
    from llm4top.forecasters.forecaster import as_forecaster

    model = make_baseline(name, learn.task, seed=seed)
    return as_forecaster(
        model.fit(learn.trials, np.asarray(learn.label_indices)),
        identity=f"{name} on {learn.sha256[:12]}",
        trained_on_text=f"train split, {len(learn)} trials",
    )
