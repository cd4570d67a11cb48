"""Reports of runs: found by the run's id, read inside the page, and watched until they are there.

What was measured is drawn in the page. The whole report, with its audit and its checklist, is
shown in a frame whose document is given with the page (``srcdoc``): nothing has to be
allowed to be framed. The frame is a sandbox that allows nothing at all, so a script in it could
not run, and it inherits the page's own content policy, so nothing in it reaches the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import run as background
from nicegui import ui

from llm4top.errors import LLM4TOPError, NotFoundError
from llm4top.studio.components.elements import (
    Words,
    choice,
    drawing,
    error_box,
    facts,
    heading,
    section,
    titled_table,
)
from llm4top.studio.components.run_actions import Act, delete_run_button, run_button
from llm4top.studio.jobs import share_of, standing_of, title_of
from llm4top.workspace.jobs.jobs import log_tail, resume, stop
from llm4top.workspace.jobs.measure_job import REPORT_FOLDER
from llm4top.workspace.run_states import RunState
from llm4top.workspace.views.report_sheet import lead, read_run_report, sheet, sheet_names

if TYPE_CHECKING:
    from llm4top.evaluation.reports.drawing import Drawing, Series
    from llm4top.evaluation.reports.report import Report
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.views.report_sheet import Line, Pair, Sheet
    from llm4top.workspace.workspace import Workspace


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


KINDS = ("evaluate", "benchmark")
"""The kinds of runs that end in a report."""

EVERY = 1.0
"""Seconds between two looks at a run."""

TAIL = 20
"""Lines of a failed run's log that are shown."""


def report_file(workspace: Workspace, run_id: str) -> Path:
    """The report of a run that is done; ``NotFoundError`` where there is none."""
    run = workspace.runs.get(run_id)
    file = workspace.runs.folder(run.id) / REPORT_FOLDER / "report.html"
    if run.kind not in KINDS or run.state is not RunState.DONE or not file.is_file():
        raise NotFoundError("this run has no report.", hint="Choose one on the page Benchmark.")
    return file


class ReportView:
    """A run with what can be done about it and, once it is done, its report."""

    def __init__(self, context: StudioContext, run: Run):
        self._context = context
        self._runs = context.workspace.runs
        self._run = run
        heading(title_of(run))
        self._standing = Words("p", "").classes("l4-muted").props('role="status"')
        self._bar = ui.linear_progress(0, show_value=False, size="6px")
        self._bar.props["aria-label"] = "Progress"
        with ui.element("div").classes("l4-controls"):
            self._stop = self._action("Stop", "stopped", stop)
            self._again = self._action("Resume", "resumed", resume)
        self._place = ui.element("div").classes("l4-stack")
        self._delete = delete_run_button(context, run, "/benchmark").classes("l4-start")
        self._timer = ui.timer(EVERY, self._look, active=not run.state.is_over)
        self._shown: RunState | None = None
        self._active: Sequence[Run] = ()

    async def show(self) -> None:
        """Draw it as it stands."""
        run = self._run
        self._standing.set_text(standing_of(run, self._active))
        share = share_of(run)
        self._bar.set_value(share or 0)
        self._bar.set_visibility(run.state is RunState.RUNNING and share is not None)
        self._stop.set_visibility(run.state in (RunState.QUEUED, RunState.RUNNING))
        self._again.set_visibility(run.state in (RunState.INTERRUPTED, RunState.FAILED))
        self._delete.set_visibility(run.state.is_over)
        if self._shown is not run.state:
            self._shown = run.state
            self._place.clear()
            if run.state is RunState.DONE:
                await self._show_report()
            elif run.state is RunState.FAILED:
                await self._show_log()

    async def _look(self) -> None:
        found = await background.io_bound(self._read)
        if found is None:  # the server is closing
            return
        self._run, self._active = found
        self._timer.active = not self._run.state.is_over
        await self.show()

    def _read(self) -> tuple[Run, Sequence[Run]]:
        return self._runs.get(self._run.id), self._context.jobs.look().active

    async def _show_report(self) -> None:
        found = await background.io_bound(_read, self._context.workspace, self._run.id)
        if found is None:  # the server is closing
            return
        text, report = found
        with self._place:
            if isinstance(text, LLM4TOPError):
                error_box(text)
                return
            shown = None
            said = self._run.result.get("summary", ())
            if not isinstance(report, LLM4TOPError):
                said = lead(report)
            with ui.element("ul").classes("l4-summary"):
                for line in said:
                    Words("li", str(line))
            ui.link("Download the report", f"/reports/{self._run.id}/download").classes("l4-start")
            if isinstance(report, LLM4TOPError):
                error_box(report)
            else:
                shown = ReportSheet(report)
            _whole(text, opened=shown is None)
        if shown is not None:
            await shown.show()

    async def _show_log(self) -> None:
        lines = await background.io_bound(log_tail, self._context.workspace, self._run.id, TAIL)
        if lines:
            with self._place:
                Words("p", "Last lines of the log:").classes("l4-muted")
                log = Words("pre", "\n".join(lines)).classes("l4-box")
                log.style("white-space: pre-wrap; overflow-wrap: anywhere; max-width: 100%")

    def _action(self, verb: str, done: str, act: Act) -> ui.button:
        return run_button(self._context, self._run.id, verb, done, act, self._look)


def _whole(text: str, *, opened: bool) -> None:
    """The whole report in a frame, folded away unless ``opened``."""
    with ui.element("details") as folded:
        folded.props["open"] = opened
        Words("summary", "The whole report")
        frame = ui.element("iframe").classes("l4-report")
        # An empty sandbox: no scripts, no forms, no origin, no way to the page around it.
        frame.props["sandbox"] = ""
        frame.props["title"] = "Report"
        frame.props["srcdoc"] = text


def _read(workspace: Workspace, run_id: str) -> tuple[str | LLM4TOPError, Report | LLM4TOPError]:
    """The report of a run, to be shown whole, and as data; each may be what is wrong with it."""
    try:
        file = report_file(workspace, run_id)
        text = file.read_text("utf-8")
    except LLM4TOPError as error:
        return error, error
    try:
        return text, read_run_report(file.parent)
    except LLM4TOPError as error:
        return text, error
