"""What the curves of a report say, in a sentence: the titles of its figures.

Each names the best honest forecaster of its figure, unless a trivial one is as good. Whether a
lead is more than chance is shown by the paired differences. The leak oracle is never named.
"""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from llm4top.evaluation.metrics.curves import HISTOGRAM_BINS, treat_all
from llm4top.evaluation.reports.drawing import Series
from llm4top.evaluation.reports.report import Curves, CurveSet
from llm4top.text import one_line, percent

Drawn = Sequence[tuple[Series, Curves]]

NONE_DRAWN = "No forecaster was measured that learns and does not cheat"
_NONE_ABOVE = "No forecaster drawn here"
_FALSE_ALARMS = 0.2
_HALF = 0.5


def roc_title(curves: CurveSet, drawn: Drawn) -> str:
    """The sensitivity of the best at one false alarm in five; interpolated along the curve."""
    best = _best(drawn, lambda own: _area(own.roc))
    if best is None:
        return NONE_DRAWN
    if trivial := _not_above(curves, best, lambda own: _area(own.roc)):
        return f"{_NONE_ABOVE} ranks trials better than {trivial}"
    found = percent(_height(best.roc, _FALSE_ALARMS))
    return (
        f"{one_line(best.forecaster)} finds {found} of events at a {percent(_FALSE_ALARMS)} "
        "false-positive rate"
    )


def precision_recall_title(curves: CurveSet, drawn: Drawn) -> str:
    """The precision of the best where half of the events are found, and the prevalence."""
    best = _best(drawn, lambda own: _steps(own.pr))
    if best is None:
        return NONE_DRAWN
    if trivial := _not_above(curves, best, lambda own: _steps(own.pr)):
        return f"{_NONE_ABOVE} has a higher average precision than {trivial}"
    # A point's precision holds from the recall before it up to its own.
    right = next(precision for recall, precision in best.pr if recall >= _HALF)
    return (
        f"At a recall of {percent(_HALF)}, the precision of {one_line(best.forecaster)} is "
        f"{percent(right)}; {percent(curves.prevalence)} of all trials have the event"
    )


def decision_title(curves: CurveSet, drawn: Drawn) -> str:
    """The longest stretch of thresholds at which one is above acting on all and on none."""
    stretches = [
        (stretch, own.forecaster)
        for one, own in drawn
        if one.kind != "cheating" and (stretch := _useful(own, curves.prevalence))
    ]
    if not stretches:
        return "None is better than acting on all trials or on none"
    (first, last), name = max(stretches, key=lambda found: found[0][1] - found[0][0])
    return (
        f"{one_line(name)} is better than acting on all trials or on none "
        f"from {percent(first)} to {percent(last)}"
    )


def reliability_title(drawn: Drawn) -> str:
    """In how many bins the mean forecast is within the interval of the observed frequency."""
    honest = [own for one, own in drawn if one.kind != "cheating" and own.reliability]
    if not honest:
        return NONE_DRAWN
    by_agreement = sorted(honest, key=lambda own: -_agreeing(own) / len(own.reliability))
    first, last = by_agreement[0], by_agreement[-1]
    title = (
        f"{one_line(first.forecaster)} agrees with the observed frequency "
        f"in {_agreeing(first)} of {len(first.reliability)} "
        f"{'bin' if len(first.reliability) == 1 else 'bins'}"
    )
    if last is first:
        return title
    return f"{title}, {one_line(last.forecaster)} in {_agreeing(last)} of {len(last.reliability)}"


def spread_title(drawn: Drawn) -> str:
    """The mean forecasts with and without the event (discrimination slope, Yates 1982).

    They are read off the histogram's bins, so they are right to half a bin.
    """
    best = _best(drawn, lambda own: _mean(own.histogram[1]) - _mean(own.histogram[0]))
    if best is None:
        return NONE_DRAWN
    without, with_event = map(_mean, best.histogram)
    return (
        f"{one_line(best.forecaster)} separates best: mean forecast about {percent(with_event)} "
        f"for trials with the event, about {percent(without)} for those without"
    )


def _best(drawn: Drawn, value: Callable[[Curves], float]) -> Curves | None:
    honest = [own for one, own in drawn if one.kind != "cheating"]
    return max(honest, key=value, default=None)


def _not_above(curves: CurveSet, best: Curves, value: Callable[[Curves], float]) -> str:
    """The name of the best trivial forecaster where ``best`` is not above it, else nothing."""
    trivial = [own for own in curves.curves if own.kind == "trivial"]
    first = max(trivial, key=value, default=None)
    if first is None or value(best) > value(first) + 1e-9:
        return ""
    return one_line(first.forecaster)


def _area(points: Sequence[tuple[float, float]]) -> float:
    return sum((x - w) * (y + v) / 2 for (w, v), (x, y) in pairwise(points))


def _steps(points: Sequence[tuple[float, float]]) -> float:
    return sum((x - w) * y for (w, _), (x, y) in pairwise(points))


def _height(points: Sequence[tuple[float, float]], at: float) -> float:
    """The height of a rising line at ``at``; where it rises there, the upper end."""
    for (w, v), (x, y) in reversed(list(pairwise(points))):
        if w <= at <= x:
            return y if x == w else v + (y - v) * (at - w) / (x - w)
    return points[-1][1]


def _useful(own: Curves, prevalence: float) -> tuple[float, float] | None:
    """First and last threshold of the longest stretch above both; None where there is none."""

    def above(point: tuple[float, float]) -> bool:
        threshold, benefit = point
        return benefit > max(0.0, treat_all(prevalence, threshold)) + 1e-6

    stretches = [list(points) for useful, points in groupby(own.decision, above) if useful]
    longest = max(stretches, key=len, default=None)
    return (longest[0][0], longest[-1][0]) if longest else None


def _agreeing(own: Curves) -> int:
    return sum(b.lower <= b.forecast <= b.upper for b in own.reliability)


def _mean(bins: Sequence[int]) -> float:
    middles = [(i + 0.5) / HISTOGRAM_BINS for i in range(len(bins))]
    return sum(n * m for n, m in zip(bins, middles, strict=True)) / max(sum(bins), 1)
