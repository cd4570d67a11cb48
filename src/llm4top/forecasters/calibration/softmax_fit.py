"""Softmax regression of any design, towards a prior: what every parametric calibration solves."""

import numpy as np
from scipy.special import log_softmax

from llm4top.forecasters.calibration.calibrated import FloatArray, softmax

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
