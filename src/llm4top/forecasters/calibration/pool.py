"""A log-linear pool of forecasters: weighted log-probabilities and an offset for each label.

For two labels this is logistic regression on the forecasters' log-odds,
``sum_i w_i logit_i + b``. Weights cannot be negative: a forecaster is believed more or less, never
the other way round. (Genest & Zidek, Combining probability distributions, 1986; stacking: Wolpert,
Stacked generalization, 1992, with non-negative weights as Breiman, Stacked regressions, 1996.)
With one forecaster it is Platt or bias-and-slope scaling.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from llm4top.errors import CalibrationError
from llm4top.forecasters.calibration import calibrated
from llm4top.forecasters.log_odds import log_softmax
from llm4top.schema import Strict

FLOOR = 1e-4
"""The least probability of a forecaster that says 0 at times: one row must not decide a pool."""

FOLDS = 5
_PRIOR_PRECISION = 1.0


class LogPool(Strict):
    """How forecasters are pooled: see ``fit_pool``.

    ``sources`` are their names, ``weights`` one each, ``offsets`` one a label (the first is 0);
    ``n`` is the number of rows it was fitted on, 0 where it was not fitted: see ``equal``.
    """

    n: Annotated[int, Field(ge=0)]
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    weights: tuple[Annotated[float, Field(ge=0)], ...]
    offsets: Annotated[tuple[float, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if len(self.weights) != len(self.sources):
            raise ValueError("one weight a source is needed")
        return self

    @classmethod
    def equal(cls, sources: Sequence[str], labels: int) -> Self:
        """The mean of the log-probabilities of ``sources``, about ``labels`` labels."""
        weights = (1 / len(sources),) * len(sources)
        return cls(n=0, sources=tuple(sources), weights=weights, offsets=(0.0,) * labels)

    def logits(self, sources: Sequence[ArrayLike]) -> calibrated.FloatArray:
        """Pooled logits ``[n, K]`` of each source's logits ``[n, K]``, in the order of ``sources``.

        Raises ``CalibrationError`` for another number of sources or labels, for sources that
        differ in length, and for logits that are not finite.
        """
        if len(sources) != len(self.sources):
            raise CalibrationError(
                f"{len(sources)} forecasters for a pool of {len(self.sources)}.",
                hint=f"It pools: {', '.join(self.sources)}.",
            )
        arrays = [calibrated.checked_logits(source, len(self.offsets)) for source in sources]
        if len({len(array) for array in arrays}) != 1:
            raise CalibrationError("the pooled forecasters are about different numbers of trials.")
        pooled = np.tile(np.asarray(self.offsets), (len(arrays[0]), 1))
        for weight, array in zip(self.weights, arrays, strict=True):
            pooled += weight * log_softmax(array, axis=1)
        return pooled


def fit_pool(sources: Mapping[str, ArrayLike], y: ArrayLike) -> LogPool:
    """The pool of least cross-entropy on validation data that no source was trained on.

    ``sources`` maps names to logits ``[n, K]``, ``y`` ``[n]`` are label indices. A quadratic
    penalty of half a squared unit draws the weights to equal shares of one and the offsets to 0;
    with hundreds of rows it no longer matters. Raises ``CalibrationError`` where the data cannot
    support a fit.
    """
    arrays = [calibrated.checked_data(logits, y)[0] for logits in sources.values()]
    labels = np.asarray(y, dtype=np.int64)
    # [n, K, sources]: a label's pooled logit is this times the weights, plus its offset.
    design = np.stack([log_softmax(array, axis=1) for array in arrays], axis=2)
    m, k = len(arrays), design.shape[1]
    prior = np.concatenate([np.full(m, 1 / m), np.zeros(k - 1)])
    targets = np.eye(k)[labels]

    def loss(theta: calibrated.FloatArray) -> tuple[float, calibrated.FloatArray]:
        pooled = design @ theta[:m] + np.concatenate([[0.0], theta[m:]])
        log_p = log_softmax(pooled, axis=1)
        residual = np.exp(log_p) - targets
        apart = theta - prior
        value = -(targets * log_p).sum() + _PRIOR_PRECISION / 2 * (apart**2).sum()
        slope = np.concatenate([np.einsum("nk,nkm->m", residual, design), residual.sum(axis=0)[1:]])
        return float(value), slope + _PRIOR_PRECISION * apart

    bounds = [(0.0, None)] * m + [(None, None)] * (k - 1)
    from scipy.optimize import minimize

    found = minimize(
        loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14}
    ).x
    return LogPool(
        n=len(labels),
        sources=tuple(sources),
        weights=tuple(found[:m].tolist()),
        offsets=(0.0, *found[m:].tolist()),
    )


def cross_pool(
    sources: Mapping[str, ArrayLike],
    y: ArrayLike,
    *,
    calibrator: calibrated.Calibrator | None = None,
    phases: calibrated.Phases | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> calibrated.FloatArray:
    """Pooled probabilities ``[n, K]`` of validation data, each row by a pool that has not seen it.

    ``calibrator`` names a calibration that is fitted after the pool, on the same folds, with the
    rows' ``phases`` ``[n]`` where they are given. Folds are stratified by label and drawn from
    ``seed``: the same ``y`` gives the same folds for any sources, so that their losses pair row by
    row. Raises ``CalibrationError`` where the data less
    one fold cannot support a fit.
    """
    labels: calibrated.IntArray = np.asarray(y, dtype=np.int64)
    arrays = {name: calibrated.checked_data(logits, labels)[0] for name, logits in sources.items()}
    least = int(np.bincount(labels).min())
    if not 2 <= folds <= least:
        raise CalibrationError(
            f"{folds} folds cannot be drawn: the rarest label has {least} rows.",
            hint="Set aside more validation data.",
        )
    probabilities = np.empty_like(next(iter(arrays.values())))
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for rest, fold in splitter.split(probabilities, labels):
        pool = fit_pool({name: array[rest] for name, array in arrays.items()}, labels[rest])
        pooled = pool.logits([array[fold] for array in arrays.values()])
        if calibrator is None:
            probabilities[fold] = calibrated.softmax(pooled)
            continue
        known = pool.logits([array[rest] for array in arrays.values()])
        fitted = type(calibrator)().fit(known, labels[rest], calibrated.rows_of(phases, rest))
        probabilities[fold] = fitted.predict(pooled, calibrated.rows_of(phases, fold)).probabilities
    return probabilities


def log_probabilities(probabilities: ArrayLike, *, floor: float = FLOOR) -> calibrated.FloatArray:
    """Probabilities ``[n, K]`` as logits, none of them below ``floor``."""
    array = np.maximum(np.asarray(probabilities, dtype=np.float64), floor)
    return np.asarray(np.log(array / array.sum(axis=1, keepdims=True)), dtype=np.float64)
