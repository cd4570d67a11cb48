"""Differences between forecasters on the same rows, corrected for how many were looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from llm4top.errors import EvaluationError, ScoreError
from llm4top.evaluation.metrics.metrics import METRICS, Measured, figure
from llm4top.evaluation.predictions import FloatArray, Scores, same_rows
from llm4top.evaluation.reports.report import Difference

COMPARED = ("roc_auc", "log_loss", "brier")
DELONG, PAIRED = "DeLong", "paired bootstrap"


@dataclass(frozen=True, slots=True)
class DeLong:
    """ROC-AUC of the first less that of the second, its standard error and two-sided p-value.

    ``p_value`` is 1 for scores that rank alike. It is None where the standard error is 0 but the
    difference is not: both separate, or tie, all rows, and nothing varies.
    """

    difference: float
    standard_error: float
    p_value: float | None


def delong(a: Scores, b: Scores) -> DeLong:
    """DeLong's test of two correlated ROC-AUCs (DeLong et al. 1988, Biometrics 44:837).

    Placements come from mid-ranks (Sun and Xu 2014, IEEE Signal Processing Letters 21:1389), in
    O(n log n). With one row of a label, that label's variance is taken as 0.

    Raises ``ScoreError`` where the two are not about the same rows, or with more than two labels.
    """
    same_rows([a, b])
    event = a.y == 1
    first_event, first_none = _placements(a.event, event)
    second_event, second_none = _placements(b.event, event)
    difference = float(first_event.mean() - second_event.mean())
    variance = _variance_of_mean(first_event - second_event)
    variance += _variance_of_mean(first_none - second_none)
    error = float(np.sqrt(variance))
    # What is left of equal sums by rounding is no difference.
    if error < 1e-12:
        return DeLong(difference, 0.0, 1.0 if abs(difference) < 1e-12 else None)
    return DeLong(difference, error, float(2 * norm.sf(abs(difference) / error)))


def compare_pairs(
    measured: Sequence[Measured],
    scores: Sequence[Scores],
    *,
    against: str,
    metrics: Sequence[str] = COMPARED,
    phase: str,
    check: str,
) -> tuple[Difference, ...]:
    """Each of the other forecasters minus ``against``, metric by metric.

    Intervals are percentiles of the paired draws. p-values are DeLong's for the ROC-AUC of binary
    tasks; else the paired bootstrap's, twice the smaller share of draws on one side of 0, so at
    least 2 / (draws + 1). Both are two-sided. Holm's (1979) correction is over all comparisons in
    one metric that have a p-value: their ``family``.

    Args:
        measured: The forecasters' figures, measured with the same draws and seed, draws kept.
        scores: The scores of the same forecasters in the same order.
        against: The name of the one that all others are compared with.
        metrics: Keys of ``METRICS``; those that the task does not have are left out.
        phase: The phase of the rows, for the result.
        check: The check that the rows belong to, for the result.

    Raises:
        ScoreError: Rows or draws do not line up.
        EvaluationError: No forecaster, or several, are named ``against``; or an unknown metric.
    """
    _check_pairs(measured, scores, against, metrics)
    k = next(i for i, one in enumerate(measured) if one.forecaster == against)
    return tuple(
        difference
        for metric in metrics
        if metric in measured[k].figures
        for difference in _differences(measured, scores, k, metric, phase, check)
    )


def _differences(
    measured: Sequence[Measured],
    scores: Sequence[Scores],
    k: int,
    metric: str,
    phase: str,
    check: str,
) -> Iterator[Difference]:
    """All others minus the one at ``k``: one family of comparisons."""
    reference = measured[k]
    others = [i for i in range(len(measured)) if i != k]
    by_delong = metric == "roc_auc" and len(scores[k].labels) == 2
    figures, p_values = [], []
    for i in others:
        drawn = measured[i].draws[metric] - reference.draws[metric]
        value = _value(measured[i], metric) - _value(reference, metric)
        p = delong(scores[i], scores[k]).p_value if by_delong else paired_p_value(drawn)
        figures.append(figure(value, drawn, reference.n))
        p_values.append(p if np.isfinite(value) else None)
    for i, difference, p, adjusted in zip(others, figures, p_values, holm(p_values), strict=True):
        yield Difference(
            phase=phase,
            check=check,
            first=measured[i].forecaster,
            second=reference.forecaster,
            metric=metric,
            figure=difference,
            p_value=p,
            p_adjusted=adjusted,
            method=DELONG if by_delong else PAIRED,
            family=sum(p is not None for p in p_values),
        )


def paired_p_value(drawn: FloatArray) -> float | None:
    """Two-sided p-value of differences ``[draws]`` against 0; None without a finite one.

    Twice the smaller of the shares of draws at or below, and at or above 0, the sample itself
    counted in both (Davison and Hinkley 1997, 4.2): never 0, at most 1.
    """
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return None
    tail = 1 + min(int((finite <= 0).sum()), int((finite >= 0).sum()))
    return min(1.0, 2 * tail / (len(finite) + 1))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) adjusted p-values in the order given; None stays None and counts for none."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[i] = highest
    return adjusted


def _placements(scores: FloatArray, event: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Of each row with the event the share of others below it, and of each other those above."""
    ranks = rankdata(scores)
    with_event = (ranks[event] - rankdata(scores[event])) / (~event).sum()
    without = 1 - (ranks[~event] - rankdata(scores[~event])) / event.sum()
    return with_event, without


def _variance_of_mean(values: FloatArray) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def _value(measured: Measured, metric: str) -> float:
    value = measured.figures[metric].value
    return np.nan if value is None else value


def _check_pairs(
    measured: Sequence[Measured], scores: Sequence[Scores], against: str, metrics: Sequence[str]
) -> None:
    names = [one.forecaster for one in measured]
    if names != [one.forecaster for one in scores]:
        raise ScoreError("figures and scores are not of the same forecasters in the same order.")
    if names.count(against) != 1:
        raise EvaluationError(
            f"{names.count(against)} of the forecasters are named {against!r}.",
            hint=f"Compare against one of: {', '.join(names)}.",
        )
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        raise EvaluationError(
            f"no metric {unknown[0]!r}.", hint=f"Known metrics: {', '.join(METRICS)}."
        )
    same_rows(scores)
    for one in measured:
        for metric in metrics:
            first = measured[0].draws.get(metric)
            drawn = one.draws.get(metric)
            if (metric in one.figures) and (
                drawn is None or first is None or drawn.shape != first.shape
            ):
                raise ScoreError(
                    f"its draws of {metric} were not kept, or are not as many as those of "
                    f"{names[0]}.",
                    where=f"{one.forecaster}, {one.split} split",
                    hint="Measure all with the same draws and seed, and keep the draws.",
                )
