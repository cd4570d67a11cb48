"""A report in the page itself: its table, its figures with their data, its paired differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run as background
from nicegui import ui

from llm4top.studio._components._parts import choice, drawing, titled_table
from llm4top.studio._pieces import Words, facts, heading, section
from llm4top.workspace._report_sheet import sheet, sheet_names

if TYPE_CHECKING:
    from llm4top.evaluation import Report
    from llm4top.evaluation.reports.drawing import Drawing, Series
    from llm4top.workspace._report_sheet import Line, Pair, Sheet


class ReportSheet:
    """The tables of a report, one at a time; where there are several, the visitor chooses."""

    def __init__(self, report: Report):
        self._report = report
        names = sheet_names(report)
        self._chosen = next(iter(names), "")
        if len(names) > 1:
            with ui.element("div").classes("l4-controls"):
                choice("Measured on", names, self._chosen, self._choose)
        self._place = ui.element("div").classes("l4-stack")

    async def show(self) -> None:
        """Draw the chosen table with all that belongs to it."""
        if not self._chosen:
            return
        wanted = self._chosen
        self._place.clear()
        with self._place:
            Words("p", "Drawing the figures …").classes("l4-muted").props('role="status"')
        shown = await background.io_bound(sheet, self._report, wanted)
        if shown is None or wanted != self._chosen:  # the server closes, or another was chosen
            return
        self._place.clear()
        with self._place:
            _table(shown)
            _differences(shown)
            _figures(shown)

    def _choose(self, key: str) -> None:
        self._chosen = key
        ui.timer(0, self.show, once=True)


def _table(shown: Sheet) -> None:
    with section(shown.heading):
        Words("p", " ".join((shown.rows, *shown.notes)))
        with ui.element("div").classes("l4-scroll"):
            table = ui.element("table").classes("l4-table l4-measured")
            table.props["aria-label"] = "Metrics"
        with table:
            with ui.element("thead"), ui.element("tr"):
                Words("th", "Forecaster").props('scope="col"')
                for metric in shown.metrics:
                    with ui.element("th").props('scope="col"'):
                        Words("span", metric.label)
                        Words("span", metric.better.removesuffix(".")).classes("l4-small")
            for name, lines in shown.groups:
                with ui.element("tbody"):
                    with ui.element("tr").classes("l4-group"):
                        head = Words("th", name).props('scope="rowgroup"')
                        head.props["colspan"] = len(shown.metrics) + 1
                    for line in lines:
                        _line(shown, line)
        with ui.element("details"):
            Words("summary", "What the figures mean")
            Words("p", "Each value is shown with its 95\u00a0% interval.").classes("l4-muted")
            facts((metric.label, metric.definition) for metric in shown.metrics)


def _line(shown: Sheet, line: Line) -> None:
    with ui.element("tr"):
        with ui.element("th").props('scope="row"'):
            Words("div", line.forecaster)
            if line.note:
                Words("div", line.note).classes("l4-small l4-muted")
        for metric, (value, bounds) in zip(shown.metrics, line.cells, strict=True):
            with ui.element("td") as cell:
                cell.props["data-title"] = metric.label
                Words("span", value)
                Words("span", bounds).classes("l4-bounds")


def _figures(shown: Sheet) -> None:
    if not shown.figures:
        return
    with section("Figures"):
        if shown.series:
            _legend(shown.series)
        with ui.element("div").classes("l4-plots"):
            for figure in shown.figures:
                _figure(figure)


def _legend(series: tuple[Series, ...]) -> None:
    with ui.element("ul").classes("l4-series").props('aria-label="Colours of the figures"'):
        for one in series:
            with ui.element("li"):
                dash = "dashed" if one.dashed else "solid"
                ui.element("i").style(f"border-top: 3px {dash} {one.variable}")
                Words("span", one.forecaster)
        with ui.element("li"):
            ui.element("i").style("border-top: 2px dotted var(--muted)")
            Words("span", "a constant forecast, such as always success")


def _figure(figure: Drawing) -> None:
    with ui.element("figure"):
        heading(figure.title, level=3)
        drawing(figure.svg)
        Words("figcaption", figure.note)
        button = ui.button(
            "Download its data",
            icon="download",
            on_click=lambda: ui.download.content(figure.csv.encode(), figure.file, "text/csv"),
        ).props("flat dense no-caps")
        button.props["aria-label"] = f"Download its data: {figure.title}"


def _differences(shown: Sheet) -> None:
    if not shown.differences:
        return
    with section("Paired differences"):
        Words(
            "p",
            "On the same trials, the first minus the second, with the 95 % interval. p is "
            "corrected for all comparisons in one metric.",
        ).classes("l4-muted")
        (first, pairs), *others = shown.differences
        _pairs(first, pairs)
        for metric, pairs in others:
            with ui.element("details"):
                Words("summary", metric)
                _pairs(metric, pairs)


def _pairs(metric: str, pairs: tuple[Pair, ...]) -> None:
    columns = ("First minus second", metric, "p", "In words")
    rows = [(f"{p.first} minus {p.second}", p.difference, p.p_adjusted, p.reading) for p in pairs]
    titled_table(columns, rows, label=f"Paired differences in {metric}")
