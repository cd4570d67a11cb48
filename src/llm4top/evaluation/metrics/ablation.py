"""What each part of a blend adds: the blend against the same blend without that part."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from llm4top.errors import EvaluationError
from llm4top.evaluation.metrics.bootstrap import DRAWS
from llm4top.evaluation.metrics.metrics import figure, measure_probabilities
from llm4top.forecasters.bundles.figures import Ablation, Figure
from llm4top.forecasters.calibration.calibrated import FloatArray, checked_data, softmax
from llm4top.forecasters.calibration.pool import LogPool

METRICS = ("roc_auc", "brier", "log_loss")


def ablate_parts(
    logits: Mapping[str, ArrayLike],
    y: ArrayLike,
    *,
    split: str,
    draws: int = DRAWS,
    seed: int = 0,
) -> Ablation:
    """What each part adds to a blend of equal weights.

    Args:
        logits: Each part's logits ``[n, K]`` of rows that it has not learned from, by its name.
        y: The rows' label indices ``[n]``.
        split: What the rows are: the name of a split, or "out-of-fold".
        draws: Number of paired bootstrap draws.
        seed: Seed of the draws.

    Returns:
        Differences of ROC-AUC, Brier score and log-loss, the blend less the blend without a part,
        for the bundle's manifest and card.

    Raises:
        EvaluationError: There are fewer than two parts.
        CalibrationError: Logits are not finite, or are about other numbers of rows or labels.
    """
    if len(logits) < 2:
        raise EvaluationError("a blend needs two parts or more to leave one out.")
    arrays = {name: checked_data(array, y)[0] for name, array in logits.items()}
    labels = np.asarray(y, dtype=np.int64)

    def measured(names: list[str]) -> tuple[dict[str, float | None], dict[str, FloatArray]]:
        pool = LogPool.equal(names, next(iter(arrays.values())).shape[1])
        pooled = softmax(pool.logits([arrays[name] for name in names]))
        figures, drawn = measure_probabilities(pooled, labels, draws=draws, seed=seed)
        return {metric: figures[metric].value for metric in METRICS}, drawn

    whole, drawn = measured([*arrays])
    without = {}
    for left_out in arrays:
        rest, rest_drawn = measured([name for name in arrays if name != left_out])
        without[left_out] = {
            metric: _difference(whole[metric], rest[metric], drawn[metric] - rest_drawn[metric])
            for metric in METRICS
        }
    return Ablation(split=split, n=len(labels), draws=draws, seed=seed, without=without)


def _difference(first: float | None, second: float | None, drawn: FloatArray) -> Figure:
    if first is None or second is None:
        return Figure(value=None, lower=None, upper=None)
    found = figure(first - second, drawn, len(drawn))
    return Figure(value=found.value, lower=found.lower, upper=found.upper)
