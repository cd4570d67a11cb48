"""Forecast: records in, chances out; the first page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.errors import LargeUploadError, LLM4TOPError
from llm4top.studio._components._archive import Archive, earlier, keep, queue, restore
from llm4top.studio._components._drop import drop_zone
from llm4top.studio._components._models import Models
from llm4top.studio._components._not_taken import Limits
from llm4top.studio._components._parts import choice, refused_list, things
from llm4top.studio._components._results import Results, ResultsView
from llm4top.studio._components._run_watch import watch_run
from llm4top.studio._components._service import forecast_service
from llm4top.studio._components._stash import kept
from llm4top.studio._components._trial_detail import trial_detail
from llm4top.studio._pieces import Words, error_box, section
from llm4top.workspace._forecast_request import UploadedFile
from llm4top.workspace._words import DISCLAIMER, thousands

if TYPE_CHECKING:
    from llm4top.studio._context import StudioContext
    from llm4top.workspace._forecast_result import ForecastItem, ForecastProgress, ForecastResult
    from llm4top.workspace._parsing import Refusal

MAX_FILES = 1000
MAX_BYTES = 1_000_000_000
"""Of one drop; what is too large to be waited for becomes a run."""

ACCEPT = ".xml,.json,.zip"
EXAMPLE = "example.xml"
RUN_NOTE = (
    "It goes on when this page is closed. The records stay on this machine until you delete the "
    "forecasts."
)


def register(context: StudioContext) -> None:
    """Join the frame as the page that opens first."""
    style = (files("llm4top.studio") / "assets" / "forecast.css").read_text("utf-8")
    ui.add_head_html(f"<style>{style}</style>", shared=True)

    @context.page("/", "Forecast", icon="insights", order=10)
    async def forecast(batch: str | None = None, run: str | None = None) -> None:
        page = ForecastPage(context)
        await ui.context.client.connected()
        if run is not None:
            await page.follow(run)
        elif batch is not None:
            await page.bring_back(Archive(batch=batch))


class ForecastPage:
    """The page of one visitor: what was dropped, what came of it, which trial is open."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._who = context.who()
        self._service = forecast_service(context.workspace)
        self._models = Models.of(context.workspace)
        self._results = Results()
        self._not_taken: Sequence[Refusal] = ()
        self._archive: Archive | None = None
        self._task: asyncio.Task[ForecastResult] | None = None
        self._service.warm(self._models.place)
        self._front = ui.element("div").classes("l4-forecast")
        with self._front:
            self._ask()
            self._status = ui.element("div").props('role="status" aria-live="polite"')
            self._place = ui.element("div").classes("l4-stack")
        self._detail = ui.element("div")
        self._detail.set_visibility(False)
        self._show()

    def _ask(self) -> None:
        """What to forecast, with which model, about which question."""
        with ui.element("div").classes("l4-intake"):
            drop_zone(
                "Drop ClinicalTrials.gov records here (XML, JSON, zip)",
                label="Choose records: XML, JSON or zip files",
                max_bytes=MAX_BYTES,
                max_files=MAX_FILES,
                on_files=self._take,
                on_refused=self._refuse,
                accept=ACCEPT,
            )
            with ui.element("p").classes("l4-or"):
                Words("span", "or")
                ui.button("Try an example", on_click=self._example).props(
                    "unelevated no-caps text-color=on-accent"
                )
        with ui.element("div").classes("l4-controls"):
            self._model = choice("Model", self._models.names, self._models.chosen, self._choose)
            questions = self._models.questions
            if len(questions) > 1:
                asked = {question: question for question in questions}
                choice("Question", asked, self._models.question, self._choose_question).classes(
                    "l4-wide"
                )
            else:
                Words("p", self._models.question).classes("l4-question")

    def _choose(self, name: str) -> None:
        self._models.chosen = name
        self._service.warm(self._models.place)

    def _choose_question(self, question: str) -> None:
        """Only models that answer it are left to choose from."""
        self._models.ask(question)
        self._model.set_options(self._models.names, value=self._models.chosen)

    async def _example(self) -> None:
        file = Path(str(files("llm4top") / "examples" / EXAMPLE))
        await self._forecast([UploadedFile(file, EXAMPLE)])

    async def _take(self, uploads: Sequence[FileUpload]) -> None:
        # The browser has asked this already, but anybody can speak to the server without it.
        why = "max-files" if len(uploads) > MAX_FILES else ""
        if sum(upload.size() for upload in uploads) > MAX_BYTES:
            why = "max-total-size"
        if why:
            limits = Limits(ACCEPT, MAX_BYTES, MAX_FILES)
            self._refuse([limits.refusal(upload.name, why) for upload in uploads])
            return
        async with kept(uploads) as stored:
            try:
                await self._forecast(stored)
            except LargeUploadError:
                await self._as_run(stored)

    def _refuse(self, refused: Sequence[Refusal]) -> None:
        """Name the files that are not taken, beside what is forecast of the others."""
        self._not_taken = refused
        self._results = replace(self._results, refusals=refused)
        self._show()

    async def _as_run(self, given: Sequence[UploadedFile]) -> None:
        """Too many to wait for: a run does it, and goes on when the page is closed."""
        self._say("Keeping the records for a run …")
        try:
            made = await work.io_bound(
                queue, self._context.workspace, given, self._models.chosen, self._who
            )
        except LLM4TOPError as error:
            self._failed(error)
            return
        if made is not None:
            self._show_address(f"/?run={made}")
            await self.follow(made)

    async def follow(self, run_id: str) -> None:
        """Watch a run, and show what came of it when it is done."""
        self._status.clear()
        self._place.clear()
        if self._not_taken:
            with self._place:
                refused_list(self._not_taken)
        archive = Archive(run=run_id)
        with self._status:
            watch_run(
                self._context,
                run_id,
                lambda _: self.bring_back(archive),
                home="/",
                note=RUN_NOTE,
            )

    async def bring_back(self, archive: Archive) -> None:
        """Show forecasts that were made before."""
        try:
            found = await work.io_bound(restore, self._context.workspace, archive)
        except LLM4TOPError as error:
            self._failed(error)
            return
        if found is not None:
            self._archive = archive
            items, refusals, notes = found
            self._results = Results(items, [*self._not_taken, *refusals], notes)
            self._not_taken = ()
            self._show()

    def _show_address(self, address: str) -> None:
        """What to open to come back here."""
        ui.navigate.history.replace(address)

    def _say(self, words: str) -> None:
        self._status.clear()
        with self._status:
            Words("p", words)

    async def _forecast(self, given: Sequence[UploadedFile]) -> None:
        """Forecast the files, saying how far it is; a second request waits for the first."""
        if self._task is not None:
            ui.notify("A forecast is being made. Wait for it, or cancel it.", type="warning")
            return
        self._task = asyncio.ensure_future(
            self._service.forecast(
                given,
                client=ui.context.client.id,
                bundle=self._models.place,
                on_progress=self._told,
            )
        )
        self._waiting()
        try:
            result = await self._task
        except asyncio.CancelledError:
            self._status.clear()
        except LargeUploadError:
            self._status.clear()
            raise
        except LLM4TOPError as error:
            self._failed(error)
        else:
            self._status.clear()
            await self._add(result)
        finally:
            self._task = None

    def _waiting(self) -> None:
        task = self._task
        assert task is not None
        self._status.clear()
        with self._status, ui.element("div").classes("l4-box l4-waiting"):
            self._said = Words("p", "Reading the records …")
            self._bar = ui.linear_progress(0, show_value=False).props("instant-feedback")
            self._bar.props["aria-label"] = "Progress"
            ui.button("Cancel", on_click=task.cancel).props("flat dense no-caps")

    def _told(self, progress: ForecastProgress) -> None:
        if self._task is None or self._task.done():
            return
        if progress.stage == "waiting":
            said = f"Waiting: {things(progress.ahead, 'request')} ahead …"
        elif progress.stage == "reading":
            said = "Reading the records …"
        elif not progress.done and self._models.place not in self._service.state.loaded:
            said = f"Loading the model, then forecasting {things(progress.total, 'trial')} …"
        else:
            said = f"Forecasting: {thousands(progress.done)} of {thousands(progress.total)} done …"
        self._said.set_text(said)
        self._bar.set_value(progress.done / progress.total if progress.total else 0)

    def _failed(self, error: LLM4TOPError) -> None:
        self._status.clear()
        with self._status:
            error_box(error)

    async def _add(self, result: ForecastResult) -> None:
        """Show the new trials before those that are there, if they are of the same model."""
        new = {item.source_sha256 for item in result.items}
        same = [item for item in self._results.items if item.forecast.bundle == result.bundle]
        # The same record and model give the same forecast: it is kept already.
        known = {item.source_sha256 for item in same}
        await self._keep([item for item in result.items if item.source_sha256 not in known], same)
        older = [item for item in same if item.source_sha256 not in new]
        refusals = [*self._not_taken, *result.refusals]
        self._not_taken = ()
        self._results = Results(
            [*result.items, *older], refusals, result.notes, view=self._results.view
        )
        self._show()

    async def _keep(self, items: Sequence[ForecastItem], same: Sequence[ForecastItem]) -> None:
        """Keep them before they are shown: what was made outlives a page that is closed."""
        if not items:
            return
        archive = self._archive if same else None
        try:
            self._archive = await work.io_bound(
                keep, self._context.workspace, items, archive, self._who
            )
        except LLM4TOPError as error:
            ui.notify(f"Not kept in the workspace: {error}", type="warning", multi_line=True)
        if self._archive is not None:
            self._show_address(self._archive.address)

    def _afresh(self) -> None:
        self._results, self._archive, self._not_taken = Results(), None, ()
        self._status.clear()
        self._show_address("/")
        self._show()

    async def _delete(self) -> None:
        if self._archive is not None:
            await work.io_bound(self._archive.delete, self._context.workspace, self._who)
        self._afresh()

    def _show(self) -> None:
        self._place.clear()
        with self._place:
            if not self._results.items and not self._results.refusals:
                self._empty()
                return
            ResultsView(
                self._results, on_open=self._open, on_new=self._afresh, on_delete=self._delete
            )
            Words("p", DISCLAIMER).classes("l4-small l4-muted")

    def _empty(self) -> None:
        with ui.element("div").classes("l4-empty"):
            Words(
                "p",
                "Drop the record of a planned or running trial and read its chance of success, "
                "with its interval and beside the base rate of its phase. Records are read on "
                "this machine and deleted at once; the forecasts stay here until you delete them.",
            )
            Words("p", DISCLAIMER).classes("l4-muted")
        before = ui.element("div")
        ui.timer(0, lambda: self._list_earlier(before), once=True)

    async def _list_earlier(self, place: ui.element) -> None:
        before = await work.io_bound(earlier, self._context.workspace)
        if not before or place.is_deleted:
            return
        with place, section("Earlier forecasts"), ui.element("ul").classes("l4-earlier"):
            for said, address in before:
                with ui.element("li"):
                    ui.link(said, address)

    def _open(self, item: ForecastItem) -> None:
        self._front.set_visibility(False)
        self._detail.clear()
        with self._detail:
            trial_detail(item, self._models.manifest_of(item.forecast.bundle), self._back)
        self._detail.set_visibility(True)
        ui.run_javascript("window.scrollTo(0, 0); document.getElementById('trial-title')?.focus()")

    def _back(self) -> None:
        self._detail.set_visibility(False)
        self._detail.clear()
        self._front.set_visibility(True)
        # What was clicked is gone with the trial; the front is still there to ask from.
        with self._front:
            ui.run_javascript("document.getElementById('results')?.focus()")
