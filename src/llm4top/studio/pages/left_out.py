"""A record that the question does not apply to: what it is, and what a model would have read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.studio.components.elements import Words, heading, section, things, titled_table
from llm4top.studio.components.list_state import ListState
from llm4top.studio.components.trial_detail import plain_field
from llm4top.studio.frame import page

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.serving.parsing import Refusal


def register(context: StudioContext) -> None:
    """Join the frame as a part of the Forecast page."""

    @page(
        context,
        "/not-forecast/{row_id}",
        "Not forecast",
        where="nowhere",
        section="/",
        exists=context.workspace.batches.one_left_out,
    )
    async def left_out(row_id: str) -> None:
        await ui.context.client.connected()
        workspace = context.workspace
        found = await work.io_bound(workspace.batches.one_left_out, row_id)
        if found is None:
            return
        batch_id, refusal = found
        batch = await work.io_bound(workspace.batches.get, batch_id)
        if batch is None:
            return
        run = batch.run_id or ""
        with ui.element("div").classes("l4-actions l4-noprint"):
            back = ListState(batch="" if run else batch.id, run=run).address
            ui.link("← All forecasts", back).classes("l4-back")
        _show(refusal)


def _show(refusal: Refusal) -> None:
    subject = refusal.subject or {}
    with ui.element("article").classes("l4-detail"):
        heading(str(subject.get("title") or refusal.record))
        known = (subject.get("nct_id"), subject.get("study_type"), refusal.record)
        Words("p", " · ".join(str(part) for part in known if part)).classes("l4-muted")
        with ui.element("div").classes("l4-box"):
            reason = refusal.reason[:1].upper() + refusal.reason[1:].rstrip(".")
            Words("div", "Not forecast").classes("l4-what")
            Words("div", f"{reason}.")
        if subject.get("sections"):
            with section("What was read of the record"):
                for part in subject["sections"]:
                    with ui.element("details").classes("l4-read"):
                        Words("summary", part["heading"])
                        Words("pre", part["text"])
        if subject.get("withheld"):
            rows = [
                (plain_field(t["field"]), t["reason"], t["excerpt"]) for t in subject["withheld"]
            ]
            with (
                section("What would be hidden from a model"),
                ui.element("details").classes("l4-fold-box"),
            ):
                Words("summary", f"{things(len(rows), 'field')} with the reason for each")
                titled_table(("Field", "Why", "Excerpt"), rows, label="Hidden from a model")
