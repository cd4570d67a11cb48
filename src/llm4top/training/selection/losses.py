"""Log-losses row by row, so that any two forecasters' are paired, with bootstrap intervals.

Every forecaster is scaled in the same way before it is compared: a slope and an offset for each
label on its log-probabilities, cross-fitted on the same folds (``cross_pool``). So no candidate
wins or loses because of its class weights or its overconfidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llm4top.data.dataset import Dataset
from llm4top.errors import TooFewRowsError
from llm4top.evaluation.metrics.bootstrap import bootstrap, grouped
from llm4top.evaluation.metrics.metrics import figure
from llm4top.evaluation.predictions import FloatArray, IntArray
from llm4top.evaluation.reports.report import Figure
from llm4top.forecasters.calibration.calibrated import MIN_ROWS, MIN_ROWS_OF_A_LABEL
from llm4top.forecasters.calibration.pool import FOLDS, cross_pool

_LEAST_LOG = 1e-15
SEED = 0
"""Of folds and draws: the same for every selection, so that figures can be compared."""


def row_losses(probabilities: FloatArray, y: IntArray) -> FloatArray:
    """-ln p of the label that came true: ``[n]`` of ``[n, K]`` and ``[n]``."""
    found = probabilities[np.arange(len(y)), y]
    return np.asarray(-np.log(np.maximum(found, _LEAST_LOG)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class SelectionScorer:
    """Scores forecasters by log-loss on the rows with label indices ``y`` ``[n]``."""

    y: IntArray
    draws: int = 1000

    @classmethod
    def of(cls, rows: Dataset, *, draws: int, split: str) -> SelectionScorer:
        """The scorer of a split; ``TooFewRowsError`` where it has too few rows to select by."""
        y = np.asarray(rows.label_indices, dtype=np.int64)
        counts = np.bincount(y, minlength=len(rows.task.labels))
        # One fold less must still carry a fit.
        least, rows_needed = MIN_ROWS_OF_A_LABEL + 2, MIN_ROWS * FOLDS // (FOLDS - 1)
        if len(y) < rows_needed or counts.min() < least:
            raise TooFewRowsError(
                f"{len(y)} rows, {counts.min()} of the rarest label: {rows_needed} and {least} "
                "are the least to choose by.",
                where=f"{split} split",
                hint="Set more validation data aside (llm4top ingest).",
            )
        return cls(y, draws)

    def scaled(self, sources: Mapping[str, ArrayLike]) -> FloatArray:
        """Probabilities ``[n, K]`` of one forecaster, or of several pooled, cross-fitted.

        ``sources`` maps names to logits ``[n, K]``.
        """
        return cross_pool(sources, self.y, seed=SEED)

    def losses(self, sources: Mapping[str, ArrayLike]) -> FloatArray:
        """Log-losses ``[n]`` of what ``scaled`` gives."""
        return row_losses(self.scaled(sources), self.y)

    def mean(self, values: FloatArray) -> Figure:
        """The mean of a value of each row ``[n]``, with the interval of the bootstrap.

        Draws are the same for the same rows: the interval of a difference is paired.
        """
        ordered = values[grouped(self.y)]
        drawn = bootstrap(
            lambda counts: {"mean": counts @ ordered / len(ordered)},
            self.y,
            draws=self.draws,
            seed=SEED,
        )["mean"]
        return figure(float(values.mean()), drawn, len(values))


def is_gain(difference: Figure) -> bool:
    """Whether a difference of log-losses is below 0 with its whole interval."""
    return difference.upper is not None and difference.upper < 0
