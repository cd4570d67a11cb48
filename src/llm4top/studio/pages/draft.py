"""Drafts: paste a synopsis, confirm what was read, fill in the rest, forecast, export."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.errors import DraftError, LLM4TOPError
from llm4top.registry.document_text import DocumentLimits
from llm4top.registry.draft import Draft
from llm4top.registry.trial import Trial
from llm4top.studio.components import draft_form, elements
from llm4top.studio.components.bundle_facts import Models
from llm4top.studio.components.drop_zone import download, drop_zone, stored_files
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.studio.frame import page
from llm4top.text import DISCLAIMER, interval, percent
from llm4top.workspace.drafts import SavedDraft
from llm4top.workspace.kept_records import keep_result
from llm4top.workspace.serving.request import ForecastResult, UploadedFile

ACCEPT = ".txt,.docx,.pdf,.json"
_PURPOSE = (
    "A trial that is not registered yet has no record. Paste its synopsis, or drop it as a text, "
    "Word or PDF file: its sections are told by their headings, and you confirm what was read."
)
_COSTS = (
    "What each section costs in the width of the interval, in percentage points. A section that "
    "the draft has is taken out; one that it lacks cannot be put in, so its cost is what this "
    "model adds for its absence, at the same chance."
)


def register(context: StudioContext) -> None:
    """Add the page for new drafts, and the page of one draft, to the Forecast section."""

    @page(context, "/draft", "Draft", where="nowhere", section="/")
    async def new() -> None:
        await elements.connected()
        await DraftPage(context, None).start()

    @page(
        context,
        "/drafts/{draft_id}",
        "Draft",
        where="nowhere",
        section="/",
        exists=context.workspace.drafts.get,
    )
    async def one(draft_id: str) -> None:
        await elements.connected()
        saved = await elements.in_thread(context.workspace.drafts.get, draft_id)
        if saved is not None:
            DraftPage(context, saved).show(saved.draft)


class DraftPage:
    """The page of one visitor: the synopsis to read, then the form."""

    def __init__(self, context: StudioContext, saved: SavedDraft | None):
        self._context = context
        self._saved = saved
        self._draft = Draft.of(Trial())
        self._models = Models.of(context.workspace)
        self._service = forecast_service(context.workspace)
        with ui.element("div").classes("l4-actions"):
            ui.link("← Forecast", "/").classes("l4-back")
        self._status = ui.element("div").classes("l4-draft-status")
        self._status.props('role="status" aria-live="polite"')
        self._place = ui.element("div").classes("l4-stack l4-draft")

    async def start(self) -> None:
        """Ask for a synopsis, and list the drafts that there are."""
        with self._place:
            elements.Words("p", _PURPOSE)
            self._paste = ui.textarea("Synopsis").classes("l4-draft-paste")
            self._paste.props(f"outlined rows=10 maxlength={DocumentLimits().characters}")
            with ui.element("div").classes("l4-draft-buttons"):
                ui.button("Read the synopsis", on_click=self._read).props(elements.PRIMARY)
                ui.button("Start with an empty form", on_click=self._empty).props("flat no-caps")
            drop_zone(
                "Or drop a synopsis here (.txt, .docx, .pdf), or a draft (.json)",
                label="Choose a synopsis: text, Word or PDF",
                max_bytes=DocumentLimits().file_bytes,
                max_files=1,
                on_files=self._take,
                accept=ACCEPT,
            )
            await self._list()

    async def _list(self) -> None:
        found = await elements.in_thread(lambda: self._context.workspace.drafts.list(limit=50))
        if not found:
            return
        with elements.section("Drafts"), ui.element("ul").classes("l4-earlier"):
            for saved in found:
                with ui.element("li"):
                    ui.link(saved.name, f"/drafts/{saved.id}")
                    elements.muted(f"changed {saved.changed:%Y-%m-%d %H:%M} UTC", "span")

    async def _read(self) -> None:
        text = str(self._paste.value or "")
        if not text.strip():
            self._paste.error = "Paste the synopsis first."
            return
        try:
            draft = await elements.in_thread(lambda: Draft.from_text(text, name="the synopsis"))
        except LLM4TOPError as error:
            self._failed(error)
            return
        if draft is not None:
            self.show(draft)

    def _empty(self) -> None:
        self.show(Draft.of(Trial()))

    async def _take(self, uploads: Sequence[FileUpload]) -> None:
        async with stored_files(uploads[:1]) as stored:
            limits = DocumentLimits()
            (file,) = stored
            try:
                draft = await elements.in_thread(
                    lambda: Draft.from_file(file.path, name=file.name, limits=limits)
                )
            except LLM4TOPError as error:
                self._failed(error)
                return
        if draft is not None:
            self.show(draft)

    def show(self, draft: Draft) -> None:
        """Show the draft as a form, with what its synopsis did not give."""
        self._draft = draft
        self._status.clear()
        self._place.clear()
        with self._place:
            self._title = elements.heading(draft.title)
            with ui.element("div").classes("l4-draft-actions"):
                ui.button("Save", on_click=self._save).props("outline no-caps")
                ui.button("Forecast", on_click=self._forecast).props(elements.PRIMARY)
                ui.button("Export JSON", icon="download", on_click=self._export).props(
                    "flat no-caps"
                )
                self._delete = ui.button("Delete", on_click=self._remove).props("flat no-caps")
                self._delete.set_visibility(self._saved is not None)
            elements.choice("Model", self._models.names, self._models.chosen, self._choose)
            if draft.synopsis is not None:
                elements.Words(
                    "p",
                    "Check each value against the text that it came from. Fields that can be read "
                    "in two ways are empty.",
                )
                draft_form.not_used(draft.synopsis.unread)
            with elements.section("Missing"):
                self._missing = ui.element("div").classes("l4-stack")
                elements.muted(_COSTS)
                with ui.element("div").classes("l4-draft-buttons"):
                    ui.button("Show what each section costs", on_click=self._cost).props(
                        "outline no-caps"
                    )
                self._costs = ui.element("div").props('role="status" aria-live="polite"')
            self._form = draft_form.DraftForm(draft)
            elements.muted(DISCLAIMER)
        self._list_missing()

    def _list_missing(self) -> None:
        self._missing.clear()
        self._costs.clear()
        with self._missing:
            draft_form.missing_fields(self._draft.missing, self._form)

    def _choose(self, name: str) -> None:
        self._models.chosen = name
        self._costs.clear()

    def _failed(self, error: LLM4TOPError) -> None:
        self._status.clear()
        with self._status:
            elements.error_box(error)
        ui.run_javascript("window.scrollTo({top: 0})")

    def _take_changes(self) -> bool:
        """Take what the form holds into the draft; False where it holds faults."""
        try:
            self._draft = self._draft.with_texts(self._form.changes)
        except DraftError as error:
            self._form.show_faults(error)
            self._failed(error)
            return False
        self._status.clear()
        self._form.settle(self._draft)
        self._title.set_text(self._draft.title)
        self._list_missing()
        return True

    async def _save(self) -> None:
        if await self._keep():
            ui.notify("Saved.")

    async def _keep(self) -> bool:
        """Save the draft; whether that went well."""
        if not self._take_changes():
            return False
        draft, before, who = self._draft, self._saved, self._context.who()
        workspace = self._context.workspace

        def keep() -> SavedDraft:
            kept = workspace.drafts.add(draft)
            workspace.activity.log("draft", who, f"kept the draft {kept.name}", subject=kept.id)
            return kept

        try:
            if before is None:
                self._saved = await elements.in_thread(keep)
            else:
                self._saved = await elements.in_thread(workspace.drafts.change, before.id, draft)
        except LLM4TOPError as error:
            self._failed(error)
            return False
        if self._saved is None:
            return False
        self._delete.set_visibility(True)
        ui.navigate.history.replace(f"/drafts/{self._saved.id}")
        return True

    async def _export(self) -> None:
        if not self._take_changes():
            return
        try:
            text = self._draft.to_json()
        except DraftError as error:
            self._failed(error)
            return
        await download(text.encode, _file_name(self._draft), "application/json")

    async def _remove(self) -> None:
        saved = self._saved
        if saved is None or not await elements.confirm(
            "Delete this draft?", "Forecasts that were made from it stay. This cannot be undone."
        ):
            return
        await elements.in_thread(self._context.workspace.drafts.delete, saved.id)
        ui.navigate.to("/draft")

    async def _cost(self) -> None:
        """Forecast the draft as it is, and say what each section costs."""
        if not self._take_changes():
            return
        self._costs.clear()
        with self._costs:
            elements.Words("p", "Forecasting the draft and a copy without each section …")
        try:
            answer = await self._service.ask(
                "draft",
                self._draft.record,
                {},
                client=ui.context.client.id,
                bundle=self._models.place,
            )
        except LLM4TOPError as error:
            self._costs.clear()
            self._failed(error)
            return
        if self._costs.is_deleted:
            return
        self._costs.clear()
        with self._costs:
            if answer["why"]:
                elements.Words("p", f"There is no forecast to measure with: {answer['why']}")
                return
            bounds = interval(answer["lower"], answer["upper"])
            elements.Words("p", f"As it is: {percent(answer['chance'])} ({bounds}).")
            if answer["note"]:
                elements.muted(str(answer["note"]))
            elements.table(
                ("Section", "In the draft", "Width of the interval"),
                draft_form.costs_of(answer),
                label="What each section costs in width",
            )

    async def _forecast(self) -> None:
        """Save the draft, forecast it as any record, and go to the page of the trial."""
        if not await self._keep():
            return
        try:
            text = self._draft.to_json()
        except DraftError as error:
            self._failed(error)
            return
        self._status.clear()
        with self._status:
            elements.Words("p", "Forecasting …")
        with tempfile.TemporaryDirectory(prefix="llm4top-") as folder:
            path = Path(folder) / "0"
            path.write_text(text, encoding="utf-8")
            given = [UploadedFile(path, _file_name(self._draft))]
            try:
                result = await self._service.forecast(
                    given, client=ui.context.client.id, bundle=self._models.place
                )
                made = await elements.in_thread(self._kept, result, given)
            except LLM4TOPError as error:
                self._failed(error)
                return
        if made is not None:
            ui.navigate.to(made)

    def _kept(self, result: ForecastResult, given: list[UploadedFile]) -> str:
        """Store the forecast; the address of its page, or of the batch that says why not."""
        workspace = self._context.workspace
        batch = keep_result(workspace, result, given)
        made = workspace.forecasts.list(batch=batch, limit=1)
        return f"/trials/{made[0].id}" if made else f"/?batch={batch}"


def _file_name(draft: Draft) -> str:
    """A file name made from the title: "exemplamab-in-asthma.json"."""
    words = re.sub(r"[^a-z0-9]+", "-", draft.title.lower()).strip("-")
    return f"{words[:60].strip('-') or 'draft'}.json"
