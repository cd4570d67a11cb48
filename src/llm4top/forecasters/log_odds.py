"""Log-odds, probabilities and their softmax in NumPy, as ``scipy.special`` has them.

Importing SciPy takes longer than a forecast. Everything is float64. Infinite log-odds are
the probabilities 0 and 1, and NaN stays NaN without a warning.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def expit(log_odds: ArrayLike) -> Any:
    """The probability of log-odds: ``1 / (1 + exp(-x))``."""
    x = np.asarray(log_odds, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.exp(-np.logaddexp(0.0, -x))


def logit(probability: ArrayLike) -> Any:
    """The log-odds of probabilities: ``log(p / (1 - p))``."""
    p = np.asarray(probability, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(p) - np.log1p(-p)


def logsumexp(values: ArrayLike, axis: int) -> FloatArray:
    """The logarithm of the sum of ``exp(values)`` along an axis, which is left out."""
    array = np.asarray(values, dtype=np.float64)
    most = array.max(axis=axis, keepdims=True)
    total = np.log(np.exp(array - most).sum(axis=axis, keepdims=True)) + most
    return np.asarray(total.squeeze(axis))


def log_softmax(logits: ArrayLike, axis: int) -> FloatArray:
    """Logarithms of the probabilities that logits along an axis stand for."""
    array = np.asarray(logits, dtype=np.float64)
    array = array - array.max(axis=axis, keepdims=True)
    return np.asarray(array - np.log(np.exp(array).sum(axis=axis, keepdims=True)))
