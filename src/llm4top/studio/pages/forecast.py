"""Forecast: drop records, read the chances; the first page."""

import asyncio
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.errors import LargeUploadError, LLM4TOPError, NotFoundError
from llm4top.forecasters.forecast_format import variant_of
from llm4top.progress import Progress
from llm4top.studio.components import elements
from llm4top.studio.components.base_rate_field import BaseRateField
from llm4top.studio.components.bundle_facts import Models
from llm4top.studio.components.drop_zone import Limits, drop_zone, refused_list, stored_files
from llm4top.studio.components.earlier_forecasts import list_earlier
from llm4top.studio.components.list_state import ListState
from llm4top.studio.components.results import BatchActions, ResultsView
from llm4top.studio.components.run_panel import watch_run
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.studio.frame import page
from llm4top.text import DISCLAIMER, counted, thousands
from llm4top.workspace.cleanup import delete_forecasts
from llm4top.workspace.jobs.intake import queue_forecasts
from llm4top.workspace.kept_records import keep_result, uploads_behind
from llm4top.workspace.run_states import RunState
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.serving.request import ForecastResult, UploadedFile
from llm4top.workspace.uploads import Upload
from llm4top.workspace.views.listing import Listing

MAX_FILES = 1000
MAX_BYTES = 1_000_000_000
"""Of one drop; large ones become a run."""

ACCEPT = ".xml,.json,.zip"
EXAMPLE = "example.xml"
RUN_NOTE = (
    "You can close this page; the work continues. The records stay on this machine until you "
    "delete the forecasts."
)


def register(context: StudioContext) -> None:
    """Add the page that opens first."""

    @page(context, "/", "Forecast", icon="insights", order=10)
    async def forecast() -> None:
        request = ui.context.client.request
        made = ForecastPage(context, ListState.from_query(request.query_params))
        await elements.connected()
        await made.open()


class ForecastPage:
    """The page of one visitor: the dropped files, and the batch that is shown."""

    def __init__(self, context: StudioContext, state: ListState):
        self._context = context
        self._who = context.who()
        self._service = forecast_service(context.workspace)
        self._models = Models.of(context.workspace)
        self._state = state
        self._rejected: Sequence[Refusal] = ()
        self._behind: Sequence[Upload] = ()
        self._task: asyncio.Task[ForecastResult] | None = None
        self._service.warm(self._models.place)
        with ui.element("div").classes("l4-forecast"):
            self._form()
            self._status = ui.element("div").props('role="status" aria-live="polite"')
            self._place = ui.element("div").classes("l4-stack")
        if not state.id:
            self._empty()

    async def open(self) -> None:
        """Show the batch or the run that the address names."""
        if self._state.run:
            await self._follow(self._state.run)
        elif self._state.batch:
            await self._bring_back(returned=True)

    def _form(self) -> None:
        """The drop zone, the model and the question."""
        with ui.element("div").classes("l4-intake") as self._intake:
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
                elements.Words("span", "or")
                ui.button("Try an example", on_click=self._example).props(elements.PRIMARY)
                ui.link("Write a draft", "/draft")
        with ui.element("div").classes("l4-controls"):
            self._model = elements.choice(
                "Model", self._models.names, self._models.chosen, self._choose
            )
            self._base_rate = BaseRateField(
                self._context.workspace, lambda: self._models.task, self._offer_again
            )
            questions = self._models.questions
            if len(questions) > 1:
                options = {question: question for question in questions}
                elements.choice(
                    "Question", options, self._models.question, self._choose_question
                ).classes("l4-wide")
            else:
                elements.Words("p", self._models.question).classes("l4-question")
        self._base_rate.field()

    async def _choose(self, name: str) -> None:
        self._models.chosen = name
        self._service.warm(self._models.place)
        await self._offer_again()

    async def _offer_again(self) -> None:
        """Show the batch again: it may be forecast with what is chosen now."""
        if self._state.batch and self._task is None:
            await self._bring_back()

    async def _choose_question(self, question: str) -> None:
        """Offer only the models that answer this question."""
        self._models.choose_question(question)
        self._model.set_options(self._models.names, value=self._models.chosen)
        await self._base_rate.renew()

    async def _example(self) -> None:
        file = Path(str(files("llm4top") / "examples" / EXAMPLE))
        await self._forecast([UploadedFile(file, EXAMPLE)])

    async def _take(self, uploads: Sequence[FileUpload]) -> None:
        # The browser enforces these limits, but a request need not come from a browser.
        why = "max-files" if len(uploads) > MAX_FILES else ""
        if sum(upload.size() for upload in uploads) > MAX_BYTES:
            why = "max-total-size"
        if why:
            limits = Limits(ACCEPT, MAX_BYTES, MAX_FILES)
            await self._refuse([limits.refusal(upload.name, why) for upload in uploads])
            return
        async with stored_files(uploads) as stored:
            await self._forecast(stored)

    async def _refuse(self, refused: Sequence[Refusal]) -> None:
        """List the refused files, together with the forecasts of the others."""
        self._rejected = refused
        if self._state.batch:
            await self._bring_back()
        else:
            self._place.clear()
            with self._place:
                elements.Words("h2", f"{counted(len(refused), 'file')} refused").props(
                    'id="results"'
                )
                refused_list(refused)

    async def _as_run(self, given: Sequence[UploadedFile]) -> None:
        """Forecast many records in a run, which continues when the page is closed."""
        self._status.clear()
        with self._status:
            elements.Words("p", "Storing the records for a run …")
        try:
            made = await elements.in_thread(
                partial(
                    queue_forecasts,
                    self._context.workspace,
                    given,
                    self._models.chosen,
                    self._who,
                    base_rate=self._base_rate.text,
                )
            )
        except LLM4TOPError as error:
            self._failed(error)
            return
        if made is not None:
            self._state = ListState(run=made.id)
            self._show_address()
            await self._follow(made.id)

    async def _follow(self, run_id: str) -> None:
        """Watch a run. Show its forecasts when it has finished, or those it has if it stopped."""
        workspace = self._context.workspace
        run = await elements.in_thread(workspace.runs.get, run_id)
        if run is None:
            return
        self._status.clear()
        self._place.clear()
        self._compact(True)
        if run.state is RunState.DONE:
            await self._bring_back(returned=True)
            return
        if self._rejected:
            with self._place:
                refused_list(self._rejected)
        with self._status:
            watch_run(self._context, run, lambda _: self._bring_back(), home="/", note=RUN_NOTE)
        if not run.state.is_over:
            return
        finished = await elements.in_thread(lambda: workspace.forecasts.count(run_id=run_id))
        if finished:
            await self._bring_back(quiet=True)

    async def _bring_back(self, *, returned: bool = False, quiet: bool = False) -> None:
        """Show the batch that the state names; ``quiet``: below the status of its run."""
        workspace = self._context.workspace
        try:
            listing = await elements.in_thread(Listing.read, workspace, self._state.id)
            self._behind = await elements.in_thread(uploads_behind, workspace, self._state.id) or ()
        except LLM4TOPError as error:
            self._place.clear()
            self._failed(error)
            return
        if listing is None or self._place.is_deleted:
            return
        if not quiet:
            self._status.clear()
        self._compact(True)
        await self._show(listing, returned)

    async def _show(self, listing: Listing, returned: bool) -> None:
        self._place.clear()
        items = listing.items(self._state.model)
        made_by = items[0].bundle if items else ""
        chosen = self._models.bundles[self._models.chosen]
        rate = self._base_rate.text
        other = variant_of(chosen.identity, rate) not in listing.models and bool(self._behind)
        name = self._models.names[self._models.chosen]
        actions = BatchActions(
            new=lambda: ui.navigate.to("/"),
            delete=self._delete,
            again=self._again if other else None,
            again_with=name if rate is None else f"{name}, base rate {rate}",
        )
        with self._place:
            view = ResultsView(
                self._context,
                listing,
                self._state,
                rejected=self._rejected,
                names=self._models.names_by_identity,
                model=self._models.facts_of(made_by),
                actions=actions,
            )
            elements.muted(DISCLAIMER)
        await view.draw(returned=returned)

    def _show_address(self) -> None:
        """Put the state into the address."""
        ui.navigate.history.replace(self._state.address)

    def _compact(self, on: bool) -> None:
        """Make the drop zone one line, so that results come first."""
        self._intake.classes(add="l4-compact" if on else "", remove="" if on else "l4-compact")

    async def _forecast(self, given: Sequence[UploadedFile]) -> None:
        """Forecast the files and show the progress, one request at a time; many become a run."""
        if self._task is not None:
            ui.notify("A forecast is in progress. Wait for it, or cancel it.", type="warning")
            return
        if self._base_rate.fault:
            ui.notify(f"Base rate: {self._base_rate.fault}", type="warning")
            return
        self._task = asyncio.ensure_future(
            self._service.forecast(
                given,
                client=ui.context.client.id,
                bundle=self._models.place,
                base_rate=self._base_rate.text,
                on_progress=self._on_progress,
            )
        )
        self._waiting()
        try:
            result = await self._task
        except asyncio.CancelledError:
            self._status.clear()
        except LargeUploadError:
            await self._as_run(given)
        except LLM4TOPError as error:
            self._failed(error)
        else:
            self._status.clear()
            await self._add(result, given)
        finally:
            self._task = None

    def _waiting(self) -> None:
        task = self._task
        assert task is not None
        self._status.clear()
        with self._status, ui.element("div").classes("l4-box l4-waiting"):
            self._message = elements.Words("p", "Reading the records …")
            self._bar = elements.progress_bar()
            ui.button("Cancel", on_click=task.cancel).props("flat dense no-caps")

    def _on_progress(self, progress: Progress) -> None:
        if self._task is None or self._task.done():
            return
        if progress.stage == "waiting":
            words = f"Waiting: {counted(int(progress.figures['ahead']), 'request')} ahead …"
        elif progress.stage == "reading":
            words = "Reading the records …"
        elif not progress.done and self._models.place not in self._service.state.loaded:
            words = f"Loading the model, then forecasting {counted(progress.total, 'trial')} …"
        else:
            words = f"Forecasting: {thousands(progress.done)} of {thousands(progress.total)} done …"
        self._message.set_text(words)
        self._bar.set_value(progress.done / progress.total if progress.total else 0)

    def _failed(self, error: LLM4TOPError) -> None:
        self._status.clear()
        with self._status:
            elements.error_box(error)

    async def _add(self, result: ForecastResult, given: Sequence[UploadedFile]) -> None:
        """Store the forecasts, then show them: they remain when the page is closed."""
        workspace, who = self._context.workspace, self._who
        before = self._state.batch or None

        def keep() -> str:
            batch = keep_result(workspace, result, given, batch=before)
            workspace.batches.leave_out(batch, self._rejected)
            what = f"{counted(len(result.items), 'trial')} with {result.bundle or 'no model'}"
            workspace.activity.log("forecast", who, what, subject=batch)
            return batch

        try:
            batch = await elements.in_thread(keep)
        except NotFoundError:
            # Deleted in another tab meanwhile: start a new batch.
            self._state = ListState()
            await self._add(result, given)
            return
        except LLM4TOPError as error:
            self._failed(error)
            return
        if batch is None:
            return
        self._rejected = ()
        view, self._state = self._state.view, ListState(batch=batch)
        self._state.view = view
        self._show_address()
        await self._bring_back()

    async def _again(self) -> None:
        """Forecast the records of the batch with the model that is now chosen."""
        workspace = self._context.workspace

        def found() -> list[UploadedFile]:
            path = workspace.uploads.path
            return [UploadedFile(path(u.id), u.name, u.id) for u in self._behind]

        try:
            given = await elements.in_thread(found)
        except LLM4TOPError as error:
            self._failed(error)
            return
        if given is None:
            return
        await (self._as_run if self._state.run else self._forecast)(given)

    async def _delete(self) -> None:
        await elements.in_thread(
            delete_forecasts, self._context.workspace, self._state.id, self._who
        )
        ui.navigate.to("/")

    def _empty(self) -> None:
        with self._place, ui.element("div").classes("l4-empty"):
            elements.Words(
                "p",
                "Drop the record of a planned or running trial to estimate its chance of success, "
                "with an interval and the base rate of its phase. Records and forecasts stay on "
                "this machine until you delete them. Refused files are not stored.",
            )
            ui.link("View and delete stored files", "/kept")
            elements.Words("p", DISCLAIMER).classes("l4-muted")
        with self._place:
            before = ui.element("div").classes("l4-stack")
        ui.timer(0, lambda: list_earlier(self._context, before), once=True)
