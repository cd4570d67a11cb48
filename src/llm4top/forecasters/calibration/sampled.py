"""Draws of a calibration: what it might have been, had its data been drawn anew."""

import numpy as np
from numpy.typing import ArrayLike

from llm4top.forecasters.calibration.calibrated import Calibrator, FloatArray, Phases
from llm4top.forecasters.calibration.platt import PlattCalibrator
from llm4top.forecasters.calibration.venn_abers import VennAbersCalibrator


def sampled_probabilities(
    calibration: Calibrator,
    logits: ArrayLike,
    phases: Phases | None,
    n: int,
    rng: np.random.Generator,
) -> FloatArray | None:
    """Probabilities of trials by ``n`` draws of their calibration.

    Args:
        calibration: A fitted calibration.
        logits: Of the trials, ``[rows, K]``.
        phases: Of the trials, ``[rows]``.
        n: The number of draws.
        rng: Where they are drawn from.

    Returns:
        ``[n, rows, K]``; one draw is one calibration for all rows, so differences between rows are
        paired. None where nothing was calibrated, or too little of the calibration is stored.
    """
    if isinstance(calibration, PlattCalibrator | VennAbersCalibrator):
        return calibration.sampled(logits, phases, n, rng)
    return None
