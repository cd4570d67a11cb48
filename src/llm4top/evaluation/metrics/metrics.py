"""Every metric, each as a value with its 95 % interval and n."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from llm4top.errors import ScoreError
from llm4top.evaluation.metrics.binary import BinaryStatistic
from llm4top.evaluation.metrics.bootstrap import DRAWS, bootstrap, interval, whole
from llm4top.evaluation.metrics.calibration_slope import calibration_fit
from llm4top.evaluation.metrics.counts import ECE_NOISE
from llm4top.evaluation.metrics.multiclass import MulticlassStatistic
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores
from llm4top.evaluation.reports.report import Figure


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as tables show it; ``better`` says which way, or which value, is good."""

    label: str
    better: Literal["higher", "lower", "one", "zero"]
    definition: str


_CHOSEN = "at the threshold chosen on validation"
_HALF = "at .5"
_ZERO = "0 where undefined"


def _decisions(key: str, label: str, definition: str) -> dict[str, Metric]:
    return {
        key: Metric(label, "higher", f"{definition}, {_CHOSEN}."),
        f"{key}_at_half": Metric(f"{label} at .5", "higher", f"{definition}, {_HALF}."),
    }


_BY_DECISION = (
    _decisions("accuracy", "Accuracy", "share of rows decided rightly")
    | _decisions("balanced_accuracy", "Balanced accuracy", "mean of the labels' recalls")
    | _decisions("precision", "Precision", f"events among those decided for; {_ZERO}")
    | _decisions("recall", "Recall (sensitivity)", "those decided for among events")
    | _decisions("specificity", "Specificity", "those decided against among non-events")
    | _decisions("f1", "F1", f"harmonic mean of precision and recall; {_ZERO}")
    | _decisions("mcc", "MCC", f"Matthews' correlation of decision and event; {_ZERO}")
)

METRICS: dict[str, Metric] = {
    "roc_auc": Metric(
        "ROC-AUC",
        "higher",
        "chance that a row with the event scores above one without, ties half; "
        "of more labels the mean over labels, each against the rest.",
    ),
    "average_precision": Metric(
        "Average precision",
        "higher",
        "mean precision over the recall gained, on scores; a random score has the prevalence.",
    ),
    "lift": Metric("AP lift", "higher", "average precision over prevalence."),
    **{key: metric for key, metric in _BY_DECISION.items() if not key.endswith("_at_half")},
    "macro_f1": Metric("Macro F1", "higher", f"mean of the labels' F1; {_ZERO}."),
    **{key: metric for key, metric in _BY_DECISION.items() if key.endswith("_at_half")},
    "log_loss": Metric("Log-loss", "lower", "mean -ln p of the observed label, p at least 1e-15."),
    "brier": Metric(
        "Brier score",
        "lower",
        "mean squared error of the event's probability; of more labels summed over them.",
    ),
    "brier_skill": Metric(
        "Brier skill", "higher", "1 - Brier score over the base rate's: 0 is no better than it."
    ),
    "brier_skill_own": Metric(
        "Brier skill, own prevalence",
        "higher",
        "1 - Brier score over that of always giving the share of the event among these very rows, "
        "which nobody knows beforehand: 0 is no better than it.",
    ),
    "ece": Metric(
        "ECE",
        "lower",
        "mean distance of forecast and frequency over 10 equal bins of the event's probability; "
        "of more labels, of the likeliest label's.",
    ),
    "calibration_slope": Metric(
        "Calibration slope",
        "one",
        "of a logistic regression on the log-odds; below 1 forecasts are too extreme.",
    ),
    "calibration_intercept": Metric(
        "Calibration intercept",
        "zero",
        "of that regression with the slope held at 1; below 0 forecasts are too high.",
    ),
    "ap_decisions": Metric(
        "AP on 0/1 decisions",
        "higher",
        "average precision of decisions at .5 in place of scores: no measure of ranking, only to "
        "stand beside results published so.",
    ),
}
"""All metrics by key, in the order that tables show them."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One forecaster's figures on ``n`` rows (``counts`` by label).

    ``draws`` ``[draws]`` by metric are the bootstrap's values behind the intervals; two Measured
    of the same rows, number of draws and seed are paired draw by draw. Empty where not kept.
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
    """Every metric that the task has, with 95 % percentile intervals of the bootstrap.

    ``decisions`` ``[n]`` are label indices at the chosen threshold (None: at .5, or the likeliest
    label); ``reference`` ``[n, K]`` the base rate's probabilities (None: no Brier skill). Two
    labels have all ``METRICS`` but macro F1. More labels have accuracy, balanced accuracy, macro
    F1, MCC, log-loss, Brier score and both skills, ROC-AUC and ECE.

    Draws are of all rows, so that intervals hold the prevalence's own uncertainty; those of the
    ROC-AUC, which does not depend on it, keep each label's count. An interval is that of the draws
    in which the metric exists, if most do. Two metrics have other intervals: chance only adds to
    an ECE, so that its interval begins lower, and calibration slope and intercept have the Wald
    interval of their logistic fit (and no draws).

    A figure is None where it does not exist: the slope of constant scores, or of perfectly
    separated ones; slope and intercept where a score is exactly 0 or 1, whose log-odds are
    infinite; skill against a reference without error. Constant scores have ROC-AUC .5 and the
    prevalence as average precision; precision without a decision for the event, F1 and MCC are 0
    there, as in scikit-learn with ``zero_division=0``.

    The same input and seed give the same bits, whatever the number of processors. Raises
    ``ScoreError`` where decisions or reference do not fit the rows.
    """
    _check(scores, decisions, reference)
    figures, drawn = measure_probabilities(
        scores.probabilities,
        scores.y,
        decisions=decisions,
        reference=reference,
        draws=draws,
        seed=seed,
    )
    counts = np.bincount(scores.y, minlength=len(scores.labels)).tolist()
    return Measured(
        scores.forecaster,
        scores.split,
        len(scores),
        dict(zip(scores.labels, counts, strict=True)),
        figures,
        drawn if keep_draws else {},
    )


def measure_probabilities(
    probabilities: FloatArray,
    y: IntArray,
    *,
    decisions: IntArray | None = None,
    reference: FloatArray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[dict[str, Figure], dict[str, FloatArray]]:
    """As ``measure``, without the checks of ``Scores``: figures, and ``[draws]`` by metric.

    A metric that needs a label without a row has the value None.
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
