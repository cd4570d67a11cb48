"""Platt scaling, and vector scaling for more than two labels.

Binary: logistic regression on the difference of the two logits, towards Platt's smoothed targets
(Platt, Probabilistic outputs for support vector machines, 1999), solved by Newton's method with a
line search (Lin, Lin & Weng, A note on Platt's probabilistic outputs, 2007). More labels: one
slope and one offset a label on the log-probabilities (vector scaling, Guo et al. 2017,
arXiv:1706.04599), drawn towards slope 1 and offset 0, where nothing changes (off-diagonal and
intercept regularisation without the off-diagonal: Kull et al. 2019, arXiv:1910.12656).
"""

from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from llm4top.forecasters.calibration import calibrated
from llm4top.forecasters.calibration.phase_offsets import fit_softmax
from llm4top.forecasters.calibration.stored import CalibratorState, StatefulCalibrator
from llm4top.forecasters.log_odds import expit, log_softmax

_PRIOR_PRECISION = 1.0


class _State(CalibratorState):
    """``theta [P]``, its ``covariance [P, P]``, and the centring of a binary task's score."""

    method: Literal["platt"] = "platt"
    n_labels: int
    theta: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    centre: float = 0.0
    scale: float = 1.0

    @property
    def label_count(self) -> int:
        """How many labels it is about."""
        return self.n_labels

    def fault(self) -> str | None:
        """Why this is not a scaling, or None."""
        size = 2 if self.n_labels == 2 else 2 * self.n_labels
        covariance = np.array([row for row in self.covariance if len(row) == size])
        if self.n_labels < 2 or len(self.theta) != size or covariance.shape != (size, size):
            return "its parameters do not fit its number of labels"
        if self.scale <= 0 or (self.n_labels == 2 and self.theta[0] < 0):
            return "its slope or scale is negative"
        tolerance = 1e-9 * max(1.0, float(np.abs(covariance).max()))
        if not np.allclose(covariance, covariance.T, rtol=0, atol=tolerance):
            return "its covariance is not symmetric"
        negative = np.linalg.eigvalsh(covariance).min() < -tolerance
        return "its covariance has negative variances" if negative else None


class PlattCalibrator(StatefulCalibrator[_State]):
    """Platt scaling: smooth, two parameters, at home with few calibration rows.

    ``lower`` and ``upper`` are a 95 % interval of the calibrated probability by the delta method:
    the parameters' covariance carried to the log-odds, the bounds turned back into probabilities.
    It holds if the log-odds are linear in the score, and does not cover that they may not be. The
    error of a correction for the phase is added to that of the parameters.

    The slope of a binary task cannot be negative: where the scores rank worse than chance every
    trial gets the base rate, since calibration must not turn a ranking over.
    """

    method = "platt"
    title = "Platt"
    state_type = _State

    def _fitted(self, logits: calibrated.FloatArray, labels: calibrated.IntArray) -> _State:
        return (_fit_binary if logits.shape[1] == 2 else _fit_vector)(logits, labels)

    def predict(
        self, logits: ArrayLike, phases: calibrated.Phases | None = None
    ) -> calibrated.Calibrated:
        """See ``Calibrator.predict``."""
        state = self.state
        array = self._corrected(logits, phases)
        if state.n_labels == 2:
            design = _binary_design(array[:, 1] - array[:, 0], state.centre, state.scale)
        else:
            design = _vector_design(array)
        scaled = design @ np.array(state.theta)
        probabilities = calibrated.softmax(scaled)
        reported = calibrated.reported_labels(probabilities)
        covariance = np.array(state.covariance)
        lower, upper = _delta_interval(
            design, scaled, reported, covariance, more=_of_phases(state, phases, reported)
        )
        point = probabilities[np.arange(len(array)), reported]
        # Rounding must not push the point out of its own interval.
        return calibrated.Calibrated(
            probabilities, np.minimum(lower, point), np.maximum(upper, point)
        )

    def sampled(
        self,
        logits: ArrayLike,
        phases: calibrated.Phases | None,
        n: int,
        rng: np.random.Generator,
    ) -> calibrated.FloatArray:
        """See ``sampled.sampled_probabilities``: parameters drawn from their normal distribution.

        The corrections for the phase are drawn as well, one for each phase; that they are
        estimated together is left out.
        """
        state = self.state
        array = self._corrected(logits, phases)
        theta = rng.multivariate_normal(state.theta, np.array(state.covariance), size=n)
        if state.n_labels == 2:
            # A slope below 0 is not fitted, so none is drawn.
            theta[:, 0] = np.maximum(theta[:, 0], 0.0)
            design = _binary_design(array[:, 1] - array[:, 0], state.centre, state.scale)
        else:
            design = _vector_design(array)
        scaled = np.einsum("nkp,dp->dnk", design, theta)
        if state.phases is not None and phases is not None:
            given = list(phases)
            for phase in sorted({phase for phase in given if phase is not None}):
                rows = np.array([one == phase for one in given])
                for column in range(1 if state.n_labels == 2 else 0, state.n_labels):
                    of_label = np.array([column], dtype=np.int64)
                    error = np.sqrt(_of_phases(state, [phase], of_label))[0]
                    scaled[:, rows, column] += error * rng.standard_normal((n, 1))
        return np.asarray(np.exp(log_softmax(scaled, axis=2)), dtype=np.float64)


def _binary_design(
    scores: calibrated.FloatArray, centre: float, scale: float
) -> calibrated.FloatArray:
    """``[n, 2, 2]``: the second label's logit is slope times score plus offset, the first's 0."""
    design = np.zeros((len(scores), 2, 2))
    design[:, 1, 0] = (scores - centre) / scale
    design[:, 1, 1] = 1.0
    return design


def _vector_design(logits: calibrated.FloatArray) -> calibrated.FloatArray:
    """``[n, K, 2K]``: each label's slope on its log-probability, then each label's offset."""
    n, k = logits.shape
    design = np.zeros((n, k, 2 * k))
    columns = np.arange(k)
    # Log-probabilities, since a shift common to all of a trial's logits means nothing.
    design[:, columns, columns] = log_softmax(logits, axis=1)
    design[:, columns, k + columns] = 1.0
    return design


def _fit_binary(logits: calibrated.FloatArray, labels: calibrated.IntArray) -> _State:
    scores = logits[:, 1] - logits[:, 0]
    centre, spread = float(scores.mean()), float(scores.std())
    scale = spread if spread > 1e-12 * max(1.0, abs(centre)) else 1.0
    events = int(labels.sum())
    misses = len(labels) - events
    target = np.where(labels == 1, (events + 1) / (events + 2), 1 / (misses + 2))
    targets = np.stack([1 - target, target], axis=1)

    design = _binary_design(scores, centre, scale)
    flat = design[:, :, 1:]
    constant = spread <= 1e-12 * max(1.0, abs(centre))
    if not constant:
        theta, covariance = fit_softmax(design, targets, np.zeros(2), precision=0.0)
    if constant or theta[0] < 0:
        offset, variance = fit_softmax(flat, targets, np.zeros(1), precision=0.0)
        theta = np.array([0.0, offset[0]])
        covariance = np.array([[0.0, 0.0], [0.0, variance[0, 0]]])
    return _stored(labels, 2, theta, covariance, centre, scale)


def _fit_vector(logits: calibrated.FloatArray, labels: calibrated.IntArray) -> _State:
    k = logits.shape[1]
    start = np.repeat([1.0, 0.0], k)
    theta, covariance = fit_softmax(
        _vector_design(logits), np.eye(k)[labels], start, precision=_PRIOR_PRECISION
    )
    return _stored(labels, k, theta, covariance)


def _stored(
    labels: calibrated.IntArray,
    n_labels: int,
    theta: calibrated.FloatArray,
    covariance: calibrated.FloatArray,
    centre: float = 0.0,
    scale: float = 1.0,
) -> _State:
    rows = tuple(tuple(row) for row in ((covariance + covariance.T) / 2).tolist())
    return _State(
        n=len(labels),
        n_labels=n_labels,
        theta=tuple(theta.tolist()),
        covariance=rows,
        centre=centre,
        scale=scale,
    )


def _of_phases(
    state: _State, phases: calibrated.Phases | None, reported: calibrated.IntArray
) -> calibrated.FloatArray:
    """The variance ``[n]`` of the reported label's log-odds that is the phases' correction's."""
    if state.phases is None:
        return np.zeros(len(reported))
    theta = np.array(state.theta)
    slopes = np.full(2, theta[0] / state.scale) if state.n_labels == 2 else theta[: state.n_labels]
    return np.asarray(slopes[reported] ** 2 * state.phases.variances(phases, reported))


def _delta_interval(
    design: calibrated.FloatArray,
    scaled: calibrated.FloatArray,
    reported: calibrated.IntArray,
    covariance: calibrated.FloatArray,
    *,
    more: calibrated.FloatArray,
) -> tuple[calibrated.FloatArray, calibrated.FloatArray]:
    """Bounds ``[n]`` of the reported label's probability, from those of its log-odds.

    ``more`` is variance of the log-odds that is not the parameters'.
    """
    rows = np.arange(len(design))
    rest = scaled.copy()
    rest[rows, reported] = -np.inf
    # Gradient of the log-odds: the label's own row less the mean row of the other labels.
    others = np.einsum("nkp,nk->np", design, calibrated.softmax(rest))
    gradient = design[rows, reported] - others
    log_odds = scaled[rows, reported] - np.logaddexp.reduce(rest, axis=1)
    variance = np.einsum("np,pq,nq->n", gradient, covariance, gradient) + more
    half = NormalDist().inv_cdf((1 + calibrated.INTERVAL_LEVEL) / 2) * np.sqrt(
        np.maximum(variance, 0.0)
    )
    return expit(log_odds - half), expit(log_odds + half)
