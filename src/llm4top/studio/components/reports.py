"""The report of a run, in the page: a table at a time, and the whole report below.

The report's HTML comes from the macros that write ``report.html``; they escape every text. The
whole report is shown in a frame whose document is given with the page (``srcdoc``): nothing has
to be allowed to be framed. The frame is a sandbox without any rights, so a script in it could not
run, and it inherits the page's content policy, so nothing in it reaches the network.
"""

from pathlib import Path

from nicegui import ui

from llm4top.errors import LLM4TOPError, NotFoundError
from llm4top.evaluation.reports.report import Report
from llm4top.studio.components.elements import Words, choice, error_box, heading, in_thread
from llm4top.studio.components.run_panel import RunPanel
from llm4top.studio.context import StudioContext
from llm4top.studio.jobs import title_of
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
        heading(title_of(run))
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
        found = await in_thread(_read_report, self._context.workspace, run.id)
        if found is None:  # the server is closing
            return
        text, report = found
        with self._place:
            if isinstance(text, LLM4TOPError):
                error_box(text)
                return
            readable = isinstance(report, Report)
            summary = lead(report) if isinstance(report, Report) else run.result.get("summary", ())
            with ui.element("ul").classes("l4-summary"):
                for line in summary:
                    Words("li", str(line))
            ui.link("Download the report", f"/reports/{run.id}/download").classes("l4-start")
            if isinstance(report, LLM4TOPError):
                error_box(report)
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
        from llm4top.evaluation.reports.html import part_styles, section_names

        ui.add_css(part_styles())
        self._report = report
        self._names = section_names(report)
        self._chosen = next(iter(self._names), "")
        if len(self._names) > 1:
            with ui.element("div").classes("l4-controls"):
                choice("Evaluated on", self._names, self._chosen, self._choose)
        self._place = ui.element("div").classes("l4-stack")

    async def show(self) -> None:
        """Draw the chosen table with its figures and differences."""
        from llm4top.evaluation.reports.html import section_html

        wanted = self._chosen
        if not wanted:
            return
        self._place.clear()
        with self._place:
            Words("p", "Drawing the figures …").classes("l4-muted").props('role="status"')
        drawn = await in_thread(section_html, self._report, wanted)
        if drawn is None or wanted != self._chosen or self._place.is_deleted:
            return  # the server is closing, another table was chosen, or the visitor has left
        self._place.clear()
        with self._place:
            heading(self._names[wanted])
            ui.html(drawn, sanitize=False)

    def _choose(self, key: str) -> None:
        self._chosen = key
        ui.timer(0, self.show, once=True)


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
