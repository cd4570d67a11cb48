"""Benchmark: measure every forecaster on the same rows, and read the reports."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from nicegui import app as pages_app
from nicegui import run as background
from nicegui import ui
from starlette.responses import FileResponse, RedirectResponse, Response

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.bundle_facts import display_name
from llm4top.studio.components.bundle_import import refused
from llm4top.studio.components.elements import Words, choice, section
from llm4top.studio.components.reports import KINDS, ReportView, report_file
from llm4top.studio.components.start_run import dataset_names, say_there_is_no_data, start_run
from llm4top.studio.frame import page
from llm4top.studio.jobs import standing_of, title_of

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.run_states import Run

SHOWN = 100
"""Runs in the list of reports."""

EVERY = 2.0
"""Seconds between two looks at the list."""

PRESETS = {"quick": "Quick", "standard": "Standard", "thorough": "Thorough"}
_COLUMNS = ("Report", "Kind", "State", "Begun (UTC)")
_KINDS = {"evaluate": "evaluation", "benchmark": "benchmark"}


def register(context: StudioContext) -> None:
    """Join the frame: the list with its form, and a page for each report."""
    style = (files("llm4top.studio") / "assets" / "report.css").read_text("utf-8")
    ui.add_head_html(f"<style>{style}</style>", shared=True)

    @page(context, "/benchmark", "Benchmark", icon="leaderboard", order=50)
    async def benchmark() -> None:
        await ui.context.client.connected()
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
        await ui.context.client.connected()
        run = await background.io_bound(context.workspace.runs.get, run_id)
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
    """What one visitor asks for, and the reports that there are."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._settings: dict[str, Any] = {"preset": "quick", "test": False}

    async def show(self) -> None:
        """Draw it; the list follows the runs from then on."""
        workspace = self._context.workspace
        datasets = await background.io_bound(dataset_names, workspace)
        bundles = await background.io_bound(workspace.bundles.list)
        Words(
            "p",
            "Measure every forecaster on the same trials: one report with tables, intervals, "
            "paired differences, curves, the leak audit and a checklist.",
        ).classes("l4-muted")
        with section("Run a benchmark"):
            if datasets:
                self._form(datasets, {b.id: display_name(b) for b in bundles or ()})
            else:
                say_there_is_no_data(self._context)
        with section("Reports"):
            self._list = ui.element("div")
        self._drawn: tuple[Sequence[Run], Sequence[Run]] | None = None
        await self._follow()
        ui.timer(EVERY, self._follow)

    def _form(self, datasets: dict[str, str], models: dict[str, str]) -> None:
        self._settings["dataset"] = next(iter(datasets))
        with ui.element("div").classes("l4-controls"):
            first = self._settings["dataset"]
            choice("Data set", datasets, first, lambda v: self._settings.update(dataset=v))
            chosen = ui.select(
                models,
                multiple=True,
                label="Models beside the baselines",
                on_change=lambda event: self._settings.update(bases=list(event.value or ())),
            )
            chosen.props("outlined dense options-dense use-chips").classes("l4-choice")
            chosen.style("min-width: min(17em, 100%)")
            choice("Training", PRESETS, "quick", lambda v: self._settings.update(preset=v))
        test = ui.checkbox(
            "Also use the test set (every use is logged)",
            on_change=lambda event: self._settings.update(test=bool(event.value)),
        )
        test.props("dense")
        Words(
            "p",
            "The baselines alone take minutes. Each model is measured both untrained and "
            "fine-tuned, which takes hours without a GPU. It can be stopped and resumed.",
        ).classes("l4-muted")
        start = ui.button("Run the benchmark", on_click=lambda: self._start(datasets))
        start.props("unelevated no-caps text-color=on-accent").classes("l4-start")
        self._faults = ui.element("div")

    async def _start(self, datasets: dict[str, str]) -> None:
        title = f"Benchmark on {datasets[self._settings['dataset']]}"
        await start_run(self._context, "benchmark", self._settings, title, self._faults)

    async def _follow(self) -> None:
        found = await background.io_bound(self._runs)
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
            Words("p", "Reports of benchmarks, evaluations and comparisons will appear here.")
            ui.link("Compare models", "/models")
            return
        table = ui.element("table").classes("l4-table l4-titled")
        table.props["aria-label"] = "Reports"
        with table:
            with ui.element("thead"), ui.element("tr"):
                for column in _COLUMNS:
                    Words("th", column).props('scope="col"')
            with ui.element("tbody"):
                for run in runs:
                    self._row(run)

    def _row(self, run: Run) -> None:
        with ui.element("tr"):
            with ui.element("td"):
                ui.link(title_of(run), f"/reports/{run.id}")
                for line in list(run.result.get("summary", ()))[:1]:
                    Words("div", str(line)).classes("l4-muted l4-small")
            cells = (
                _KINDS[run.kind],
                standing_of(run, self._active),
                f"{run.created:%Y-%m-%d %H:%M}",
            )
            for name, text in zip(_COLUMNS[1:], cells, strict=True):
                Words("td", text).props["data-title"] = name
