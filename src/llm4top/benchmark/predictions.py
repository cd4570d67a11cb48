"""One forecaster's predictions for the rows of one check, and blends with the best baseline.

A blend shows whether a language model adds information to the best baseline.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm4top.benchmark.rows import POOLED, CheckName, Rows
from llm4top.data.dataset import Dataset
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.reports.report import Kind
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.pool import cross_pool, fit_pool, log_probabilities


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Probabilities ``[n, K]`` of the rows ``ids`` of a check.

    ``phase`` is what the forecaster was trained on: one phase, or "pooled" for all of them (and for
    untrained models); it has no predictions for trials of other phases. ``blends`` marks what is
    blended with a baseline.
    """

    name: str
    kind: Kind
    phase: str
    learnt_from: str
    check: CheckName
    ids: tuple[str, ...]
    probabilities: NDArray[np.float64]
    identity: str = ""
    note: str = ""
    blends: bool = False

    def scores(self, rows: Dataset) -> Scores:
        """Its scores of exactly these rows, in their order; raises what ``Scores`` raises."""
        place = {nct_id: i for i, nct_id in enumerate(self.ids)}
        split = "test" if self.check == "test" else "valid"
        found = self.probabilities[[place[nct_id] for nct_id in rows.nct_ids]]
        return Scores.of_rows(self.name, split, rows, found)

    @property
    def sha256(self) -> str:
        """Identity of the predictions and their forecaster."""
        head = repr((self.name, self.kind, self.phase, self.learnt_from, self.check, self.ids))
        digest = hashlib.sha256(f"{head}{self.identity}{self.note}".encode())
        digest.update(np.ascontiguousarray(self.probabilities).tobytes())
        return digest.hexdigest()


def trained_on_text(phase: str, trials: int) -> str:
    """What a forecaster was trained on, in words."""
    where = "all phases" if phase == POOLED else f"phase {phase}"
    return f"{where}, {trials} trials"


_CROSS_NOTE = "Weights are cross-fitted: no row is scored with weights that were fitted on it."
_TEST_NOTE = "Weights were fitted on the validation split."

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def blended(predictions: Sequence[Predictions], rows: Rows, seed: int) -> Iterator[Predictions]:
    """A log-linear pool of each trained model and the best baseline, on every check.

    The best baseline has the lowest log-loss on the validation split, of those trained on all
    phases. It is pooled alone, too: a pool calibrates, and the gain of a blend has to be compared
    with the gain of calibration.
    """
    valid = rows.folds[0].checks["valid"]
    pooled = {(p.name, p.check): p for p in predictions if p.phase == POOLED}
    baselines = [p for p in pooled.values() if (p.kind, p.check) == ("baseline", "valid")]
    if not baselines:
        return
    best = min(baselines, key=lambda p: _log_loss(p, valid))
    models = [p for p in pooled.values() if p.blends and p.check == "valid"]
    for on_valid in ([best], *([model, best] for model in models)):
        for fold in rows.folds:
            for check, trials in fold.checks.items():
                parts = [pooled[p.name, check] for p in on_valid if (p.name, check) in pooled]
                if len(parts) == len(on_valid):
                    yield _blend(parts, on_valid, valid, check, trials, seed)


def _blend(
    parts: list[Predictions],
    on_valid: list[Predictions],
    valid: Dataset,
    check: CheckName,
    trials: Dataset,
    seed: int,
) -> Predictions:
    """One or two forecasters pooled on one check, with weights that no row chose for itself."""
    logits = _logits(parts, trials)
    if check == "test":
        pool = fit_pool(_logits(on_valid, valid), _labels(valid))
        probabilities = softmax(pool.logits(list(logits.values())))
    else:
        probabilities = cross_pool(logits, _labels(trials), seed=seed)
    names = [p.name for p in parts]
    alone = len(names) == 1
    return Predictions(
        name=f"{names[0]}, calibrated" if alone else f"Blend: {' and '.join(names)}",
        kind="baseline" if alone else "stack",
        phase=POOLED,
        learnt_from=parts[0].learnt_from if alone else "both, pooled",
        check=check,
        ids=trials.nct_ids,
        probabilities=probabilities,
        identity="+".join(p.identity for p in parts),
        note=_TEST_NOTE if check == "test" else _CROSS_NOTE,
    )


def _logits(predictions: Sequence[Predictions], rows: Dataset) -> dict[str, FloatArray]:
    return {p.name: log_probabilities(p.scores(rows).probabilities) for p in predictions}


def _labels(rows: Dataset) -> IntArray:
    return np.array(rows.label_indices, dtype=np.int64)


def _log_loss(predictions: Predictions, rows: Dataset) -> float:
    logits = log_probabilities(predictions.scores(rows).probabilities)
    return float(-logits[np.arange(len(rows)), _labels(rows)].mean())
