"""The page that edits a copy of a trial's record and shows how its forecast moves."""

import asyncio
import json
from functools import partial
from typing import Any

from nicegui import background_tasks, ui

from llm4top.errors import EditError, LLM4TOPError
from llm4top.forecasters.forecast import as_record
from llm4top.forecasters.forecast_format import Forecast
from llm4top.forecasters.variants import ASSOCIATIONS, NOISE, rows_of
from llm4top.forecasters.what_if import MOST_VARIANTS, ORIGINAL, sweepable_fields
from llm4top.registry.edits import Edit, apply_edits
from llm4top.registry.trial import Trial
from llm4top.studio.components import elements, reasons
from llm4top.studio.components.new_name import new_name
from llm4top.studio.components.what_if_form import WhatIfForm
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.studio.frame import page
from llm4top.text import DISCLAIMER, csv_text
from llm4top.workspace.ask import ask_about, place_of
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.reasons import SAMPLES
from llm4top.workspace.trial_report import keep_comparison, kept_comparison
from llm4top.workspace.views.portfolio import name_of
from llm4top.workspace.views.what_if import (
    COLUMNS,
    History,
    chance_of,
    interval_of,
    sweep_chart,
    variant_cells,
)

KEYS = "Outside a text field Ctrl+Z (⌘Z) undoes, with Shift it does again."


def register(context: StudioContext) -> None:
    """Add the page that a trial's page links to."""

    @page(context, "/what-if", "What if", where="nowhere", section="/")
    async def what_if(forecast: str = "") -> None:
        await elements.connected()
        if not forecast:
            elements.empty("Choose a trial first.", "To the forecasts", "/")
            return
        stored = await elements.in_thread(context.workspace.forecasts.get, forecast)
        if stored is not None:
            await _WhatIf(context, stored).show()


class _WhatIf:
    """The page of one visitor."""

    def __init__(self, context: StudioContext, stored: StoredForecast):
        self._context = context
        self._stored = stored
        self._item = Forecast.from_dict(stored.values, id=stored.id)
        self._history = History()
        self._kept: list[dict[str, Any]] = list((kept_comparison(stored) or {}).get("variants", ()))
        self._asked = 0
        self._asking: asyncio.Task[Any] | None = None
        self._explained: asyncio.Task[Any] | None = None
        self._client = ui.context.client.id

    async def show(self) -> None:
        item = self._item
        with ui.element("div").classes("l4-actions l4-noprint"):
            ui.link("← The trial", f"/trials/{item.id}").classes("l4-back")
        elements.heading(name_of(item))
        elements.Words("p", ASSOCIATIONS).classes("l4-box")
        waiting = elements.Words("p", "Reading the record again …").props('role="status"')
        try:
            answer = await self._ask(variants=[])
        finally:
            if not waiting.is_deleted:
                waiting.set_visibility(False)
        if waiting.is_deleted:
            return
        self._trial = Trial.from_dict(answer["trial"])
        self._original = self._shown = answer["original"]
        with ui.element("div").classes("l4-what-if"):
            with ui.element("aside").classes("l4-what-if-result") as place:
                place.props["aria-label"] = "Forecast of the edited record"
                self._result = ui.element("div").props('role="status" aria-live="polite"')
                self._buttons()
            self._form = WhatIfForm(answer["reads"], self._edit)
        self._reasons_section()
        self._variants = elements.section("Variants side by side")
        self._sweep_section()
        elements.muted(f"{NOISE} {DISCLAIMER}")
        self._form.draw(self._trial)
        self._draw()

    def _buttons(self) -> None:
        with ui.element("div").classes("l4-actions l4-noprint"):
            flat = "flat dense no-caps"
            self._undo = ui.button("Undo", icon="undo", on_click=self._go_back).props(flat)
            self._redo = ui.button("Redo", icon="redo", on_click=self._go_forward).props(flat)
            self._undo.props('data-l4-key="undo" aria-keyshortcuts="Control+Z Meta+Z"')
            self._redo.props('data-l4-key="redo" aria-keyshortcuts="Control+Shift+Z Meta+Shift+Z"')
            self._again = ui.button("Start over", on_click=self._start_over).props(flat)
            self._keep = ui.button("Keep as variant", on_click=self._keep_variant)
            self._keep.props(elements.PRIMARY)
        elements.muted(KEYS).classes("l4-keys l4-noprint")

    async def _ask(self, **arguments: Any) -> dict[str, Any]:
        """Ask the process that holds the models about the record."""
        arguments["base_rate"] = self._stored.values.get("adapted_to")
        workspace = self._context.workspace
        service = forecast_service(workspace)
        return await ask_about(
            workspace, service, self._stored, "what-if", arguments, client=self._client
        )

    # ------------------------------------------------------------------------- edits

    def _edit(self, edit: Edit) -> str | None:
        """Make an edit and ask for its forecast; what is wrong with it where it cannot be made."""
        try:
            trial = apply_edits(self._trial, (*self._history.edits, edit)).trial
        except EditError as error:
            return f"{error.message} {error.hint or ''}".strip()
        self._history.add(edit)
        self._form.changed(trial, edit.field)
        self._renew()
        return None

    def _go_back(self) -> None:
        self._history.undo()
        self._redraw()

    def _go_forward(self) -> None:
        self._history.redo()
        self._redraw()

    def _start_over(self) -> None:
        self._history.replace(())
        self._redraw()

    def _redraw(self) -> None:
        """The form anew, as the edits have it."""
        self._form.draw(apply_edits(self._trial, self._history.edits).trial)
        self._renew()

    def _renew(self) -> None:
        """Ask for the forecast of the edits; a request for earlier ones is withdrawn."""
        self._asked += 1
        if self._asking is not None:
            self._asking.cancel()
        self._asking = background_tasks.create(self._forecast(self._asked), name="what-if")
        self._enable()

    async def _forecast(self, number: int) -> None:
        edits = [edit.to_dict() for edit in self._history.edits]
        try:
            answer = await self._ask(variants=[{"name": "edited", "edits": edits}] if edits else [])
        except LLM4TOPError as error:
            if number == self._asked and not self._result.is_deleted:
                self._result.clear()
                with self._result:
                    elements.error_box(error)
            return
        if number != self._asked or self._result.is_deleted:
            return
        self._shown = answer["variants"][0] if edits else answer["original"]
        self._draw()
        if self._explained is not None:
            self._explain()

    # ----------------------------------------------------------------------- results

    def _draw(self) -> None:
        self._draw_result()
        self._draw_variants()
        self._enable()

    def _enable(self) -> None:
        self._undo.set_enabled(self._history.can_undo)
        self._redo.set_enabled(self._history.can_redo)
        self._again.set_enabled(bool(self._history.edits))
        # Only what has been forecast can be kept.
        shown = self._shown["edits"] == [edit.to_dict() for edit in self._history.edits]
        some = bool(self._history.edits) and len(self._kept) < MOST_VARIANTS
        self._keep.set_enabled(shown and some)

    def _draw_result(self) -> None:
        shown = self._shown
        self._result.clear()
        with self._result:
            with ui.element("p").classes("l4-chance l4-large"):
                elements.Words("strong", chance_of(shown))
                if bounds := interval_of(shown):
                    elements.Words("span", f"95\u00a0% interval {bounds}").classes("l4-muted")
            if self._history.edits:
                elements.Words("p", shown["words"])
                elements.muted(f"As registered: {chance_of(self._original)}")
            else:
                elements.muted("As registered. Edit a field to see the forecast move.")

    def _comparison(self) -> dict[str, Any]:
        """What is exported: the record, the kept variants, and the edits that are not kept."""
        shown = list(self._kept)
        if self._history.edits and self._shown["edits"] not in [one["edits"] for one in shown]:
            shown.append(self._shown)
        return self._compared(shown)

    def _compared(self, variants: list[dict[str, Any]]) -> dict[str, Any]:
        notes = {"notes": [ASSOCIATIONS, NOISE], "disclaimer": DISCLAIMER}
        return {"original": self._original, "variants": variants, "sweep": None, **notes}

    def _draw_variants(self) -> None:
        self._variants.clear()
        shown = self._comparison()
        with self._variants:
            elements.heading("Variants side by side")
            rows: list[list[elements.Cell]] = [
                [*variant_cells(one), ""] for one in (shown["original"], *shown["variants"])
            ]
            for row, kept in zip(rows[1:], self._kept, strict=False):
                row[-1] = partial(self._row_buttons, kept)
            elements.table((*COLUMNS, ""), rows, label="Variants", kind="l4-variants")
            if len(self._kept) == MOST_VARIANTS:
                elements.muted(f"{MOST_VARIANTS} are the most. Remove one to keep another.")
            _downloads(shown, "what-if")

    def _row_buttons(self, kept: dict[str, Any]) -> None:
        opened = ui.button("Open", on_click=lambda: self._open(kept)).props("flat dense no-caps")
        opened.props["aria-label"] = f"Open {kept['name']}"
        named = ui.button("Rename", on_click=lambda: self._rename(kept))
        named.props("flat dense no-caps").props["aria-label"] = f"Rename {kept['name']}"
        gone = ui.button("Remove", on_click=lambda: self._remove(kept)).props("flat dense no-caps")
        gone.props["aria-label"] = f"Remove {kept['name']}"

    async def _keep_variant(self) -> None:
        if self._shown["edits"] == [edit.to_dict() for edit in self._history.edits]:
            used = {one["name"] for one in self._kept}
            numbers = range(1, MOST_VARIANTS + 2)
            name = next(f"Variant {n}" for n in numbers if f"Variant {n}" not in used)
            self._kept.append({**self._shown, "name": name})
            await self._kept_changed()

    def _open(self, kept: dict[str, Any]) -> None:
        self._history.replace([Edit.from_dict(edit) for edit in kept["edits"]])
        self._redraw()

    async def _rename(self, kept: dict[str, Any]) -> None:
        others = [ORIGINAL, *(one["name"] for one in self._kept if one is not kept)]
        given = await new_name(f"Rename {kept['name']}", kept["name"], others)
        if given is not None:
            kept["name"] = given
            await self._kept_changed()

    async def _remove(self, kept: dict[str, Any]) -> None:
        self._kept.remove(kept)
        await self._kept_changed()

    async def _kept_changed(self) -> None:
        """Show the kept variants, and keep them with the forecast for its page and its report."""
        self._draw()
        shown = self._compared(self._kept)
        await elements.in_thread(keep_comparison, self._context.workspace, self._item.id, shown)

    # ----------------------------------------------------------------------- reasons

    def _reasons_section(self) -> None:
        with elements.section("What moves the chance of the edited record"):
            self._reasons = ui.element("div").classes("l4-stack")
        with self._reasons:
            elements.muted("Takes a few seconds. Once shown, it follows each edit.")
            button = ui.button("Show what moves the chance", on_click=self._explain)
            button.props("outline no-caps").classes("l4-start l4-noprint")

    def _explain(self) -> None:
        """Explain the edits' forecast; an explanation that is under way is withdrawn."""
        if self._explained is not None:
            self._explained.cancel()
        self._explained = background_tasks.create(self._show_reasons(), name="what-if reasons")

    async def _show_reasons(self) -> None:
        workspace = self._context.workspace
        self._reasons.clear()
        with self._reasons:
            elements.Words("p", "Forecasting copies of the record …").props('role="status"')
        record = as_record(apply_edits(self._trial, self._history.edits).trial, 1)
        arguments = {"base_rate": self._stored.values.get("adapted_to"), "samples": SAMPLES}
        try:
            answer = await forecast_service(workspace).ask(
                "explain",
                record,
                arguments,
                client=self._client,
                bundle=place_of(workspace, self._stored.bundle),
            )
        except LLM4TOPError as error:
            draw = partial(elements.error_box, error)
        else:
            draw = partial(reasons.explanation, answer)
        if not self._reasons.is_deleted:
            self._reasons.clear()
            with self._reasons:
                draw()

    # ------------------------------------------------------------------------- sweep

    def _sweep_section(self) -> None:
        fields = {field.name: field.heading for field in sweepable_fields()}
        with elements.section("Sweep over one field"):
            elements.muted("The edited record with each value of one field, all else as it is.")
            with ui.element("div").classes("l4-actions l4-noprint"):
                chosen = ui.select(fields, value="phase", label="Field")
                chosen.props("outlined dense options-dense").classes("l4-choice")
                button = ui.button("Sweep").props("flat no-caps")
            place = ui.element("div").classes("l4-stack")

        async def sweep() -> None:
            name = str(chosen.value)
            edits = [edit.to_dict() for edit in self._history.edits]
            try:
                answer = await self._ask(sweep=name, edits=edits)
            except LLM4TOPError as error:
                elements.warn(error)
                return
            if place.is_deleted:
                return
            place.clear()
            with place:
                elements.drawing(sweep_chart(answer, fields[name]))
                with elements.folded("As a table"):
                    rows = [variant_cells(one) for one in (answer["original"], *answer["variants"])]
                    elements.table(
                        COLUMNS,
                        rows,
                        label=f"Sweep over {fields[name].lower()}",
                        kind="l4-variants",
                    )
                _downloads(answer, f"sweep-{name}")

        button.on_click(sweep)


def _downloads(shown: dict[str, Any], name: str) -> None:
    """Buttons that download a comparison as CSV and as JSON."""
    with ui.element("div").classes("l4-actions l4-noprint"):
        table = csv_text(rows_of(shown)).encode()
        elements.download_button("CSV", lambda: table, f"{name}.csv")
        text = json.dumps(shown, indent=2, ensure_ascii=False)
        ui.button(
            "JSON",
            icon="download",
            on_click=lambda: ui.download.content(text, f"{name}.json", "application/json"),
        ).props("flat dense no-caps")
