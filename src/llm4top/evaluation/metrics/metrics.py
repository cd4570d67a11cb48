"""Every metric, each as a value with its 95 % interval and n.

The calibration slope and intercept come each from one logistic fit with a Wald interval.

With ``z`` the log-odds of the forecasts (Cox 1958, Biometrika 45:562; Van Calster et al. 2019, BMC
Medicine 17:230):

- slope ``b`` of ``logit P(event) = a + b z``: 1 is right, below 1 forecasts are too extreme;
- intercept ``a`` of ``logit P(event) = a + z`` ("calibration in the large"): 0 is right, below 0
  forecasts are too high.

The interval is Wald's, the estimate plus and minus 1.96 robust standard errors (White 1982,
Econometrica 50:1): the square roots of the diagonal of ``I^-1 J I^-1``, where ``I`` is the sum of
``p (1 - p) x x'`` (Fisher's information) and ``J`` that of ``(y - p)^2 x x'``. The plain form,
``I^-1``, assumes that the regression holds. With the slope held at 1 it does not hold for forecasts
that are too extreme: plain intervals then covered .90 instead of .95
(``benchmarks/metric_coverage.py``).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from llm4top.errors import ScoreError
from llm4top.evaluation.metrics.bootstrap import DRAWS, bootstrap, interval, whole
from llm4top.evaluation.metrics.counts import ECE_NOISE
from llm4top.evaluation.metrics.ordinal import ordinal_losses, ordinal_means
from llm4top.evaluation.metrics.statistic import BinaryStatistic, MulticlassStatistic
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores
from llm4top.evaluation.reports.report import Figure
from llm4top.forecasters.distribution import Bins

_QUANTILE = 1.959963984540054
_STEPS, _LARGEST_STEP = 200, 4.0
_TOLERANCE = 1e-8
_RIDGE = 1e-12
_ROUNDING = 1e-9
"""Log-odds that differ by less are one value, computed twice."""

Estimate = tuple[float, float, float]
"""A value and the ends of its 95 % interval; all NaN where there is none."""
_NONE: Estimate = (np.nan, np.nan, np.nan)


def calibration_fit(probabilities: FloatArray, y: IntArray) -> dict[str, Estimate]:
    """``calibration_slope`` and ``calibration_intercept`` of forecasts ``[n, 2]`` of ``y`` ``[n]``.

    Neither exists where a forecast is exactly 0 or 1 (infinite log-odds) or all rows have one
    label; the slope does not exist for constant forecasts, nor where the labels are separated.
    """
    found = {"calibration_slope": _NONE, "calibration_intercept": _NONE}
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities[:, 1]) - np.log(probabilities[:, 0])
    if not np.isfinite(logits).all() or not 0 < y.sum() < len(y):
        return found
    z, row = np.unique(logits, return_inverse=True)
    n = np.bincount(row).astype(np.float64)
    events = np.asarray(np.bincount(row, weights=y), dtype=np.float64)
    ones = np.ones((len(z), 1))
    found["calibration_intercept"] = _last_coefficient(ones, z, n, events)
    if z[-1] - z[0] > _ROUNDING and not _separated(events, n - events):
        scale = float(logits.std())
        design = np.column_stack([ones, (z - logits.mean()) / scale])
        slope = _last_coefficient(design, np.zeros(len(z)), n, events)
        found["calibration_slope"] = (slope[0] / scale, slope[1] / scale, slope[2] / scale)
    return found


def _last_coefficient(
    design: FloatArray, offset: FloatArray, n: FloatArray, events: FloatArray
) -> Estimate:
    """Logistic regression of ``events`` among ``n`` by Newton's method: the last coefficient.

    Sums are not left to BLAS, whose last bits depend on its threads.
    """
    beta = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = expit(offset + np.einsum("mi,i->m", design, beta))
        information = np.einsum("mi,m,mj->ij", design, n * chance * (1 - chance), design)
        gradient = np.einsum("mi,m->i", design, events - n * chance)
        # Far from the fit the information may vanish; the ridge keeps the direction and does not
        # move the fit, where the gradient is 0.
        inverse = np.linalg.inv(information + _RIDGE * np.eye(len(beta)))
        step = np.clip(inverse @ gradient, -_LARGEST_STEP, _LARGEST_STEP)
        beta += step
        if np.abs(step).max() <= _TOLERANCE * (1 + np.abs(beta).max()):
            squares = events * (1 - chance) ** 2 + (n - events) * chance**2
            meat = np.einsum("mi,m,mj->ij", design, squares, design)
            half = _QUANTILE * float(np.sqrt((inverse @ meat @ inverse)[-1, -1]))
            return float(beta[-1]), float(beta[-1]) - half, float(beta[-1]) + half
    return _NONE


def _separated(events: FloatArray, others: FloatArray) -> bool:
    """Whether one value of ascending log-odds parts rows with and without the event."""
    with_event, without = np.flatnonzero(events), np.flatnonzero(others)
    return bool(with_event[-1] <= without[0] or without[-1] <= with_event[0])


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as tables show it; ``better`` is the direction, or the value, that is good."""

    label: str
    better: Literal["higher", "lower", "one", "zero"]
    definition: str


_DECISIONS = {
    "accuracy": ("Accuracy", "share of trials decided correctly"),
    "balanced_accuracy": ("Balanced accuracy", "mean of the labels' recalls"),
    "precision": ("Precision", "share of events among trials decided for; 0 where undefined"),
    "recall": ("Recall (sensitivity)", "share of events that were decided for"),
    "specificity": ("Specificity", "share of non-events that were decided against"),
    "f1": ("F1", "harmonic mean of precision and recall; 0 where undefined"),
    "mcc": ("MCC", "Matthews correlation of decision and event; 0 where undefined"),
}
"""Metrics of decisions: label and definition. Each is measured at two thresholds."""
_CHOSEN = "at the threshold chosen on validation data (more than two labels: the most probable)"

METRICS: dict[str, Metric] = {
    "roc_auc": Metric(
        "ROC-AUC",
        "higher",
        "probability that a trial with the event scores above one without, ties count half; "
        "with more labels the mean over labels, each against the rest.",
    ),
    "average_precision": Metric(
        "Average precision",
        "higher",
        "precision averaged over recall, from scores; random scores have the prevalence.",
    ),
    "lift": Metric("AP lift", "higher", "average precision divided by prevalence."),
    **{
        key: Metric(
            f"{label} at chosen threshold" if key == "f1" else label,
            "higher",
            f"{definition}, {_CHOSEN}.",
        )
        for key, (label, definition) in _DECISIONS.items()
    },
    "macro_f1": Metric("Macro F1", "higher", "mean of the labels' F1; 0 where undefined."),
    **{
        f"{key}_at_half": Metric(f"{label} at .5", "higher", f"{definition}, at threshold .5.")
        for key, (label, definition) in _DECISIONS.items()
    },
    "crps": Metric(
        "CRPS",
        "lower",
        "continuous ranked probability score, in the quantity's unit; values in an open bin count "
        "as its edge.",
    ),
    "mae": Metric(
        "MAE of the median", "lower", "mean distance of the forecast's median, in the unit."
    ),
    "coverage_80": Metric(
        "Coverage of the 80 % interval",
        "higher",
        "share of trials whose quantity lies in it: .8 is right; above, the interval is too wide.",
    ),
    "log_loss": Metric(
        "Log-loss", "lower", "mean -ln p of the observed label, p clipped at 1e-15."
    ),
    "brier": Metric(
        "Brier score",
        "lower",
        "mean squared error of the event's probability; with more labels summed over them.",
    ),
    "brier_skill": Metric(
        "Brier skill",
        "higher",
        "1 - Brier score / that of the base rate: 0 is no better than the base rate.",
    ),
    "brier_skill_own": Metric(
        "Brier skill, own prevalence",
        "higher",
        "1 - Brier score / that of the constant forecast of these trials' own share of events, "
        "which cannot be known beforehand: 0 is no better than it.",
    ),
    "ece": Metric(
        "ECE",
        "lower",
        "mean distance of forecast and frequency over 10 equal bins of the event's probability; "
        "with more labels, of the most probable label's.",
    ),
    "calibration_slope": Metric(
        "Calibration slope",
        "one",
        "slope of a logistic regression of the event on the log-odds; below 1 forecasts are too "
        "extreme. Wald interval.",
    ),
    "calibration_intercept": Metric(
        "Calibration intercept",
        "zero",
        "intercept of that regression with the slope held at 1; below 0 forecasts are too high. "
        "Wald interval.",
    ),
    "ap_decisions": Metric(
        "AP on 0/1 decisions",
        "higher",
        "average precision of decisions at .5 in place of scores: not a measure of ranking, only "
        "to compare with results published this way.",
    ),
}
"""All metrics by key, in the order that tables show them."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One forecaster's figures on ``n`` trials.

    Attributes:
        forecaster: Its name.
        split: The split measured on.
        n: Number of trials.
        counts: Trials by label.
        figures: Values with intervals, by metric.
        draws: The bootstrap's values ``[draws]`` by metric; two Measured of the same trials, number
            of draws and seed are paired draw by draw. Empty where they were not kept.
    """

    forecaster: str
    split: str
    n: int
    counts: dict[str, int]
    figures: dict[str, Figure]
    draws: dict[str, FloatArray] = field(repr=False)


def measure(
    scores: Scores,
    *,
    decisions: IntArray | None = None,
    reference: FloatArray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    keep_draws: bool = True,
) -> Measured:
    """Every metric of the task, with 95 % intervals.

    Binary tasks have all ``METRICS`` but macro F1. Tasks with more labels have accuracy, balanced
    accuracy, macro F1, MCC, log-loss, Brier score and both skills, ROC-AUC and ECE;
    ordinal ones CRPS, MAE of the median and coverage of the 80 % interval too.

    Intervals are percentiles of the bootstrap. Its draws are of all rows, so that intervals include
    the uncertainty of the prevalence; draws for the ROC-AUC, which does not depend on it, keep each
    label's count. There is no interval where a metric does not exist in most draws. Chance only
    increases an ECE, so that its interval begins lower. Calibration slope and intercept have the
    Wald interval of their fit, and no draws.

    A figure is None where it does not exist: the calibration slope of constant or separated scores,
    slope and intercept where a score is exactly 0 or 1, skill against a reference without error.

    Args:
        scores: The forecaster's probabilities with the true labels.
        decisions: Label indices ``[n]`` at the chosen threshold; None decides at .5, or for the
            most probable label.
        reference: The base rate's probabilities ``[n, K]``; None gives no Brier skill.
        draws: Number of bootstrap draws.
        seed: Seed of the draws; the same seed gives the same bits on any number of processors.
        keep_draws: Whether the result holds the draws, which ``compare_pairs`` needs.

    Raises:
        ScoreError: Decisions or reference do not fit the rows.
    """
    _check(scores, decisions, reference)
    options: dict[str, Any] = {"decisions": decisions, "reference": reference}
    p, y = scores.probabilities, scores.y
    figures, drawn = measure_probabilities(p, y, draws=draws, seed=seed, **options)
    if scores.bins is not None:
        more, of_draws = _in_units(p, y, scores.bins, draws, seed)
        figures = {k: (figures | more)[k] for k in METRICS if k in figures or k in more}
        drawn |= of_draws
    counts = np.bincount(y, minlength=len(scores.labels)).tolist()
    by_label = dict(zip(scores.labels, counts, strict=True))
    kept = drawn if keep_draws else {}
    return Measured(scores.forecaster, scores.split, len(scores), by_label, figures, kept)


def _in_units(
    p: FloatArray, y: IntArray, bins: Bins, draws: int, seed: int
) -> tuple[dict[str, Figure], dict[str, FloatArray]]:
    """The figures of a quantity in bins, and their draws."""
    means, drawn = ordinal_means(ordinal_losses(p, y, bins), y, draws=draws, seed=seed)
    return {name: figure(value, drawn[name], len(y)) for name, value in means.items()}, drawn


def measure_probabilities(
    probabilities: FloatArray,
    y: IntArray,
    *,
    decisions: IntArray | None = None,
    reference: FloatArray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[dict[str, Figure], dict[str, FloatArray]]:
    """As ``measure``, without the checks of ``Scores``.

    Returns:
        Figures by metric (None where a label that a metric needs has no row), and draws by metric.
    """
    binary = probabilities.shape[1] == 2
    kind = BinaryStatistic if binary else MulticlassStatistic
    statistic = kind(probabilities, y, decisions=decisions, reference=reference)
    drawn = bootstrap(statistic.ordinary, y, draws=draws, seed=seed)
    drawn |= bootstrap(statistic.stratified, y, draws=draws, seed=seed, stratified=True)
    values = whole(statistic.ordinary, len(y)) | whole(statistic.stratified, len(y))
    noise = drawn.pop(ECE_NOISE)
    figures = {name: figure(values[name], draw, len(y)) for name, draw in drawn.items()}
    figures["ece"] = _ece_figure(figures["ece"], noise)
    if binary:
        figures |= {
            name: _figure_or_none(*estimate, n=len(y))
            for name, estimate in calibration_fit(probabilities, y).items()
        }
    return {name: figures[name] for name in METRICS if name in figures}, drawn


def _ece_figure(ece: Figure, noise: FloatArray) -> Figure:
    """The ECE with an interval that begins where the sample's gaps, less chance's share, would.

    An ECE sums absolute gaps, so that chance only adds to it: percentiles of its draws would lie
    above the truth of every well calibrated forecaster. By the triangle inequality the true ECE is
    at least the sample's less the summed errors of its gaps, whose 97.5 % quantile ``noise``
    ``[draws]`` estimates.
    """
    if ece.value is None or ece.upper is None:
        return ece
    lower = max(0.0, ece.value - float(np.quantile(noise, 0.975)))
    return Figure(value=ece.value, lower=lower, upper=max(ece.value, ece.upper), n=ece.n)


def figure(value: float, drawn: FloatArray, n: int) -> Figure:
    """A value with the percentile interval of its draws; None for what is not finite."""
    return _figure_or_none(value, *interval(drawn), n=n)


def _figure_or_none(value: float, lower: float, upper: float, n: int) -> Figure:
    if not np.isfinite(value):
        return Figure(value=None, lower=None, upper=None, n=n)
    ends = (None if np.isnan(end) else end for end in (lower, upper))
    return Figure(value=value, lower=next(ends), upper=next(ends), n=n)


def _check(scores: Scores, decisions: IntArray | None, reference: FloatArray | None) -> None:
    labels = len(scores.labels)
    if decisions is not None:
        decided = np.asarray(decisions)
        whole_numbers = np.issubdtype(decided.dtype, np.integer)
        if decided.shape != (len(scores),) or not whole_numbers:
            raise ScoreError(
                f"decisions are not label indices of its {len(scores)} rows.", where=scores.where
            )
        if decided.min() < 0 or decided.max() >= labels:
            raise ScoreError("a decision is none of the task's labels.", where=scores.where)
    if reference is not None:
        base = np.asarray(reference)
        fits = base.shape == scores.probabilities.shape
        if not fits or not np.isfinite(base).all() or base.min() < 0 or base.max() > 1:
            raise ScoreError(
                f"the reference is not a table of probabilities of {len(scores)} rows and "
                f"{labels} labels.",
                where=scores.where,
            )
