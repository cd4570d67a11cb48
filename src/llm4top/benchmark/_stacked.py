"""Each language model pooled with the best baseline: does it know something the baseline lacks?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from llm4top.benchmark._rows import POOLED, Rows
from llm4top.benchmark._said import Said
from llm4top.data import Dataset
from llm4top.forecasters._calibrated import softmax
from llm4top.forecasters._pool import cross_pool, fit_pool, log_probabilities

_NOTE_CROSS = "Weights of the pool are cross-fitted: no row is pooled by weights that saw it."
_NOTE_TEST = "Weights of the pool were fitted on the validation split."

FloatArray = NDArray[np.float64]


def stacked(said: Sequence[Said], rows: Rows, seed: int) -> Iterator[Said]:
    """A log-linear pool of each model that has learnt and the best baseline, on every check.

    The best baseline is the one of least log-loss on the validation split, of those that learn
    from all phases.
    """
    valid = rows.folds[0].checks["valid"]
    found = [s for s in said if s.phase == POOLED and s.check == "valid"]
    baselines = [s for s in found if s.kind == "baseline"]
    if not baselines:
        return
    best = min(baselines, key=lambda s: _log_loss(s.about(valid).probabilities, _labels(valid)))
    for own in (s for s in found if s.pools):
        for fold in rows.folds:
            for check, trials in fold.checks.items():
                pair = [_find(said, s.name, check) for s in (own, best)]
                if any(one is None for one in pair):
                    continue
                parts = {
                    s.name: log_probabilities(s.about(trials).probabilities) for s in pair if s
                }
                if check == "test":
                    taught = {
                        s.name: log_probabilities(s.about(valid).probabilities) for s in (own, best)
                    }
                    pool = fit_pool(taught, _labels(valid))
                    probabilities = softmax(pool.logits(list(parts.values())))
                else:
                    probabilities = cross_pool(parts, _labels(trials), seed=seed)
                yield Said(
                    name=f"Stack: {own.name} and {best.name}",
                    kind="stack",
                    phase=POOLED,
                    learnt_from="both, pooled",
                    check=check,
                    ids=trials.nct_ids,
                    probabilities=probabilities,
                    identity=f"{own.identity}+{best.identity}",
                    note=_NOTE_TEST if check == "test" else _NOTE_CROSS,
                )


def _find(said: Sequence[Said], name: str, check: str) -> Said | None:
    return next((s for s in said if s.name == name and s.check == check), None)


def _labels(rows: Dataset) -> NDArray[np.int64]:
    return np.array(rows.label_indices, dtype=np.int64)


def _log_loss(probabilities: FloatArray, y: NDArray[np.int64]) -> float:
    return float(-log_probabilities(probabilities)[np.arange(len(y)), y].mean())
