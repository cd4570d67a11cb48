"""The figures of a report: one function a figure, each with its title, its text and its data."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from llm4top.evaluation.metrics.curves import treat_all
from llm4top.evaluation.reports.drawing import (
    FEW_OF_A_LABEL,
    Drawing,
    Series,
    curve_drawing,
    decision_title,
    drawing,
    drawn_curves,
    precision_recall_title,
    roc_title,
)
from llm4top.evaluation.reports.formatting import heading, number, phase_name, with_interval
from llm4top.evaluation.reports.report import CurveSet, ForecasterRow, Table
from llm4top.evaluation.reports.svg import COLOURS, FONT_SIZE, canvas, label, style, to_svg
from llm4top.text import one_line, percent, thousands

_CHANCE = 0.5
_NAME_WIDTH = 27
_REFERENCE: dict[str, Any] = {"color": COLOURS["muted"], "linewidth": 1, "linestyle": (0, (2, 2))}
"""How a reference line is drawn: dotted."""


def forest(table: Table, series: Sequence[Series], *, name: str, where: str = "") -> Drawing | None:
    """ROC-AUC of all forecasters with intervals, best on top; None where none was measured.

    ``where`` says which table it is (by default its phase), since several are shown side by side.
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
    axes.axvline(_CHANCE, **_REFERENCE)
    axes.set_ylim(min(places.values()) - 0.7, 0.7)
    axes.set_yticks(list(places.values()), [_two_lines(n) for n in places], color=COLOURS["ink"])
    axes.set_xlim(min(0.4, *(_ends(row)[0] or 1 for row in rows)) - 0.01, 1.01)
    axes.set_xticks([0.4, 0.6, 0.8, 1], [".4", ".6", ".8", "1"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    label(axes, x=f"ROC-AUC, 95 % interval (n = {thousands(table.n)})")
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
    return "\n".join(wrapper.wrap(one_line(name)))


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
                f"{where}: no trained forecaster ranks above {one_line(beaten.forecaster)}, "
                f"at {number(_auc(beaten))}; the best is {one_line(able[0].forecaster)}, at "
                f"{number(_auc(able[0]))}"
            )
        else:
            title = f"{where}: {one_line(first.forecaster)} ranks best, at {number(_auc(first))}"
        title += f"; {len(above)} of {len(able)} intervals are above chance"
    note = f"The dotted line at {number(_CHANCE)} is any constant forecast: it cannot rank."
    if cheating:
        note += " The hollow dashed one at the bottom cheats: it reads the outcome's status."
    return title, note


def roc(curves: CurveSet, series: Sequence[Series], *, name: str) -> Drawing:
    """ROC curves of the chosen forecasters, with the diagonal of those that cannot rank."""
    figure, axes = _unit_square()
    axes.plot([0, 1], [0, 1], **_REFERENCE)
    drawn = drawn_curves(curves, series)
    for one, own in drawn:
        _line(axes, own.roc, one)
    label(
        axes,
        x=f"1 − specificity, of {_events(curves, False)}",  # noqa: RUF001
        y=f"sensitivity, of {_events(curves, True)}",
    )
    note = (
        "ROC curves: the nearer to the upper left, the better the ranking. The dotted diagonal is "
        f"any constant forecast, such as always the event.{_few(curves)}"
    )
    return curve_drawing(
        figure,
        curves,
        drawn,
        name=name,
        title=roc_title(curves, drawn),
        note=note,
        header=("forecaster", "one_minus_specificity", "sensitivity"),
        rows=[(one.forecaster, x, y) for one, own in drawn for x, y in own.roc],
    )


def precision_recall(curves: CurveSet, series: Sequence[Series], *, name: str) -> Drawing:
    """Precision-recall curves as the steps that average precision sums."""
    figure, axes = _unit_square()
    axes.axhline(curves.prevalence, **_REFERENCE)
    drawn = drawn_curves(curves, series)
    for one, own in drawn:
        _line(axes, own.pr, one, steps=True)
    label(axes, x=f"recall, of {_events(curves, True)}", y=f"precision (n = {thousands(curves.n)})")
    note = (
        "Precision and recall, as steps without smoothing. The dotted line forecasts the event for "
        f"every trial: its precision is the share of events, {percent(curves.prevalence)}."
        f"{_few(curves)}"
    )
    return curve_drawing(
        figure,
        curves,
        drawn,
        name=name,
        title=precision_recall_title(curves, drawn),
        note=note,
        header=("forecaster", "recall", "precision"),
        rows=[(one.forecaster, x, y) for one, own in drawn for x, y in own.pr],
    )


def decision(curves: CurveSet, series: Sequence[Series], *, name: str) -> Drawing:
    """Decision curves (Vickers & Elkin 2006), with acting on all trials and on none."""
    figure = canvas(380)
    axes = figure.add_axes((0.14, 0.13, 0.81, 0.84))
    style(axes)
    drawn = drawn_curves(curves, series)
    act_on_all = [(x / 100, treat_all(curves.prevalence, x / 100)) for x in range(1, 100)]
    axes.plot(*zip(*act_on_all, strict=True), color=COLOURS["ink"], linewidth=1)
    axes.axhline(0, **_REFERENCE)
    for one, own in drawn:
        _line(axes, own.decision, one)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], [f"{x} %" for x in (0, 25, 50, 75, 100)])
    axes.set_ylim(-0.12, max(curves.prevalence, 0.1) * 1.08)
    label(axes, x="least chance at which one acts", y=f"net benefit (n = {thousands(curves.n)})")
    note = (
        "Decision curves: a forecast is of use where its curve is above acting on all and on none. "
        "The thin dark line acts on every trial; "
        f"the dotted line at 0 acts on none.{_few(curves)}"
    )
    rows = [(one.forecaster, x, y) for one, own in drawn for x, y in own.decision]
    return curve_drawing(
        figure,
        curves,
        drawn,
        name=name,
        title=decision_title(curves, drawn),
        note=note,
        header=("forecaster", "threshold", "net_benefit"),
        rows=[*rows, *(("act on all", t, benefit) for t, benefit in act_on_all)],
    )


def _few(curves: CurveSet) -> str:
    """A caution where so few trials are with, or without, the event that a few make the curve."""
    events = round(curves.prevalence * curves.n)
    least = min(events, curves.n - events)
    if least >= FEW_OF_A_LABEL:
        return ""
    kind = "with" if events <= curves.n - events else "without"
    return (
        f" Caution: only {thousands(least)} of {thousands(curves.n)} trials are {kind} the event; "
        "one trial more or less changes the curve."
    )


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


def _unit_square() -> tuple[Canvas, Axes]:
    """A figure with axes from 0 to 1."""
    figure = canvas(380)
    axes = figure.add_axes((0.125, 0.13, 0.85, 0.84))
    style(axes)
    ticks, names = [0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"]
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    return figure, axes


def _events(curves: CurveSet, event: bool) -> str:
    share = curves.prevalence if event else 1 - curves.prevalence
    return f"{thousands(round(share * curves.n))} trials {'with' if event else 'without'} the event"
