"""One trial's page: at an address of its own, with the trials before and behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.studio.components.elements import Words, things
from llm4top.studio.components.list_state import ListState
from llm4top.studio.components.model_choice import Models
from llm4top.studio.components.results import list_query
from llm4top.studio.components.service import forecast_service
from llm4top.studio.components.trial_detail import (
    identity,
    not_read,
    other_models,
    rests_on,
    trial_number,
    what_was_read,
    what_was_withheld,
)
from llm4top.studio.frame import page
from llm4top.workspace.kept_records import record_again
from llm4top.workspace.views.listing import Listing

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.forecasts import StoredForecast

NOT_KEPT = (
    "The text itself is not kept with this forecast, and the record it was made from is not on "
    "this machine any more. Forecast the record again to see it."
)


def register(context: StudioContext) -> None:
    """Join the frame as a part of the Forecast page."""

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
        await ui.context.client.connected()
        stored = await work.io_bound(context.workspace.forecasts.get, forecast_id)
        if stored is not None:
            await _Trial(context, stored, state).show()


class _Trial:
    """The page of one visitor."""

    def __init__(self, context: StudioContext, stored: StoredForecast, state: ListState):
        self._context = context
        self._stored = stored
        self._item = Forecast.from_dict(stored.values, id=stored.id)
        self._models = Models.of(context.workspace)
        # A bare address knows its batch all the same.
        run = stored.run_id or ""
        self._state = state if state.id else ListState(batch="" if run else stored.batch, run=run)

    async def show(self) -> None:
        item = self._item
        manifest = await work.io_bound(self._models.manifest_of, item.bundle)
        self._way = ui.element("div").classes("l4-actions l4-noprint")
        with self._way:
            ui.link("← All forecasts", self._state.address + f"#t-{item.id}").classes("l4-back")
        with ui.element("article").classes("l4-detail"):
            trial_number(item, manifest)
            others = ui.element("div")
            self._read_place = ui.element("div").classes("l4-stack")
            with self._read_place:
                if any(part.text for part in item.sections):
                    what_was_read(item, item.sections)
                    not_read(item)
                else:
                    Words("p", "Reading the record again …").props('role="status"')
            what_was_withheld(item)
            rests_on(manifest, item.phase)
            identity(item)
        ui.run_javascript("document.getElementById('trial-title')?.focus()")
        await self._neighbours(others)
        if not any(part.text for part in item.sections):
            await self._read_again()

    async def _neighbours(self, place: ui.element) -> None:
        """The trials before and behind this one in its list, and what other models said of it."""
        names = self._models.names_by_identity

        def look() -> tuple[list[Forecast], list[Forecast]]:
            listing = Listing.read(self._context.workspace, self._stored.batch)
            bundle = self._item.bundle
            shown = listing.shown(replace(list_query(self._state), model=bundle))
            return shown, listing.others(self._item)

        try:
            found = await work.io_bound(look)
        except LLM4TOPError:  # deleted in another tab meanwhile: the trial is shown already
            return
        if found is None or self._way.is_deleted:
            return
        shown, others = found
        ids = [item.id for item in shown]
        with self._way:
            if self._item.id in ids:
                at = ids.index(self._item.id)
                said = f"{at + 1} of {len(ids)}"
                if at > 0:
                    ui.link("Previous", self._state.trial(ids[at - 1])).props('rel="prev"')
                Words("span", said).classes("l4-muted l4-small")
                if at + 1 < len(ids):
                    ui.link("Next", self._state.trial(ids[at + 1])).props('rel="next"')
            ui.button("Print", icon="print").props("flat no-caps").on(
                "click", js_handler="() => window.print()"
            )
        alike = sum(item.probability == self._item.probability for item in shown)
        with place:
            if alike > 1:
                said = f"{things(alike - 1, 'other trial')} in this list have the same chance."
                Words("p", said if alike > 2 else said.replace("have", "has")).classes(
                    "l4-small l4-muted"
                )
            other_models(
                [
                    (
                        names.get(other.bundle, other.bundle),
                        other,
                        self._state.trial(other.id),
                    )
                    for other in others
                ]
            )

    async def _read_again(self) -> None:
        """Write the prompt once more, from the record that is kept; a run keeps no texts."""
        again = await self._forecast_again()
        if self._read_place.is_deleted:
            return
        self._read_place.clear()
        with self._read_place:
            if again is not None and again.prompt_sha256 == self._stored.values.get(
                "prompt_sha256"
            ):
                what_was_read(self._item, again.sections)
                not_read(again)
            else:
                what_was_read(self._item, self._item.sections)
                Words("p", NOT_KEPT).classes("l4-small l4-muted")

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
