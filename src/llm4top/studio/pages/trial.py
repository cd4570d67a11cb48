"""The page of one trial, with links to the trials before and after it."""

import asyncio
from dataclasses import replace

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.prompts.prompt import SectionAccount
from llm4top.studio.components import elements, precedents, trial_card
from llm4top.studio.components.bundle_facts import Models
from llm4top.studio.components.drop_zone import download
from llm4top.studio.components.elements import Words, in_thread, muted
from llm4top.studio.components.list_state import ListState
from llm4top.studio.components.other_questions import other_questions
from llm4top.studio.components.reasons import what_moves
from llm4top.studio.components.results import list_query
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.studio.frame import page
from llm4top.text import counted
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.kept_records import record_again
from llm4top.workspace.trial_report import kept_comparison, report_of
from llm4top.workspace.views.listing import Listing, model_name
from llm4top.workspace.views.trial_report import MEDIA_TYPE, report_name
from llm4top.workspace.views.what_if import COLUMNS, variant_cells

NOT_STORED = (
    "The text is not stored with this forecast, and its record is no longer on this machine. "
    "Forecast the record again to see the text."
)


def register(context: StudioContext) -> None:
    """Add a page to the Forecast section."""

    @page(
        context,
        "/trials/{forecast_id}",
        "Forecast",
        where="nowhere",
        section="/",
        exists=context.workspace.forecasts.get,
    )
    async def trial(forecast_id: str) -> None:
        state = ListState.from_query(ui.context.client.request.query_params)
        await elements.connected()
        stored = await in_thread(context.workspace.forecasts.get, forecast_id)
        if stored is not None:
            await _Trial(context, stored, state).show()


class _Trial:
    """The page of one visitor."""

    def __init__(self, context: StudioContext, stored: StoredForecast, state: ListState):
        self._context = context
        self._stored = stored
        self._item = Forecast.from_dict(stored.values, id=stored.id)
        self._models = Models.of(context.workspace)
        # An address without a query belongs to the batch of the forecast.
        self._sections: tuple[SectionAccount, ...] = self._item.sections
        self._was_read = asyncio.Event()
        self._state = state if state.id else ListState.of(stored.batch, stored.run_id)

    async def show(self) -> None:
        item = self._item
        model = self._models.facts_of(item.bundle)
        self._way = ui.element("div").classes("l4-actions l4-noprint")
        with self._way:
            ui.link("← All forecasts", self._state.address + f"#t-{item.id}").classes("l4-back")
        with ui.element("article").classes("l4-detail"):
            trial_card.trial_number(item, model)
            trial_card.parts_of(item, model)
            what_moves(self._context, self._stored)
            self._variants()
            precedents.earlier_trials(self._context, self._stored)
            others = ui.element("div")
            other_questions(self._context, self._stored)
            self._read_place = ui.element("div").classes("l4-stack")
            with self._read_place:
                if any(part.text for part in item.sections):
                    trial_card.what_was_read(item, item.sections)
                    trial_card.not_read(item)
                else:
                    Words("p", "Reading the record again …").props('role="status"')
            trial_card.what_was_withheld(item)
            trial_card.rests_on(model, item.phase)
            trial_card.identity(item)
        ui.run_javascript("document.getElementById('trial-title')?.focus()")
        await self._neighbours(others)
        if not any(part.text for part in item.sections):
            await self._read_again()
        self._was_read.set()

    def _variants(self) -> None:
        """The variants that were kept on the what-if page, and the way to that page."""
        kept = kept_comparison(self._stored)
        if kept is not None:
            with elements.section("Variants of this record"):
                rows = [variant_cells(one) for one in (kept["original"], *kept["variants"])]
                elements.table(COLUMNS, rows, label="Variants", kind="l4-variants")
                for note in kept["notes"]:
                    elements.muted(note)
        what_if = ui.button("What if the record read otherwise?", icon="tune")
        what_if.props("flat no-caps").classes("l4-start l4-noprint")
        what_if.props["href"] = f"/what-if?forecast={self._item.id}"

    async def _report(self) -> None:
        """Download the page as one file, with all that was asked about this trial so far."""
        await self._was_read.wait()

        def make() -> bytes:
            return report_of(self._context.workspace, self._item.id, self._sections).to_html()

        try:
            await download(make, report_name(self._item), MEDIA_TYPE)
        except LLM4TOPError as error:
            elements.warn(error)

    async def _neighbours(self, place: ui.element) -> None:
        """The trials before and after this one in its list, and other models' forecasts of it."""
        names = self._models.names_by_identity

        def look() -> tuple[list[Forecast], list[Forecast]]:
            listing = Listing.read(self._context.workspace, self._stored.batch)
            model = self._item.variant
            shown = listing.shown(replace(list_query(self._state), model=model))
            return shown, listing.others(self._item)

        try:
            found = await in_thread(look)
        except LLM4TOPError:  # deleted in another tab meanwhile: the trial is shown already
            return
        if found is None or self._way.is_deleted:
            return
        shown, others = found
        ids = [item.id for item in shown]
        with self._way:
            if self._item.id in ids:
                at = ids.index(self._item.id)
                if at > 0:
                    ui.link("Previous", self._state.trial(ids[at - 1])).props('rel="prev"')
                muted(f"{at + 1} of {len(ids)}", "span")
                if at + 1 < len(ids):
                    ui.link("Next", self._state.trial(ids[at + 1])).props('rel="next"')
            ui.button("Print", icon="print").props("flat no-caps").on(
                "click", js_handler="() => window.print()"
            )
            ui.button("Report", icon="download", on_click=self._report).props("flat no-caps")
        alike = sum(item.probability == self._item.probability for item in shown)
        with place:
            if alike > 1:
                have = "has" if alike == 2 else "have"
                muted(f"{counted(alike - 1, 'other trial')} in this list {have} the same chance.")
            trial_card.other_models(
                [
                    (
                        model_name(other, names),
                        other,
                        self._state.trial(other.id),
                    )
                    for other in others
                ]
            )

    async def _read_again(self) -> None:
        """Read the stored record again, for the text: a run stores no texts."""
        again = await self._forecast_again()
        if self._read_place.is_deleted:
            return
        self._read_place.clear()
        with self._read_place:
            if again is not None and again.prompt_sha256 == self._stored.values.get(
                "prompt_sha256"
            ):
                self._sections = again.sections
                trial_card.what_was_read(self._item, again.sections)
                trial_card.not_read(again)
            else:
                trial_card.what_was_read(self._item, self._item.sections)
                muted(NOT_STORED)

    async def _forecast_again(self) -> Forecast | None:
        workspace, item = self._context.workspace, self._item
        place = self._models.place_of(item.bundle)
        if place is None:
            return None
        try:
            with record_again(workspace, self._stored) as file:
                if file is None:
                    return None
                result = await forecast_service(workspace).forecast(
                    [file], client=ui.context.client.id, bundle=place
                )
        except LLM4TOPError:
            return None
        return next((i for i in result.items if i.source_sha256 == item.source_sha256), None)
