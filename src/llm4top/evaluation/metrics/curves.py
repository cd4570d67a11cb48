"""Curves of one forecaster's scores, thinned for drawing: ROC, PR, reliability, decision."""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve, roc_curve

from llm4top.errors import ScoreError
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores, same_rows
from llm4top.evaluation.reports.report import Curves, CurveSet, Kind, ReliabilityBin

MOST_POINTS = 200
RELIABILITY_BINS = 10
LEAST_IN_BIN = 20
HISTOGRAM_BINS = 20

_DECIMALS = 6

Points = tuple[tuple[float, float], ...]


def curves_of(scores: Scores, kind: Kind) -> Curves:
    """Every curve of one forecaster on a binary task, each of at most 200 points.

    ``roc`` begins at (0, 0) and ends at (1, 1); ``pr`` is a step function, each point's precision
    holding from the recall before it up to its own, as average precision sums it. Thinning keeps
    points of the curve and moves none. Raises ``ScoreError`` for more than two labels.
    """
    event, y = scores.event, scores.y
    return Curves(
        forecaster=scores.forecaster,
        kind=kind,
        roc=_roc(event, y),
        pr=_pr(event, y),
        reliability=_reliability(event, y),
        decision=_decision(event, y),
        histogram=_histogram(event, y),
    )


def curve_set(
    scores: Sequence[Scores], kinds: Sequence[Kind], *, phase: str, check: str
) -> CurveSet:
    """The curves of several forecasters over the same rows, in the order given.

    Raises ``ScoreError`` where there are none, or they are not about the same rows.
    """
    if not scores:
        raise ScoreError("no scores to draw.", where=f"phase {phase}, {check}")
    same_rows(scores)
    curves = tuple(curves_of(s, kind) for s, kind in zip(scores, kinds, strict=True))
    y = scores[0].y
    return CurveSet(phase=phase, check=check, n=len(y), prevalence=float(y.mean()), curves=curves)


def treat_all(prevalence: float, threshold: float) -> float:
    """Net benefit of acting on every trial (Vickers & Elkin 2006); acting on none has 0."""
    return prevalence - (1 - prevalence) * threshold / (1 - threshold)


def _roc(event: FloatArray, y: IntArray) -> Points:
    x, sensitivity, _ = roc_curve(y, event)
    return _thin(x, sensitivity)


def _pr(event: FloatArray, y: IntArray) -> Points:
    precision, recall, _ = precision_recall_curve(y, event)
    # Scikit-learn gives falling recall and ends with an invented point (0, 1).
    precision, recall = precision[-2::-1], recall[-2::-1]
    # Points that add no recall weigh nothing in a step function; the last one is the prevalence.
    gains = np.append(np.diff(recall, prepend=0.0)[:-1] > 0, True)
    precision, recall = precision[gains], recall[gains]
    return _thin(np.append(0.0, recall), np.append(precision[0], precision))


def _thin(x: FloatArray, y: FloatArray) -> Points:
    """At most 200 of the points, evenly along the curve; both ends are kept."""
    chosen = np.arange(len(x))
    if len(x) > MOST_POINTS:
        length = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        stations = np.linspace(0.0, length[-1], MOST_POINTS)
        chosen = np.unique(np.searchsorted(length, stations).clip(0, len(x) - 1))
        chosen[-1] = len(x) - 1
    return tuple((round(float(x[i]), _DECIMALS), round(float(y[i]), _DECIMALS)) for i in chosen)


def _reliability(event: FloatArray, y: IntArray) -> tuple[ReliabilityBin, ...]:
    """Bins of equal count, ten or as many as leave 20 rows each; equal forecasts stay together."""
    order = np.argsort(event, kind="stable")
    p, y = event[order], y[order]
    bins = min(RELIABILITY_BINS, max(1, len(p) // LEAST_IN_BIN))
    # A cut inside a run of equal forecasts moves to the run's end.
    cuts = np.searchsorted(p, p[np.arange(1, bins) * len(p) // bins - 1], side="right")
    edges = np.unique(np.concatenate(([0], cuts, [len(p)])))
    return tuple(_bin(p[a:b], y[a:b]) for a, b in itertools.pairwise(edges))


def _bin(p: FloatArray, y: IntArray) -> ReliabilityBin:
    events = int(y.sum())
    interval = binomtest(events, len(y)).proportion_ci(method="wilson")
    return ReliabilityBin(
        low=float(p[0]),
        high=float(p[-1]),
        n=len(y),
        forecast=float(p.mean().clip(p[0], p[-1])),
        observed=events / len(y),
        lower=float(interval.low),
        upper=float(interval.high),
    )


def _decision(event: FloatArray, y: IntArray) -> Points:
    """Net benefit of acting where the forecast reaches the threshold, at 1 % to 99 %."""
    thresholds = np.arange(1, 100) / 100
    with_event, without = np.sort(event[y == 1]), np.sort(event[y == 0])
    hits = len(with_event) - np.searchsorted(with_event, thresholds, side="left")
    false_alarms = len(without) - np.searchsorted(without, thresholds, side="left")
    benefit = (hits - false_alarms * thresholds / (1 - thresholds)) / len(y)
    pairs = zip(thresholds, benefit, strict=True)
    return tuple((round(float(t), 2), round(float(b), _DECIMALS)) for t, b in pairs)


def _histogram(event: FloatArray, y: IntArray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    without, with_event = (np.histogram(event[y == label], edges)[0].tolist() for label in (0, 1))
    return tuple(without), tuple(with_event)
