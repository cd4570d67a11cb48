"""The figures of a model card: the few that a reader needs, with the trivial baselines' beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from llm4top.evaluation._bootstrap import DRAWS
from llm4top.evaluation._metrics import figure, measure_probabilities
from llm4top.evaluation._scores import FloatArray, IntArray

SHOWN = {"log_loss": "log_loss", "brier": "brier", "roc_auc": "roc_auc", "f1": "f1_at_half"}
"""The card's name of each figure, and the metric behind it."""


def card_figures(
    forecasts: Mapping[str, FloatArray], y: IntArray, *, split: str, seed: int = 0
) -> dict[str, Any]:
    """The card's figures of every forecaster on the same rows, by the same 1 000 draws.

    ``forecasts`` maps a forecaster's name to its probabilities ``[n, K]``; ``y`` are label
    indices ``[n]``. Gives ``{"split", "n", "draws", "seed", "forecasters": {name: {metric:
    {"value", "lower", "upper"}}}}``. What cannot be measured is None throughout: the F1 of more
    than two labels, the ROC-AUC where a label has no row.
    """
    return {
        "split": split,
        "n": len(y),
        "draws": DRAWS,
        "seed": seed,
        "forecasters": {
            name: _figures(np.asarray(p, dtype=np.float64), np.asarray(y, dtype=np.int64), seed)
            for name, p in forecasts.items()
        },
    }


def _figures(p: FloatArray, y: IntArray, seed: int) -> dict[str, dict[str, float | None]]:
    values, drawn = measure_probabilities(p, y, draws=DRAWS, seed=seed)
    unknown = np.full(DRAWS, np.nan)
    shown = {
        name: figure(values.get(metric, np.nan), drawn.get(metric, unknown), len(y))
        for name, metric in SHOWN.items()
    }
    return {
        name: {
            bound: None if value is None else round(value, 6)
            for bound, value in (("value", one.value), ("lower", one.lower), ("upper", one.upper))
        }
        for name, one in shown.items()
    }
