"""Small multiples of a report, one panel a forecaster: reliability, and the forecasts' spread."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from llm4top.evaluation.reports import drawing
from llm4top.evaluation.reports.report import Curves, CurveSet
from llm4top.evaluation.reports.svg import COLOURS, FONT_SIZE, canvas, label, style
from llm4top.text import one_line, percent, thousands

_PANEL_HEIGHT = 172
_LONGEST_NAME = 30
_TICKS = ([0, 0.5, 1], ["0", "50 %", "100 %"])


def reliability(
    curves: CurveSet, series: Sequence[drawing.Series], *, name: str
) -> drawing.Drawing | None:
    """Observed frequency against forecast, with Wilson intervals; None without a series."""
    drawn = drawing.drawn_curves(curves, series)
    if not drawn:
        return None
    figure = _panels(drawn, _reliability_panel)
    note = (
        "Reliability in bins of equal count with 95 % Wilson intervals. On the dotted line, "
        "forecast and observed frequency agree. Below the line the "
        "forecast was too high, above it too low. The hollow square is always the base "
        f"rate, {percent(curves.prevalence)}."
    )
    # The base rate is the trivial forecaster's one point.
    for axes in figure.axes:
        axes.plot(
            [curves.prevalence],
            [curves.prevalence],
            marker="s",
            markersize=6,
            color=COLOURS["muted"],
            markerfacecolor=COLOURS["paper"],
            linestyle="none",
            zorder=1.5,
        )
    _axis_titles(figure, f"observed (n = {thousands(curves.n)})")
    return drawing.curve_drawing(
        figure,
        curves,
        drawn,
        name=name,
        title=drawing.reliability_title(drawn),
        note=note,
        header=("forecaster", "low", "high", "n", "forecast", "observed", "lower", "upper"),
        rows=[
            (one.forecaster, b.low, b.high, b.n, b.forecast, b.observed, b.lower, b.upper)
            for one, own in drawn
            for b in own.reliability
        ],
    )


def spread(
    curves: CurveSet, series: Sequence[drawing.Series], labels: tuple[str, str], *, name: str
) -> drawing.Drawing | None:
    """Histograms of the forecasts by outcome, events upward; None without a series."""
    drawn = drawing.drawn_curves(curves, series)
    if not drawn:
        return None
    figure = _panels(drawn, _spread_panel)
    note = (
        "The less the two halves mirror each other, the better the forecast separates them. "
        f"Forecasts of the trials by outcome: {one_line(labels[1])} upward, "
        f"{one_line(labels[0])} downward and paler. A trivial forecaster is a single bar both ways."
    )
    _axis_titles(figure, f"trials in each twentieth (n = {thousands(curves.n)})")
    return drawing.curve_drawing(
        figure,
        curves,
        drawn,
        name=name,
        title=drawing.spread_title(drawn),
        note=note,
        header=("forecaster", "from", "to", f"n {labels[0]}", f"n {labels[1]}"),
        rows=[
            (one.forecaster, i / 20, (i + 1) / 20, without, with_event)
            for one, own in drawn
            for i, (without, with_event) in enumerate(zip(*own.histogram, strict=True))
        ],
    )


def _panels(
    drawn: Sequence[tuple[drawing.Series, Curves]],
    draw: Callable[[Axes, drawing.Series, Curves], None],
) -> Canvas:
    rows = (len(drawn) + 1) // 2
    height = rows * _PANEL_HEIGHT + 22
    figure = canvas(height)
    inner = (_PANEL_HEIGHT - 46) / height
    for i, (one, own) in enumerate(drawn):
        row, column = divmod(i, 2)
        bottom = 1 - ((row + 1) * _PANEL_HEIGHT - 22) / height
        axes = figure.add_axes((0.155 + 0.455 * column, bottom, 0.365, inner))
        style(axes)
        draw(axes, one, own)
        axes.set_xlim(-0.03, 1.03)
        axes.set_xticks(*_TICKS)
        axes.set_title(
            one_line(one.forecaster, _LONGEST_NAME),
            fontsize=FONT_SIZE - 0.5,
            color=COLOURS["ink"],
            loc="left",
            pad=5,
        )
        label(axes)
    return figure


def _axis_titles(figure: Canvas, y: str) -> None:
    words: dict[str, Any] = {"fontsize": FONT_SIZE, "color": COLOURS["ink"]}
    height = figure.get_figheight() * 72
    figure.text(0.56, 4 / height, "forecast", ha="center", va="bottom", **words)
    figure.text(0.02, 0.5, y, rotation=90, ha="center", va="center", **words)


def _reliability_panel(axes: Axes, one: drawing.Series, own: Curves) -> None:
    axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=1, linestyle=(0, (2, 2)))
    for b in own.reliability:
        axes.plot([b.forecast] * 2, [b.lower, b.upper], color=one.drawn, linewidth=1.2)
    axes.plot(
        [b.forecast for b in own.reliability],
        [b.observed for b in own.reliability],
        color=one.drawn,
        linewidth=0.8,
        marker="o",
        markersize=3.6,
        markerfacecolor=COLOURS["paper"] if one.dashed else one.drawn,
    )
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks(*_TICKS)


def _spread_panel(axes: Axes, one: drawing.Series, own: Curves) -> None:
    without, with_event = own.histogram
    edges = [i / len(without) for i in range(len(without) + 1)]
    axes.stairs(with_event, edges, fill=True, color=one.drawn)
    axes.stairs([-n for n in without], edges, fill=True, color=one.drawn, alpha=0.45)
    axes.axhline(0, color=COLOURS["ink"], linewidth=0.7)
    most = max((*without, *with_event, 1))
    axes.set_ylim(-most * 1.08, most * 1.08)
    axes.locator_params(axis="y", nbins=5, integer=True)
    ticks = [tick for tick in axes.get_yticks() if abs(tick) <= most * 1.08]
    axes.set_yticks(ticks, [thousands(round(abs(tick))) for tick in ticks])
