"""What always stands beside a forecaster: the trivial baselines and TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llm4top.data import Dataset
from llm4top.errors import TaskError
from llm4top.evaluation._scores import FloatArray
from llm4top.evaluation._source import Done, Scorer, Source
from llm4top.registry import Trial

ALWAYS, BASE_RATE, TFIDF = "always", "base-rate", "tfidf"
BESIDE = (ALWAYS, BASE_RATE, TFIDF)
"""The baselines that every evaluation shows, fitted on the data set's own training split."""


def beside(dataset: Dataset, *, seed: int = 0) -> dict[str, Source]:
    """The baselines that stand beside, by name; none where there is nothing to learn them from."""
    learn = dataset.select("train")
    if len(set(learn.labels)) < 2:
        return {}
    found = {}
    for name in BESIDE:
        try:
            found[name] = _fitted(name, learn, seed)
        except (TaskError, ValueError):
            # Training trials without a word in them teach TF-IDF nothing.
            continue
    return found


def _fitted(name: str, learn: Dataset, seed: int) -> Source:
    from llm4top.forecasters import BASELINES, make_baseline

    baseline = BASELINES[name]
    model = make_baseline(name, learn.task, seed=seed)
    model.fit(learn.trials, np.asarray(learn.label_indices))
    # A label that no training trial has gets no chance.
    columns = np.asarray(model.classes_, dtype=np.int64)

    def score(trials: Sequence[Trial], _: Done | None) -> FloatArray:
        said = np.zeros((len(trials), len(learn.task.labels)))
        said[:, columns] = model.predict_proba(trials)
        return said

    return Source(
        name=baseline.named(learn.task),
        identity=f"{name} on {learn.sha256[:12]}",
        kind=baseline.kind,
        task=learn.task,
        learnt_from=f"train split, {len(learn)} trials",
        load=lambda: Scorer(score),
    )
