"""A calibration that is its state: how it is stored, and read from what may be damaged."""

from typing import Any, Generic, Self, TypeVar

from numpy.typing import ArrayLike
from pydantic import ValidationError

from llm4top.errors import CalibrationError
from llm4top.forecasters.calibration import calibrated
from llm4top.forecasters.calibration.phase_offsets import PhaseOffsets, correct
from llm4top.schema import Strict


class CalibratorState(Strict):
    """What a fitted calibration has learned, as a bundle stores it."""

    n: int
    phases: PhaseOffsets | None = None

    @property
    def label_count(self) -> int:
        """How many labels it is about."""
        raise NotImplementedError

    def fault(self) -> str | None:
        """Why this is not a calibration, or None."""
        raise NotImplementedError


S = TypeVar("S", bound=CalibratorState)


class StatefulCalibrator(Generic[S]):
    """A calibration with a state of type ``S``; ``title`` is its name in errors."""

    method: str
    state_type: type[S]
    title: str

    def __init__(self) -> None:
        self._state: S | None = None

    @property
    def state(self) -> S:
        """What it has learned; ``CalibrationError`` before the fit."""
        if self._state is None:
            raise CalibrationError(
                f"the {self.method} calibration has not been fitted.", hint="Call fit."
            )
        return self._state

    @property
    def by_phase(self) -> bool:
        """See ``Calibrator.by_phase``."""
        return self._state is not None and self._state.phases is not None

    def fit(self, logits: ArrayLike, y: ArrayLike, phases: calibrated.Phases | None = None) -> Self:
        """See ``Calibrator.fit``: validation data only."""
        array, labels = calibrated.checked_data(logits, y, phases)
        offsets = None if phases is None else PhaseOffsets.fit(array, labels, phases)
        state = self._fitted(correct(offsets, array, phases), labels)
        self._state = state.model_copy(update={"phases": offsets})
        return self

    def _fitted(self, logits: calibrated.FloatArray, labels: calibrated.IntArray) -> S:
        """What it learns from logits that are corrected for the phase."""
        raise NotImplementedError

    def _corrected(
        self, logits: ArrayLike, phases: calibrated.Phases | None
    ) -> calibrated.FloatArray:
        """Checked logits, corrected for the phase as those of the fit were."""
        state = self.state
        return correct(state.phases, calibrated.checked_logits(logits, state.label_count), phases)

    def to_dict(self) -> dict[str, Any]:
        """See ``Calibrator.to_dict``."""
        return self.state.model_dump(mode="json")

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """See ``Calibrator.from_dict``."""
        try:
            parsed = cls.state_type.model_validate(state)
        except ValidationError as error:
            wrong = f"{error.error_count()} of its fields are wrong"
            raise calibrated.bad_state(cls.title, wrong) from None
        if parsed.phases and parsed.phases.n_labels != parsed.label_count:
            raise calibrated.bad_state(cls.title, "its phases are about another number of labels")
        if fault := parsed.fault():
            raise calibrated.bad_state(cls.title, fault)
        calibrator = cls()
        calibrator._state = parsed
        return calibrator
