"""The figures of a model card: the few that a reader needs, with the trivial baselines' beside."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from llm4top.evaluation.metrics.bootstrap import DRAWS
from llm4top.evaluation.metrics.metrics import measure_probabilities
from llm4top.evaluation.predictions import FloatArray, IntArray
from llm4top.evaluation.reports.report import Figure

SHOWN = {"log_loss": "log_loss", "brier": "brier", "roc_auc": "roc_auc", "f1": "f1_at_half"}
"""The card's name of each figure, and the metric behind it."""

SHOWN_BY_PHASE = ("roc_auc", "brier", "calibration_slope", "calibration_intercept")
LEAST_ROWS, LEAST_ROWS_OF_A_LABEL = 20, 5
"""Below these a phase is not measured."""


def card_figures(
    forecasts: Mapping[str, FloatArray],
    y: IntArray,
    *,
    split: str,
    phases: Sequence[Collection[str]] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """The card's figures of every forecaster on the same rows, by the same 1 000 draws.

    ``forecasts`` maps a forecaster's name to its probabilities ``[n, K]``; ``y`` are label
    indices ``[n]``. Gives ``{"split", "n", "draws", "seed", "forecasters": {name: {metric:
    {"value", "lower", "upper"}}}}``, and with ``phases`` ``[n]``, those that each row belongs to,
    ``{"phases": {phase: {"n", "figures"}}}`` of the first forecaster of two labels: its ROC-AUC,
    Brier score, calibration slope and intercept and the event's share, in each phase of at least
    20 rows and 5 of each label. What cannot be measured is None throughout: the F1 of more
    than two labels, the ROC-AUC where a label has no row.
    """
    labels = np.asarray(y, dtype=np.int64)
    arrays = {name: np.asarray(p, dtype=np.float64) for name, p in forecasts.items()}
    return {
        "split": split,
        "n": len(y),
        "draws": DRAWS,
        "seed": seed,
        "forecasters": {name: _figures(p, labels, seed) for name, p in arrays.items()},
        "phases": _by_phase(next(iter(arrays.values())), labels, phases, seed),
    }


def _by_phase(
    p: FloatArray, y: IntArray, phases: Sequence[Collection[str]], seed: int
) -> dict[str, dict[str, Any]]:
    if p.shape[1] != 2:
        return {}
    found = {}
    for phase in sorted({phase for held in phases for phase in held}):
        rows = np.array([phase in held for held in phases])
        own = y[rows]
        if len(own) < LEAST_ROWS or min(np.bincount(own, minlength=2)) < LEAST_ROWS_OF_A_LABEL:
            continue
        measured, _ = measure_probabilities(p[rows], own, draws=DRAWS, seed=seed)
        figures = {name: _rounded(measured[name]) for name in SHOWN_BY_PHASE}
        share = {"value": round(float(own.mean()), 6), "lower": None, "upper": None}
        found[phase] = {"n": len(own), "figures": {**figures, "prevalence": share}}
    return found


def _figures(p: FloatArray, y: IntArray, seed: int) -> dict[str, dict[str, float | None]]:
    measured, _ = measure_probabilities(p, y, draws=DRAWS, seed=seed)
    unknown = Figure(value=None, lower=None, upper=None, n=len(y))
    return {name: _rounded(measured.get(metric, unknown)) for name, metric in SHOWN.items()}


def _rounded(one: Figure) -> dict[str, float | None]:
    return {
        bound: None if value is None else round(value, 6)
        for bound, value in (("value", one.value), ("lower", one.lower), ("upper", one.upper))
    }
