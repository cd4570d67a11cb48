"""The reference baselines of every evaluation: the two trivial ones and TF-IDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.errors import TaskError

if TYPE_CHECKING:
    from llm4top.forecasters.forecaster import Forecaster

ALWAYS, BASE_RATE, TFIDF = "always", "base-rate", "tfidf"


def reference_baselines(dataset: Dataset, *, seed: int = 0) -> dict[str, Forecaster]:
    """The baselines that every evaluation shows, by name, fitted on the data set's training split.

    Empty where the training split has fewer than two labels; without TF-IDF where it has no words.
    """
    from llm4top.forecasters.baselines.catalog import make_baseline
    from llm4top.forecasters.forecaster import as_forecaster

    learn = dataset.select("train")
    found: dict[str, Forecaster] = {}
    if len(set(learn.labels)) < 2:
        return found
    for name in (ALWAYS, BASE_RATE, TFIDF):
        model = make_baseline(name, learn.task, seed=seed)
        try:
            model.fit(learn.trials, np.asarray(learn.label_indices))
        except (TaskError, ValueError):
            continue
        found[name] = as_forecaster(
            model,
            identity=f"{name} on {learn.sha256[:12]}",
            trained_on_text=f"train split, {len(learn)} trials",
        )
    return found
