"""What a trial's phase says beyond its score: offsets of the log-odds, shrunk towards none.

A model that hardly reads the phase gives phase II trials too high chances and phase III trials too
low ones, and a calibration over all phases cannot see it. Before any calibration the log-odds
therefore get an offset for each phase, fitted on the calibration data together with one slope and
one level for all of them.
"""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, field_validator

from llm4top.forecasters.calibration.calibrated import (
    FloatArray,
    IntArray,
    Phases,
    check_phases,
    softmax,
)
from llm4top.forecasters.log_odds import log_softmax
from llm4top.schema import Strict

_MAX_STEPS = 100


def fit_softmax(
    design: FloatArray, targets: FloatArray, prior: FloatArray, *, precision: float | FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Parameters ``[P]`` of least cross-entropy, and their covariance (inverse Hessian).

    ``design`` is ``[n, K, P]``, ``targets`` ``[n, K]``; ``precision``, one number or one a
    parameter, weighs the pull towards ``prior``, which is also the start. Solved by Newton's
    method with a line search (Lin, Lin & Weng, A note on Platt's probabilistic outputs, 2007).
    """

    def loss(theta: FloatArray) -> float:
        cross_entropy = -(targets * log_softmax(design @ theta, axis=1)).sum()
        return float(cross_entropy + (precision * (theta - prior) ** 2).sum() / 2)

    # A trace of curvature keeps the Hessian invertible where all probabilities saturate.
    ridge = (precision + 1e-10) * np.eye(len(prior))
    theta, value = prior.astype(np.float64), loss(prior)
    for _ in range(_MAX_STEPS):
        p = softmax(design @ theta)
        gradient = np.einsum("nkp,nk->p", design, p - targets) + precision * (theta - prior)
        step = np.linalg.solve(_curvature(design, p) + ridge, gradient)
        size = 1.0
        while (trial := loss(theta - size * step)) > value and size > 1e-10:
            size /= 2
        theta, before, value = theta - size * step, value, min(trial, value)
        if before - value <= 1e-13 * max(1.0, abs(value)):
            break
    p = softmax(design @ theta)
    return theta, np.asarray(np.linalg.inv(_curvature(design, p) + ridge), dtype=np.float64)


def _curvature(design: FloatArray, p: FloatArray) -> FloatArray:
    mean = np.einsum("nkp,nk->np", design, p)
    second_moment = np.einsum("nkp,nk,nkq->pq", design, p, design)
    return np.asarray(second_moment - mean.T @ mean, dtype=np.float64)


PRIOR_TRIALS = 25
"""How many trials the prior of "this phase is like all others" is worth.

Chosen of 10, 25, 50, 100, 200 and 400 on splits by time inside TOP's training part (TF-IDF, fitted
on the oldest trials, calibrated on later ones, measured on the newest): log-loss fell with fewer
trials down to 25 and hardly from there on, for Venn-Abers and Platt, whether or not the model had
read the phase. Cross-fitted on TOP's validation trials the embedded model did best at 100, 25 was
within .005 of it.
"""


class PhaseOffsets(Strict):
    """Log-odds of a model corrected for the trial's phase.

    ``offsets`` has one number a label for each phase; those of a phase that the calibration data
    lack are 0, so that such a trial, or one without a phase, is calibrated as all phases together.
    A combined phase ("Phase 1/Phase 2") has the mean of its parts' offsets and one of its own:
    its trials teach the parts, and it is corrected by its parts where it is rare or new.

    The offsets are those of least cross-entropy of a softmax regression on the model's
    log-probabilities, with a slope for all trials and a level for each label, drawn to 0 by a
    Gaussian prior worth ``PRIOR_TRIALS`` trials at even chances: a phase of as many trials gets
    half to two thirds of the offset that its own trials ask for. (A random intercept of known
    variance: Gelman & Hill 2007, chapter 12.)
    """

    slope: Annotated[float, Field(ge=0)]
    offsets: dict[str, tuple[float, ...]]
    errors: dict[str, tuple[Annotated[float, Field(ge=0)], ...]] = Field(default={})
    """Of each phase of the calibration data the standard error of how far it is from the average
    trial's, in log-odds of each label against the others."""

    @field_validator("offsets")
    @classmethod
    def _rows_of_one_length(
        cls, offsets: dict[str, tuple[float, ...]]
    ) -> dict[str, tuple[float, ...]]:
        if not offsets or len({len(row) for row in offsets.values()}) != 1:
            raise ValueError("each phase needs one offset a label")
        return offsets

    @property
    def n_labels(self) -> int:
        """How many labels the offsets are about."""
        return len(next(iter(self.offsets.values())))

    @classmethod
    def fit(
        cls, logits: FloatArray, labels: IntArray, phases: Phases, *, prior: float = PRIOR_TRIALS
    ) -> Self | None:
        """From logits ``[n, K]``, label indices ``[n]`` and phases ``[n]``, None where unknown.

        None where all trials are of one phase, or of none: there is nothing to correct.
        """
        if len(set(phases)) < 2:
            return None
        names = sorted({name for phase in phases for name in _names(phase)})
        k = logits.shape[1]
        held = _memberships(phases, names)
        # Of the slope, the levels of all labels but the first, and each phase's offsets.
        design = np.zeros((len(labels), k, k + len(names) * k))
        scores = log_softmax(logits, axis=1)
        # In units of their own spread: Newton's method cannot start where all chances are 0 or 1.
        spread = float((scores - scores.mean(axis=1, keepdims=True)).std()) or 1.0
        design[:, :, 0] = scores / spread
        for label in range(k):
            if label:
                design[:, label, label] = 1.0
            design[:, label, k + label :: k] = held
        # A trial at even chances carries 1/4 on the log-odds, of which each label holds half.
        weights = np.concatenate([np.zeros(k), np.full(len(names) * k, prior / 2)])
        start = np.zeros(len(weights))
        targets = _targets(labels, k)
        theta, covariance = fit_softmax(design, targets, start, precision=weights)
        if theta[0] < 0:
            # Scores that rank worse than chance say nothing; phases may.
            flat, known = fit_softmax(design[:, :, 1:], targets, start[1:], precision=weights[1:])
            theta = np.concatenate([[0.0], flat])
            covariance = np.pad(known, ((1, 0), (1, 0)))
        offsets = theta[k:].reshape(len(names), k)
        return cls(
            slope=float(theta[0]) / spread,
            offsets={name: tuple(row) for name, row in zip(names, offsets.tolist(), strict=True)},
            errors=_errors(
                sorted({p for p in phases if p is not None}), names, held, covariance[k:, k:], k
            ),
        )

    def variances(self, phases: Phases | None, label: IntArray) -> FloatArray:
        """Of the correction of ``label [n]``'s log-odds: ``[n]``, 0 where there was none."""
        known = {phase: np.square(row) for phase, row in self.errors.items()}
        zero = np.zeros(self.n_labels)
        given = [None] * len(label) if phases is None else phases
        rows = [zero if p is None else known.get(p, zero) for p in given]
        return np.array([row[i] for row, i in zip(rows, label, strict=True)], dtype=np.float64)

    def apply(self, logits: FloatArray, phases: Phases | None) -> FloatArray:
        """Corrected logits ``[n, K]``; without ``phases`` those of trials without a phase.

        Raises ``CalibrationError`` where phases and logits differ in number.
        """
        check_phases(phases, len(logits))
        scaled = self.slope * log_softmax(logits, axis=1)
        if phases is None:
            return np.asarray(scaled, dtype=np.float64)
        names = list(self.offsets)
        return np.asarray(
            scaled + _memberships(phases, names) @ np.array([self.offsets[n] for n in names]),
            dtype=np.float64,
        )


def correct(offsets: PhaseOffsets | None, logits: FloatArray, phases: Phases | None) -> FloatArray:
    """``logits`` as they are where there are no offsets, else corrected by them."""
    if offsets is None:
        check_phases(phases, len(logits))
        return logits
    return offsets.apply(logits, phases)


def _names(phase: str | None) -> list[str]:
    """The phases that a trial is of: itself, and its parts where it combines several."""
    if phase is None:
        return []
    parts = phase.split("/") if phase != "N/A" else [phase]
    return [phase] if len(parts) == 1 else [phase, *parts]


def _memberships(phases: Phases, names: Sequence[str]) -> FloatArray:
    """``[n, names]``: 1 for a trial's own phase, equal shares for the parts of a combined one."""
    held = np.zeros((len(phases), len(names)))
    column = {name: i for i, name in enumerate(names)}
    for row, phase in enumerate(phases):
        own, *parts = _names(phase) or [""]
        if own in column:
            held[row, column[own]] = 1.0
        for part in parts:
            if part in column:
                held[row, column[part]] = 1 / len(parts)
    return held


def _errors(
    phases: Sequence[str],
    names: Sequence[str],
    held: FloatArray,
    covariance: FloatArray,
    k: int,
) -> dict[str, tuple[float, ...]]:
    """See ``PhaseOffsets.errors``; ``covariance`` is that of the offsets, phase by phase."""
    errors = {}
    for phase in phases:
        apart = _memberships([phase], names)[0] - held.mean(axis=0)
        row = []
        for label in range(k):
            against = np.where(np.arange(k) == label, 1.0, -1 / (k - 1))
            contrast = np.outer(apart, against).ravel()
            variance = float(contrast @ covariance @ contrast)
            row.append(float(np.sqrt(max(variance, 0.0))))
        errors[phase] = tuple(row)
    return errors


def _targets(labels: IntArray, k: int) -> FloatArray:
    """Platt's smoothed targets (1999): perfectly separated scores keep a finite slope."""
    counts = np.bincount(labels, minlength=k)
    hit = (counts[labels] + 1) / (counts[labels] + k)
    targets = np.tile(((1 - hit) / (k - 1))[:, None], (1, k))
    targets[np.arange(len(labels)), labels] = hit
    return targets
