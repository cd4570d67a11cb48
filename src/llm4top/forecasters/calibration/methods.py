"""Calibration: from answer logits to probabilities that mean what they say."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from llm4top.errors import CalibrationError
from llm4top.forecasters.calibration import calibrated
from llm4top.forecasters.calibration.platt import PlattCalibrator
from llm4top.forecasters.calibration.venn_abers import VennAbersCalibrator

DEFAULT_CALIBRATION = "venn-abers"


class NoCalibration:
    """The model's own probabilities, softmax of its logits, with no interval (NaN).

    For zero-shot use and for data too few to calibrate on: a forecast made through it carries a
    warning that it is not calibrated.
    """

    method: str = "none"
    by_phase: bool = False

    def fit(self, logits: ArrayLike, y: ArrayLike, phases: calibrated.Phases | None = None) -> Self:
        """Learns nothing and refuses nothing."""
        del logits, y, phases
        return self

    def predict(
        self, logits: ArrayLike, phases: calibrated.Phases | None = None
    ) -> calibrated.Calibrated:
        """See ``Calibrator.predict``; the bounds are NaN, and phases change nothing."""
        array = calibrated.checked_logits(logits)
        calibrated.check_phases(phases, len(array))
        unknown = np.full(len(array), np.nan)
        return calibrated.Calibrated(calibrated.softmax(array), unknown, unknown.copy())

    def to_dict(self) -> dict[str, Any]:
        """See ``Calibrator.to_dict``."""
        return {"method": self.method}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """See ``Calibrator.from_dict``."""
        if state != {"method": "none"}:
            raise calibrated.bad_state("absent", "it holds more than its name")
        return cls()


CALIBRATORS: dict[str, type[calibrated.Calibrator]] = {
    "venn-abers": VennAbersCalibrator,
    "platt": PlattCalibrator,
    "none": NoCalibration,
}
"""Every calibration by the name that settings and bundles give it."""


def make_calibrator(method: str = DEFAULT_CALIBRATION) -> calibrated.Calibrator:
    """A new calibrator of that name; ``CalibrationError`` lists the known ones."""
    if method not in CALIBRATORS:
        raise CalibrationError(
            f"no calibration {method!r}.", hint=f"Known calibrations: {', '.join(CALIBRATORS)}."
        )
    return CALIBRATORS[method]()


def calibrator_from_dict(state: dict[str, Any]) -> calibrated.Calibrator:
    """The calibrator that ``to_dict`` described; ``CalibrationError`` where it is none."""
    method = state.get("method")
    if not isinstance(method, str) or method not in CALIBRATORS:
        raise calibrated.bad_state("unknown", f"its method is {method!r}")
    return CALIBRATORS[method].from_dict(state)


def cross_calibrate(
    calibrator: calibrated.Calibrator,
    logits: ArrayLike,
    y: ArrayLike,
    phases: calibrated.Phases | None = None,
    *,
    folds: int | calibrated.IntArray = 5,
    seed: int = 0,
) -> calibrated.Calibrated:
    """Calibrated probabilities of validation data, no row calibrated by a fit that has seen it.

    The figures of a calibration on its own data are optimistic; these are not. ``logits`` is
    ``[n, K]``, ``y`` and ``phases`` ``[n]``; folds are stratified by label and drawn from ``seed``,
    or ``folds`` is the fold of each row ``[n]``, as ``cross_fit`` gives it.
    ``calibrator`` names the method and stays as it is.

    Raises ``CalibrationError`` where the data, or the data less one fold, cannot support it.
    """
    array, labels = calibrated.checked_data(logits, y, phases)
    if not isinstance(folds, int):
        parts = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds)]
        return _cross_calibrated(calibrator, array, labels, phases, parts)
    least = int(np.bincount(labels).min())
    if not 2 <= folds <= least:
        raise CalibrationError(
            f"{folds} folds cannot be drawn: the rarest label has {least} rows.",
            hint=f"Give a number of folds from 2 to {least}.",
        )
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return _cross_calibrated(calibrator, array, labels, phases, splitter.split(array, labels))


def _cross_calibrated(
    calibrator: calibrated.Calibrator,
    array: calibrated.FloatArray,
    labels: calibrated.IntArray,
    phases: calibrated.Phases | None,
    parts: Iterable[tuple[calibrated.IntArray, calibrated.IntArray]],
) -> calibrated.Calibrated:
    probabilities: calibrated.FloatArray = np.empty_like(array)
    lower, upper = np.empty(len(array)), np.empty(len(array))
    for rest, fold in parts:
        fitted = type(calibrator)().fit(array[rest], labels[rest], calibrated.rows_of(phases, rest))
        part = fitted.predict(array[fold], calibrated.rows_of(phases, fold))
        probabilities[fold], lower[fold], upper[fold] = part.probabilities, part.lower, part.upper
    return calibrated.Calibrated(probabilities, lower, upper)
