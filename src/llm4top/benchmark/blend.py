"""Each language model pooled with the best baseline: does it know something the baseline lacks?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm4top.benchmark.predictions import Said
from llm4top.benchmark.rows import POOLED, CheckName, Rows
from llm4top.data.dataset import Dataset
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.pool import cross_pool, fit_pool, log_probabilities

_CROSS_NOTE = "Weights are cross-fitted: no row is scored with weights that were fitted on it."
_TEST_NOTE = "Weights were fitted on the validation split."

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def stacked(said: Sequence[Said], rows: Rows, seed: int) -> Iterator[Said]:
    """A log-linear pool of each model that has learnt and the best baseline, on every check.

    The best baseline is the one of least log-loss on the validation split, of those that learn
    from all phases. It is pooled alone, too: a pool calibrates, and what a stack gains has to be
    seen beside what calibration gains.
    """
    valid = rows.folds[0].checks["valid"]
    everywhere = {(s.name, s.check): s for s in said if s.phase == POOLED}
    baselines = [s for s in everywhere.values() if (s.kind, s.check) == ("baseline", "valid")]
    if not baselines:
        return
    best = min(baselines, key=lambda s: _log_loss(s, valid))
    own = [s for s in everywhere.values() if s.pools and s.check == "valid"]
    for parts in ([best], *([model, best] for model in own)):
        for fold in rows.folds:
            for check, trials in fold.checks.items():
                here = [everywhere.get((s.name, check)) for s in parts]
                if all(here):
                    yield _Stack([s for s in here if s], parts, valid, seed).said(check, trials)


@dataclass(frozen=True, slots=True)
class _Stack:
    """One or two forecasters: what they said of a check, and of the validation split."""

    parts: list[Said]
    on_valid: list[Said]
    valid: Dataset
    seed: int

    def said(self, check: CheckName, trials: Dataset) -> Said:
        logits = _logits(self.parts, trials)
        if check == "test":
            pool = fit_pool(_logits(self.on_valid, self.valid), _labels(self.valid))
            probabilities = softmax(pool.logits(list(logits.values())))
        else:
            probabilities = cross_pool(logits, _labels(trials), seed=self.seed)
        names = [s.name for s in self.parts]
        alone = len(names) == 1
        return Said(
            name=f"{names[0]}, calibrated" if alone else f"Stack: {' and '.join(names)}",
            kind="baseline" if alone else "stack",
            phase=POOLED,
            learnt_from=self.parts[0].learnt_from if alone else "both, pooled",
            check=check,
            ids=trials.nct_ids,
            probabilities=probabilities,
            identity="+".join(s.identity for s in self.parts),
            note=_TEST_NOTE if check == "test" else _CROSS_NOTE,
        )


def _logits(said: Sequence[Said], rows: Dataset) -> dict[str, FloatArray]:
    return {s.name: log_probabilities(s.about(rows).probabilities) for s in said}


def _labels(rows: Dataset) -> IntArray:
    return np.array(rows.label_indices, dtype=np.int64)


def _log_loss(said: Said, rows: Dataset) -> float:
    logits = log_probabilities(said.about(rows).probabilities)
    return float(-logits[np.arange(len(rows)), _labels(rows)].mean())
