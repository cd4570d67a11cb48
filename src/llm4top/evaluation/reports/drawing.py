"""What every figure of a report is made of: the series drawn, and the finished drawing."""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from matplotlib.figure import Figure as Canvas

from llm4top.evaluation.metrics.curves import HISTOGRAM_BINS, treat_all
from llm4top.evaluation.reports.formatting import heading
from llm4top.evaluation.reports.report import Curves, CurveSet, ForecasterRow, Kind, Table
from llm4top.evaluation.reports.svg import COLOURS, to_svg
from llm4top.text import csv_text, one_line, percent

MOST_SERIES = 6
FEW_OF_A_LABEL = 20
"""With fewer trials of a label a single one moves a curve by more than a twentieth."""
_ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure on the page: ``title`` says its reading, ``note`` how to look at it.

    ``csv`` is its data, the content of a file called ``file``.
    """

    svg: str
    title: str
    note: str
    csv: str
    file: str

    @property
    def data(self) -> str:
        """The CSV as a ``data:`` address."""
        return f"data:text/csv;base64,{base64.b64encode(self.csv.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Series:
    """How one forecaster is drawn in every figure: a name of ``COLOURS``, and dashes."""

    forecaster: str
    kind: Kind
    colour: str

    @property
    def drawn(self) -> str:
        """The colour as matplotlib takes it."""
        return COLOURS[self.colour]

    @property
    def variable(self) -> str:
        """The colour as a page takes it, which may have its own for dark ones."""
        return f"var(--{self.colour}, {self.drawn})"

    @property
    def dashed(self) -> bool:
        """The leak oracle is dashed, and nothing else."""
        return self.kind == "cheating"


def choose_series(tables: Iterable[Table]) -> tuple[Series, ...]:
    """At most six forecasters, the same in all figures of a report, in the order of its tables.

    Always the leak oracle and TF-IDF where they are there, and the best language model; then those
    with the highest mean ROC-AUC, those in more tables first.
    The trivial ones are drawn as reference lines, not as series.
    """
    rows = [row for table in tables for row in table.rows if row.kind != "trivial"]
    kinds = {row.forecaster: row.kind for row in rows}
    tally = Counter(row.forecaster for row in rows)
    by_value = sorted(kinds, key=lambda name: (-tally[name], -_mean_auc(name, rows)))
    oracle = [name for name in by_value if kinds[name] == "cheating"][:1]
    honest = [name for name in by_value if kinds[name] != "cheating"]
    tfidf = [
        name
        for name in honest
        if kinds[name] == "baseline" and "tfidf" in name.casefold().replace("-", "")
    ][:1]
    language = [name for name in honest if kinds[name] == "language"][:1]
    chosen = list(dict.fromkeys([*tfidf, *language, *honest]))[: MOST_SERIES - 1]
    honest_series = [
        Series(name, kinds[name], f"series-{i}")
        for i, name in enumerate((n for n in kinds if n in chosen), start=1)
    ]
    return (*honest_series, *(Series(name, "cheating", _ORACLE) for name in oracle))


def _mean_auc(name: str, rows: Sequence[ForecasterRow]) -> float:
    values = [
        figure.value
        for row in rows
        if row.forecaster == name
        and (figure := row.figures.get("roc_auc"))
        and figure.value is not None
    ]
    return sum(values) / len(values) if values else 0.0


def drawn_curves(curves: CurveSet, series: Sequence[Series]) -> list[tuple[Series, Curves]]:
    """The series that these curves have, each with its curves."""
    own = {one.forecaster: one for one in curves.curves}
    return [(one, own[one.forecaster]) for one in series if one.forecaster in own]


def curve_drawing(
    figure: Canvas,
    curves: CurveSet,
    drawn: Sequence[tuple[Series, Curves]],
    *,
    name: str,
    title: str,
    note: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> Drawing:
    """A finished figure of curves; a screen reader gets its table's name and what is drawn too."""
    names = ", ".join(one_line(one.forecaster) for one, _ in drawn)
    svg = to_svg(
        figure,
        name=name,
        title=f"{heading(curves)}: {title}",
        description=f"{note} Drawn: {names}." if names else note,
    )
    return drawing(svg, title, note, name, header, rows)


def drawing(
    svg: str,
    title: str,
    note: str,
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> Drawing:
    """A finished figure with its data as CSV; ``name`` is its file's name."""
    return Drawing(svg, title, note, csv_text([header, *rows]), f"{name}.csv")


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
