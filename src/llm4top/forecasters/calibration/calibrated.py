"""What every calibration takes and gives, and the data that none of them accepts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm4top.errors import CalibrationError
from llm4top.forecasters.log_odds import log_softmax

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Phases = Sequence[str | None]
"""The phases of trials, as ``Trial.phase`` spells them; None where a trial has none."""

INTERVAL_LEVEL = 0.95
MIN_ROWS = 20
MIN_ROWS_OF_A_LABEL = 5


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Calibrated probabilities of ``n`` trials over ``K`` labels.

    ``probabilities`` is ``[n, K]``, each row sums to one. ``lower`` and ``upper`` are ``[n]`` and
    bound one column: the second of a binary task (the event), else the most probable one. They
    are NaN where the calibration gives no interval.
    """

    probabilities: FloatArray
    lower: FloatArray
    upper: FloatArray

    @property
    def reported(self) -> IntArray:
        """Index of the label that ``lower`` and ``upper`` are about: ``[n]``."""
        return reported_labels(self.probabilities)


class Calibrator(Protocol):
    """A map from answer logits to calibrated probabilities; ``method`` is its name in a bundle."""

    method: str

    @property
    def by_phase(self) -> bool:
        """Whether it was fitted with more than one phase."""
        ...

    def fit(self, logits: ArrayLike, y: ArrayLike, phases: Phases | None = None) -> Self:
        """Learn from answer logits ``[n, K]`` and label indices ``[n]``; returns itself.

        Fit on validation data only: data that neither trained the model nor will test it. With
        ``phases`` ``[n]`` (None for a trial without one) the log-odds are corrected for the phase
        before they are calibrated: see ``PhaseOffsets``. Raises ``CalibrationError`` where the
        data cannot support a calibration.
        """
        ...

    def predict(self, logits: ArrayLike, phases: Phases | None = None) -> Calibrated:
        """Calibrated probabilities of answer logits ``[n, K]`` of trials of these ``phases`` [n].

        A trial whose phase is not given, or was not in the calibration data, is calibrated as all
        phases together. Raises ``CalibrationError`` before ``fit``, for another number of labels
        than it was fitted with, and for logits that are not finite.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-able state; ``from_dict`` gives back a calibrator with equal predictions."""
        ...

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of ``to_dict``; ``CalibrationError`` for a state that contradicts itself."""
        ...


def reported_labels(probabilities: FloatArray) -> IntArray:
    """The label an interval is about: the second of two, else the most probable; ``[n]``."""
    if probabilities.shape[1] == 2:
        return np.ones(len(probabilities), dtype=np.int64)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def checked_logits(logits: ArrayLike, n_labels: int | None = None) -> FloatArray:
    """Logits as float64 ``[n, K]``; ``CalibrationError`` where they are not that, or not finite."""
    array = np.asarray(logits, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise CalibrationError(
            f"answer logits have the shape {list(array.shape)}, not [trials, labels].",
            hint="Give one row a trial and one column a label, two columns or more.",
        )
    if n_labels is not None and array.shape[1] != n_labels:
        raise CalibrationError(
            f"the answer logits are about {array.shape[1]} labels, the calibration about "
            f"{n_labels}.",
            hint="Use the calibration of the same task.",
        )
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise CalibrationError(
            f"the answer logits of row {row} are not finite numbers.",
            hint="The model's weights are broken or its number type overflows: try float32.",
        )
    return array


def check_phases(phases: Phases | None, n: int) -> None:
    """``CalibrationError`` unless there is one phase a row."""
    if phases is not None and len(phases) != n:
        raise CalibrationError(
            f"{n} rows of answer logits and {len(phases)} phases differ in length.",
            hint="Give one phase for each row, None for a trial without one.",
        )


def rows_of(phases: Phases | None, rows: Sequence[int] | IntArray) -> Phases | None:
    """The phases of some rows, None where there are none."""
    return None if phases is None else [phases[row] for row in rows]


def checked_data(
    logits: ArrayLike, y: ArrayLike, phases: Phases | None = None
) -> tuple[FloatArray, IntArray]:
    """Logits ``[n, K]`` and label indices ``[n]`` that can support a calibration.

    Raises ``CalibrationError`` for different lengths, numbers that are not finite, labels that
    are not an index of a column, fewer than 20 rows, an absent label, or fewer than 5 rows of one.
    """
    array = checked_logits(logits)
    check_phases(phases, len(array))
    labels = np.asarray(y)
    n, n_labels = array.shape
    if labels.shape != (n,):
        raise CalibrationError(
            f"{n} rows of answer logits and {labels.size} labels differ in length.",
            hint="Give one label for each row.",
        )
    if not np.isin(labels, np.arange(n_labels)).all():
        raise CalibrationError(
            f"labels must be whole numbers from 0 to {n_labels - 1}, one for each column.",
            hint="Translate label names with Task.label_index first.",
        )
    more_data = "Set aside more validation data, or forecast without calibration."
    if n < MIN_ROWS:
        raise CalibrationError(
            f"{n} rows are too few to calibrate on: {MIN_ROWS} are the least.", hint=more_data
        )
    counts = np.bincount(labels.astype(np.int64), minlength=n_labels)
    for label, count in enumerate(counts):
        if count == 0:
            raise CalibrationError(
                f"label {label} is absent from the calibration data.", hint=more_data
            )
        if count < MIN_ROWS_OF_A_LABEL:
            raise CalibrationError(
                f"label {label} has {count} {'row' if count == 1 else 'rows'} in the calibration "
                f"data: {MIN_ROWS_OF_A_LABEL} are the least.",
                hint=more_data,
            )
    return array, labels.astype(np.int64)


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities of logits ``[n, K]``."""
    return np.exp(log_softmax(logits, axis=1))


def bad_state(method: str, reason: str) -> CalibrationError:
    """The error for a stored calibration that cannot be used."""
    return CalibrationError(
        f"the stored {method} calibration cannot be used: {reason}.",
        hint="Get the bundle again from where it came, or calibrate again.",
    )
