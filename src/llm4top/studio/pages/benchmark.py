"""Benchmark: evaluate all models and baselines on the same trials, and read the reports."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from nicegui import app as pages_app
from nicegui import ui
from starlette.responses import FileResponse, RedirectResponse, Response

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.bundle_facts import display_name
from llm4top.studio.components.bundle_import import refused
from llm4top.studio.components.elements import (
    PRIMARY,
    Words,
    choice,
    in_thread,
    muted,
    section,
    table,
)
from llm4top.studio.components.reports import KINDS, ReportView, report_file
from llm4top.studio.components.start_run import dataset_names, no_data_yet, start_run
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.studio.jobs import status_text, title_of
from llm4top.workspace.run_states import Run

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
        run = await in_thread(context.workspace.runs.get, run_id)
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
        datasets = await in_thread(dataset_names, workspace)
        bundles = await in_thread(workspace.bundles.list)
        Words(
            "p",
            "Evaluate models and baselines on the same trials. The report has metrics with "
            "intervals, paired differences, curves, the leak audit and a checklist.",
        ).classes("l4-muted")
        with section("Run a benchmark"):
            if datasets:
                self._form(datasets, {b.id: display_name(b) for b in bundles or ()})
            else:
                no_data_yet()
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
                label="Models, in addition to the baselines",
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
            "The baselines alone take minutes. Each language model is evaluated untrained and "
            "fine-tuned, which takes hours without a GPU. You can stop and resume the benchmark.",
        ).classes("l4-muted")
        start = ui.button("Run the benchmark", on_click=lambda: self._start(datasets))
        start.props(PRIMARY).classes("l4-start")
        self._faults = ui.element("div")

    async def _start(self, datasets: dict[str, str]) -> None:
        title = f"Benchmark on {datasets[self._settings['dataset']]}"
        await start_run(self._context, "benchmark", self._settings, title, self._faults)

    async def _follow(self) -> None:
        found = await in_thread(self._runs)
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
        rows = [
            (
                partial(self._title, run),
                _KINDS[run.kind],
                status_text(run, self._active),
                f"{run.created:%Y-%m-%d %H:%M}",
            )
            for run in runs
        ]
        table(_COLUMNS, rows, label="Reports")

    def _title(self, run: Run) -> None:
        ui.link(title_of(run), f"/reports/{run.id}")
        for line in list(run.result.get("summary", ()))[:1]:
            muted(str(line), "div")
