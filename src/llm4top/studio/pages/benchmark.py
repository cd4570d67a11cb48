"""Benchmark: evaluate all models and baselines on the same trials, and read the reports."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nicegui import app as pages_app
from nicegui import ui
from starlette.responses import FileResponse, RedirectResponse, Response

from llm4top.errors import LLM4TOPError, NotFoundError
from llm4top.evaluation.reports.report import Report
from llm4top.studio.components import elements
from llm4top.studio.components.bundle_facts import display_name
from llm4top.studio.components.bundle_import import refused
from llm4top.studio.components.run_panel import RunPanel, dataset_names, no_data_yet, start_run
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.studio.jobs import status_text, title_of
from llm4top.workspace.jobs.measure_job import REPORT_FOLDER
from llm4top.workspace.run_states import Run, RunState
from llm4top.workspace.views.run_report import lead, read_run_report
from llm4top.workspace.workspace import Workspace

KINDS = ("evaluate", "benchmark")
"""The kinds of runs that end in a report."""


def report_file(workspace: Workspace, run_id: str) -> Path:
    """The file of a finished run's report. Raises ``NotFoundError`` if there is none."""
    run = workspace.runs.get(run_id)
    file = workspace.runs.folder(run.id) / REPORT_FOLDER / "report.html"
    if run.kind not in KINDS or run.state is not RunState.DONE or not file.is_file():
        raise NotFoundError(
            "this run has no report.", hint="Choose a report on the Benchmark page."
        )
    return file


class ReportView:
    """A run with its status and, once it has finished, its report."""

    def __init__(self, context: StudioContext, run: Run):
        self._context = context
        elements.heading(title_of(run))
        self._panel = RunPanel(context, run, self._read, home="/benchmark")
        self._place = ui.element("div").classes("l4-stack")
        self._drawn = False

    async def show(self) -> None:
        """Draw the report if the run has finished."""
        await self._read(self._panel.run)

    async def _read(self, run: Run) -> None:
        if run.state is not RunState.DONE or self._drawn:
            return
        self._drawn = True
        found = await elements.in_thread(_read_report, self._context.workspace, run.id)
        if found is None:  # the server is closing
            return
        text, report = found
        with self._place:
            if isinstance(text, LLM4TOPError):
                elements.error_box(text)
                return
            readable = isinstance(report, Report)
            summary = lead(report) if isinstance(report, Report) else run.result.get("summary", ())
            with ui.element("ul").classes("l4-summary"):
                for line in summary:
                    elements.Words("li", str(line))
            ui.link("Download the report", f"/reports/{run.id}/download").classes("l4-start")
            if isinstance(report, LLM4TOPError):
                elements.error_box(report)
            else:
                parts = ui.element("div").classes("l4-stack")
            _whole(text, opened=not readable)
        if isinstance(report, Report):
            with parts:
                await _Tables(report).show()


class _Tables:
    """The tables of a report, one at a time; the visitor chooses if there are several."""

    def __init__(self, report: Report):
        # The figures need matplotlib, which the server loads with its first report.
        from llm4top.evaluation.reports.render import part_styles, section_names

        ui.add_css(part_styles())
        self._report = report
        self._names = section_names(report)
        self._chosen = next(iter(self._names), "")
        if len(self._names) > 1:
            with ui.element("div").classes("l4-controls"):
                elements.choice("Evaluated on", self._names, self._chosen, self._choose)
        self._place = ui.element("div").classes("l4-stack")

    async def show(self) -> None:
        """Draw the chosen table with its figures and differences."""
        from llm4top.evaluation.reports.render import section_html

        wanted = self._chosen
        if not wanted:
            return
        self._place.clear()
        with self._place:
            elements.Words("p", "Drawing the figures …").classes("l4-muted").props('role="status"')
        drawn = await elements.in_thread(section_html, self._report, wanted)
        if drawn is None or wanted != self._chosen or self._place.is_deleted:
            return  # the server is closing, another table was chosen, or the visitor has left
        self._place.clear()
        with self._place:
            elements.heading(self._names[wanted])
            ui.html(drawn, sanitize=False)

    def _choose(self, key: str) -> None:
        self._chosen = key
        ui.timer(0, self.show, once=True)


def _whole(text: str, *, opened: bool) -> None:
    """The whole report in a frame, folded away unless ``opened``."""
    with ui.element("details") as folded:
        folded.props["open"] = opened
        elements.Words("summary", "The whole report")
        frame = ui.element("iframe").classes("l4-report")
        # An empty sandbox: no scripts, no forms, no origin, no way to the page around it.
        frame.props["sandbox"] = ""
        frame.props["title"] = "Report"
        frame.props["srcdoc"] = text


def _read_report(
    workspace: Workspace, run_id: str
) -> tuple[str | LLM4TOPError, Report | LLM4TOPError]:
    """The report of a run as HTML and as data; an error in place of what cannot be read."""
    try:
        file = report_file(workspace, run_id)
        text = file.read_text("utf-8")
    except LLM4TOPError as error:
        return error, error
    try:
        return text, read_run_report(file.parent)
    except LLM4TOPError as error:
        return text, error


SHOWN = 100
"""Runs in the list of reports."""

EVERY = 2.0
"""Seconds between two reads of the list."""

PRESETS = {"quick": "Quick", "standard": "Standard", "thorough": "Thorough"}
_COLUMNS = ("Report", "Kind", "Status", "Started (UTC)")
_KINDS = {"evaluate": "evaluation", "benchmark": "benchmark"}


def register(context: StudioContext) -> None:
    """Add the form with the list of reports, and a page for each report."""

    @page(context, "/benchmark", "Benchmark", icon="leaderboard", order=50)
    async def benchmark() -> None:
        await elements.connected()
        await BenchmarkPage(context).show()

    @pages_app.get("/reports", include_in_schema=False)
    def reports() -> Response:
        return RedirectResponse("/benchmark")

    @page(
        context,
        "/reports/{run_id}",
        "Report",
        where="nowhere",
        section="/benchmark",
        exists=context.workspace.runs.get,
    )
    async def report(run_id: str) -> None:
        await elements.connected()
        run = await elements.in_thread(context.workspace.runs.get, run_id)
        if run is not None:
            ui.link("All reports", "/benchmark")
            await ReportView(context, run).show()

    @pages_app.get("/reports/{run_id}/download", include_in_schema=False)
    def download(run_id: str) -> Response:
        try:
            file = report_file(context.workspace, run_id)
        except LLM4TOPError as error:
            return refused(error, "/reports")
        kept = {"Cache-Control": "no-store"}
        return FileResponse(file, media_type="text/html", filename="report.html", headers=kept)


class BenchmarkPage:
    """The form and the list of reports of one visitor."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._settings: dict[str, Any] = {"preset": "quick", "test": False}

    async def show(self) -> None:
        """Draw the page; the list follows the runs from then on."""
        workspace = self._context.workspace
        datasets = await elements.in_thread(dataset_names, workspace)
        bundles = await elements.in_thread(workspace.bundles.list)
        elements.Words(
            "p",
            "Evaluate models and baselines on the same trials. The report has metrics with "
            "intervals, paired differences, curves, the leak audit and a checklist.",
        ).classes("l4-muted")
        with elements.section("Run a benchmark"):
            if datasets:
                self._form(datasets, {b.id: display_name(b) for b in bundles or ()})
            else:
                no_data_yet()
        with elements.section("Reports"):
            self._list = ui.element("div")
        self._drawn: tuple[Sequence[Run], Sequence[Run]] | None = None
        await self._follow()
        ui.timer(EVERY, self._follow)

    def _form(self, datasets: dict[str, str], models: dict[str, str]) -> None:
        self._settings["dataset"] = next(iter(datasets))
        with ui.element("div").classes("l4-controls"):
            first = self._settings["dataset"]
            elements.choice("Data set", datasets, first, lambda v: self._settings.update(dataset=v))
            chosen = ui.select(
                models,
                multiple=True,
                label="Models, in addition to the baselines",
                on_change=lambda event: self._settings.update(bases=list(event.value or ())),
            )
            chosen.props("outlined dense options-dense use-chips").classes("l4-choice")
            chosen.style("min-width: min(17em, 100%)")
            elements.choice("Training", PRESETS, "quick", lambda v: self._settings.update(preset=v))
        test = ui.checkbox(
            "Also use the test set (every use is logged)",
            on_change=lambda event: self._settings.update(test=bool(event.value)),
        )
        test.props("dense")
        elements.Words(
            "p",
            "The baselines alone take minutes. Each language model is evaluated untrained and "
            "fine-tuned, which takes hours without a GPU. You can stop and resume the benchmark.",
        ).classes("l4-muted")
        start = ui.button("Run the benchmark", on_click=lambda: self._start(datasets))
        start.props(elements.PRIMARY).classes("l4-start")
        self._faults = ui.element("div")

    async def _start(self, datasets: dict[str, str]) -> None:
        title = f"Benchmark on {datasets[self._settings['dataset']]}"
        await start_run(self._context, "benchmark", self._settings, title, self._faults)

    async def _follow(self) -> None:
        found = await elements.in_thread(self._runs)
        if found is not None and (found, self._active) != self._drawn:
            self._drawn = (found, self._active)
            self._list.clear()
            with self._list:
                self._table(found)

    def _runs(self) -> list[Run]:
        self._active = self._context.jobs.look().active
        runs = self._context.workspace.runs
        found = [run for kind in KINDS for run in runs.list(kind=kind, limit=SHOWN)]
        return sorted(found, key=lambda run: run.created, reverse=True)[:SHOWN]

    def _table(self, runs: Sequence[Run]) -> None:
        if not runs:
            elements.Words(
                "p", "Reports of benchmarks, evaluations and comparisons will appear here."
            )
            ui.link("Compare models", "/models")
            return
        rows = [
            (
                partial(self._title, run),
                _KINDS[run.kind],
                status_text(run, self._active),
                f"{run.created:%Y-%m-%d %H:%M}",
            )
            for run in runs
        ]
        elements.table(_COLUMNS, rows, label="Reports")

    def _title(self, run: Run) -> None:
        ui.link(title_of(run), f"/reports/{run.id}")
        for line in list(run.result.get("summary", ()))[:1]:
            elements.muted(str(line), "div")
