"""The figures of a model card: each with its 95 % interval, its n and the trivial baselines.

Intervals are percentiles of 1 000 bootstrap draws of the rows, the same draws for every
forecaster, so that the intervals of two of them can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DRAWS = 1000
_LEAST = 1e-15


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with the bounds of its 95 % interval; NaN where it cannot be measured."""

    value: float
    lower: float
    upper: float

    def to_dict(self) -> dict[str, float | None]:
        """JSON-able form; what is not a number becomes None."""
        values = {"value": self.value, "lower": self.lower, "upper": self.upper}
        return {k: (round(v, 6) if np.isfinite(v) else None) for k, v in values.items()}


def log_loss(probabilities: FloatArray, y: IntArray) -> float:
    """Mean of -ln p of the label that came true, for ``[n, K]`` and ``[n]``; p at least 1e-15."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(y)), y], _LEAST)).mean())


def brier(probabilities: FloatArray, y: IntArray) -> float:
    """Brier score: for two labels of the second one (0 to 1), else summed over labels (0 to 2)."""
    truth = np.eye(probabilities.shape[1])[y]
    squares = (probabilities - truth) ** 2
    return float((squares[:, 1] if probabilities.shape[1] == 2 else squares.sum(axis=1)).mean())


def roc_auc(probabilities: FloatArray, y: IntArray) -> float:
    """Area under the ROC curve of the second of two labels; NaN without both, or with more.

    Ties count half (Mann-Whitney).
    """
    positive = y == 1
    n1 = int(positive.sum())
    n0 = len(y) - n1
    if probabilities.shape[1] != 2 or not n1 or not n0:
        return float("nan")
    ranks = rankdata(probabilities[:, 1])
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def f1(probabilities: FloatArray, y: IntArray) -> float:
    """F1 of the second of two labels where its probability is .5 or more; NaN with more labels.

    0 where there is nothing true among what was said or to be said. It is here to show how far
    "always" gets: F1 rewards saying yes.
    """
    if probabilities.shape[1] != 2:
        return float("nan")
    said = probabilities[:, 1] >= 0.5
    hits = int((said & (y == 1)).sum())
    return 2 * hits / max(int(said.sum()) + int((y == 1).sum()), 1)


METRICS: dict[str, Callable[[FloatArray, IntArray], float]] = {
    "log_loss": log_loss,
    "brier": brier,
    "roc_auc": roc_auc,
    "f1": f1,
}


def measure(
    forecasts: Mapping[str, FloatArray], y: IntArray, *, split: str, seed: int = 0
) -> dict[str, Any]:
    """Every metric of every forecaster on the same rows.

    ``forecasts`` maps a forecaster's name to its probabilities ``[n, K]``; ``y`` are label
    indices ``[n]``. Gives ``{"split", "n", "draws", "seed", "forecasters": {name: {metric:
    {"value", "lower", "upper"}}}}``; a metric that cannot be measured is None throughout.
    """
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(y), size=(DRAWS, len(y)))
    return {
        "split": split,
        "n": len(y),
        "draws": DRAWS,
        "seed": seed,
        "forecasters": {
            name: {
                metric: _figure(function, np.asarray(p, dtype=np.float64), y, draws).to_dict()
                for metric, function in METRICS.items()
            }
            for name, p in forecasts.items()
        },
    }


def _figure(
    metric: Callable[[FloatArray, IntArray], float],
    probabilities: FloatArray,
    y: IntArray,
    draws: IntArray,
) -> Figure:
    drawn = np.array([metric(probabilities[rows], y[rows]) for rows in draws])
    drawn = drawn[np.isfinite(drawn)]
    lower, upper = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Figure(metric(probabilities, y), float(lower), float(upper))
