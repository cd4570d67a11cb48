"""The figures of a report: one function a figure, each with its title, its text and its data."""

from __future__ import annotations

import base64
import csv
import io
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from llm4top.evaluation._curves import treat_all
from llm4top.evaluation._figure_titles import decision_title, precision_recall_title, roc_title
from llm4top.evaluation._report import Curves, CurveSet, ForecasterRow, Kind, Table
from llm4top.evaluation._svg import COLOURS, FONT_SIZE, canvas, label, style, to_svg
from llm4top.evaluation._wording import (
    count,
    heading,
    number,
    percent,
    phase_name,
    plain,
    with_interval,
)

MOST_SERIES = 6
_CHANCE = 0.5
FEW_OF_A_LABEL = 20
"""With fewer trials of a label a single one moves a curve by more than a twentieth."""
_NAME_WIDTH = 27
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
    with the highest mean ROC-AUC, one that stands in more tables before one that stands in fewer.
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


def forest(table: Table, series: Sequence[Series], *, name: str, where: str = "") -> Drawing | None:
    """ROC-AUC of all forecasters with intervals, best on top; None where none was measured.

    ``where`` says which table it is (by default its phase), since several stand side by side.
    """
    rows = [row for row in table.rows if _auc(row) is not None]
    if not rows:
        return None
    honest = sorted((r for r in rows if r.kind != "cheating"), key=lambda r: -(_auc(r) or 0))
    cheating = [row for row in rows if row.kind == "cheating"]
    places = {row.forecaster: -float(i) for i, row in enumerate(honest)}
    places |= {row.forecaster: -len(honest) - 0.6 - i for i, row in enumerate(cheating)}
    height = 62 + 24 * (len(rows) + (0.6 if cheating else 0))
    figure = canvas(height)
    axes = figure.add_axes((0.365, 44 / height, 0.37, 1 - 52 / height))
    style(axes, grid="x")
    colours = {one.forecaster: one.drawn for one in series}
    for row in (*honest, *cheating):
        _forest_row(axes, row, places[row.forecaster], colours.get(row.forecaster))
    axes.axvline(_CHANCE, color=COLOURS["muted"], linewidth=1, linestyle=(0, (2, 2)))
    axes.set_ylim(min(places.values()) - 0.7, 0.7)
    axes.set_yticks(list(places.values()), [_two_lines(n) for n in places], color=COLOURS["ink"])
    axes.set_xlim(min(0.4, *(_ends(row)[0] or 1 for row in rows)) - 0.01, 1.01)
    axes.set_xticks([0.4, 0.6, 0.8, 1], [".4", ".6", ".8", "1"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    label(axes, x=f"ROC-AUC, 95 % interval (n = {count(table.n)})")
    title, note = _forest_words(where or phase_name(table.phase), honest, bool(cheating))
    data = [
        (r.forecaster, r.kind, r.figures["roc_auc"].value, *_ends(r), r.figures["roc_auc"].n)
        for r in (*honest, *cheating)
    ]
    header = ("forecaster", "kind", "roc_auc", "lower", "upper", "n")
    svg = to_svg(figure, name=name, title=f"{heading(table)}: {title}", description=note)
    return drawing(svg, title, note, name, header, data)


def _two_lines(name: str) -> str:
    wrapper = textwrap.TextWrapper(
        _NAME_WIDTH, max_lines=2, placeholder="…", break_on_hyphens=False
    )
    return "\n".join(wrapper.wrap(plain(name)))


def _auc(row: ForecasterRow) -> float | None:
    figure = row.figures.get("roc_auc")
    return figure.value if figure else None


def _ends(row: ForecasterRow) -> tuple[float | None, float | None]:
    return row.figures["roc_auc"].lower, row.figures["roc_auc"].upper


def _forest_row(axes: Axes, row: ForecasterRow, place: float, colour: str | None) -> None:
    figure = row.figures["roc_auc"]
    drawn = colour or COLOURS["muted"]
    lower, upper = _ends(row)
    cheating = row.kind == "cheating"
    if lower is not None and upper is not None:
        dashes = (0, (3, 2)) if cheating else "solid"
        axes.plot([lower, upper], [place, place], color=drawn, linewidth=1.8, linestyle=dashes)
    filling = COLOURS["paper"] if cheating else drawn
    value = figure.value or 0.0
    axes.plot(
        [value], [place], marker="o", markersize=5.5, color=drawn, markerfacecolor=filling, zorder=3
    )
    axes.text(
        1.04,
        place,
        with_interval(figure),
        transform=axes.get_yaxis_transform(),
        fontsize=FONT_SIZE - 1.5,
        color=COLOURS["muted"] if cheating or row.kind == "trivial" else COLOURS["ink"],
        verticalalignment="center",
    )


def _forest_words(where: str, honest: Sequence[ForecasterRow], cheating: bool) -> tuple[str, str]:
    able = [row for row in honest if row.kind != "trivial"]
    above = [row for row in able if (_ends(row)[0] or 0.0) > _CHANCE]
    if not able:
        title = f"{where}: only trivial forecasters were measured"
    else:
        first = honest[0]
        tied = next((r for r in honest if r.kind == "trivial" and _auc(r) == _auc(able[0])), None)
        if (beaten := first if first.kind == "trivial" else tied) is not None:
            title = (
                f"{where}: no forecaster that learns ranks above {plain(beaten.forecaster)}, "
                f"at {number(_auc(beaten))}; the best is {plain(able[0].forecaster)}, at "
                f"{number(_auc(able[0]))}"
            )
        else:
            title = f"{where}: {plain(first.forecaster)} ranks best, at {number(_auc(first))}"
        title += f"; {len(above)} of {len(able)} intervals are above chance"
    note = f"The dotted line at {number(_CHANCE)} is any constant forecast: it cannot rank."
    if cheating:
        note += " The hollow dashed one at the bottom cheats: it reads the outcome's status."
    return title, note


def roc(curves: CurveSet, series: Sequence[Series], *, name: str) -> Drawing:
    """ROC curves of the chosen forecasters, with the diagonal of those that cannot rank."""
    figure = canvas(380)
    axes = figure.add_axes((0.125, 0.13, 0.85, 0.84))
    style(axes)
    axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=1, linestyle=(0, (2, 2)))
    drawn = drawn_curves(curves, series)
    for one, own in drawn:
        _line(axes, own.roc, one)
    _unit_axes(axes)
    label(
        axes,
        x=f"1 − specificity, of {_events(curves, False)}",  # noqa: RUF001
        y=f"sensitivity, of {_events(curves, True)}",
    )
    title = roc_title(curves, drawn)
    note = (
        "ROC curves: the nearer to the upper left, the better the ranking. The dotted diagonal is "
        f"any constant forecast, such as always the event.{few(curves)}"
    )
    svg = to_svg(figure, name=name, title=spoken(curves, title), description=told(note, drawn))
    data = [(one.forecaster, x, y) for one, own in drawn for x, y in own.roc]
    header = ("forecaster", "one_minus_specificity", "sensitivity")
    return drawing(svg, title, note, name, header, data)


def precision_recall(curves: CurveSet, series: Sequence[Series], *, name: str) -> Drawing:
    """Precision-recall curves as the steps that average precision sums."""
    figure = canvas(380)
    axes = figure.add_axes((0.125, 0.13, 0.85, 0.84))
    style(axes)
    axes.axhline(curves.prevalence, color=COLOURS["muted"], linewidth=1, linestyle=(0, (2, 2)))
    drawn = drawn_curves(curves, series)
    for one, own in drawn:
        _line(axes, own.pr, one, steps=True)
    _unit_axes(axes)
    label(axes, x=f"recall, of {_events(curves, True)}", y=f"precision (n = {count(curves.n)})")
    title = precision_recall_title(curves, drawn)
    note = (
        f"Precision and recall, as steps without smoothing. The dotted line is always the "
        f"event: its precision is the share of events, {percent(curves.prevalence)}.{few(curves)}"
    )
    svg = to_svg(figure, name=name, title=spoken(curves, title), description=told(note, drawn))
    data = [(one.forecaster, x, y) for one, own in drawn for x, y in own.pr]
    return drawing(svg, title, note, name, ("forecaster", "recall", "precision"), data)


def decision(curves: CurveSet, series: Sequence[Series], *, name: str) -> Drawing:
    """Decision curves (Vickers & Elkin 2006), with acting on all trials and on none."""
    figure = canvas(380)
    axes = figure.add_axes((0.14, 0.13, 0.81, 0.84))
    style(axes)
    drawn = drawn_curves(curves, series)
    thresholds = [x / 100 for x in range(1, 100)]
    everything = [(t, treat_all(curves.prevalence, t)) for t in thresholds]
    axes.plot(
        [t for t, _ in everything], [b for _, b in everything], color=COLOURS["ink"], linewidth=1
    )
    axes.axhline(0, color=COLOURS["muted"], linewidth=1, linestyle=(0, (2, 2)))
    for one, own in drawn:
        _line(axes, own.decision, one)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], [f"{x} %" for x in (0, 25, 50, 75, 100)])
    axes.set_ylim(-0.12, max(curves.prevalence, 0.1) * 1.08)
    label(axes, x="least chance at which one acts", y=f"net benefit (n = {count(curves.n)})")
    title = decision_title(curves, drawn)
    note = (
        "Decision curves: of use where they are above both acting on all and on none. "
        "The thin dark line acts on every trial, as always the event does; "
        f"the dotted line at 0 acts on none.{few(curves)}"
    )
    svg = to_svg(figure, name=name, title=spoken(curves, title), description=told(note, drawn))
    rows = [(one.forecaster, x, y) for one, own in drawn for x, y in own.decision]
    rows += [("act on all", t, benefit) for t, benefit in everything]
    return drawing(svg, title, note, name, ("forecaster", "threshold", "net_benefit"), rows)


def few(curves: CurveSet) -> str:
    """A caution where so few trials are with, or without, the event that a few make the curve."""
    events = round(curves.prevalence * curves.n)
    least = min(events, curves.n - events)
    if least >= FEW_OF_A_LABEL:
        return ""
    kind = "with" if events <= curves.n - events else "without"
    return (
        f" Caution: only {count(least)} of {count(curves.n)} trials are {kind} the event; "
        "one trial more or less changes the curve."
    )


def drawn_curves(curves: CurveSet, series: Sequence[Series]) -> list[tuple[Series, Curves]]:
    """The series that these curves have, each with its curves."""
    own = {one.forecaster: one for one in curves.curves}
    return [(one, own[one.forecaster]) for one in series if one.forecaster in own]


def _line(
    axes: Axes, points: Sequence[tuple[float, float]], one: Series, *, steps: bool = False
) -> None:
    x, y = zip(*points, strict=True)
    axes.plot(
        x,
        y,
        color=one.drawn,
        linewidth=1.4 if one.dashed else 1.7,
        linestyle=(0, (4, 2)) if one.dashed else "solid",
        drawstyle="steps-pre" if steps else "default",
    )


def _unit_axes(axes: Axes) -> None:
    ticks = [0, 0.25, 0.5, 0.75, 1]
    names = ["0", ".25", ".5", ".75", "1"]
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)


def _events(curves: CurveSet, event: bool) -> str:
    share = curves.prevalence if event else 1 - curves.prevalence
    return f"{count(round(share * curves.n))} trials {'with' if event else 'without'} the event"


def spoken(curves: CurveSet, title: str) -> str:
    """The title as a screen reader says it, where no heading stands beside it."""
    return f"{heading(curves)}: {title}"


def told(note: str, drawn: Sequence[tuple[Series, Curves]]) -> str:
    """The note, and the names of what is drawn."""
    names = ", ".join(plain(one.forecaster) for one, _ in drawn)
    return f"{note} Drawn: {names}." if names else note


def drawing(
    svg: str,
    title: str,
    note: str,
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> Drawing:
    """A finished figure with its data as CSV; ``name`` is its file's name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return Drawing(svg, title, note, text.getvalue(), f"{name}.csv")


def _cell(cell: object) -> object:
    """A spreadsheet takes a text that begins like a formula for one; an apostrophe stops it."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
