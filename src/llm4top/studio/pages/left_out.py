"""A record that the question does not apply to: what it is, and what a model would have read."""

from nicegui import ui

from llm4top.studio.components.elements import Words, connected, heading, in_thread, section
from llm4top.studio.components.list_state import ListState
from llm4top.studio.components.trial_card import hidden_fields
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.views.caveats import sentence


def register(context: StudioContext) -> None:
    """Add a page to the Forecast section."""
    batches = context.workspace.batches

    @page(
        context,
        "/not-forecast/{row_id}",
        "Not forecast",
        where="nowhere",
        section="/",
        exists=batches.one_left_out,
    )
    async def left_out(row_id: str) -> None:
        await connected()
        found = await in_thread(batches.one_left_out, row_id)
        if found is None:
            return
        batch_id, refusal = found
        batch = await in_thread(batches.get, batch_id)
        if batch is None:
            return
        with ui.element("div").classes("l4-actions l4-noprint"):
            back = ListState.of(batch.id, batch.run_id).address
            ui.link("← All forecasts", back).classes("l4-back")
        _show(refusal)


def _show(refusal: Refusal) -> None:
    subject = refusal.subject or {}
    with ui.element("article").classes("l4-detail"):
        heading(str(subject.get("title") or refusal.record))
        known = (subject.get("nct_id"), subject.get("study_type"), refusal.record)
        Words("p", " · ".join(str(part) for part in known if part)).classes("l4-muted")
        with ui.element("div").classes("l4-box"):
            Words("div", "Not forecast").classes("l4-what")
            Words("div", sentence(refusal.reason))
        if subject.get("sections"):
            with section("What was read of the record"):
                for part in subject["sections"]:
                    with ui.element("details").classes("l4-read"):
                        Words("summary", part["heading"])
                        Words("pre", part["text"])
        if subject.get("withheld"):
            with section("What would be hidden from a model"):
                hidden_fields(
                    [(w["field"], w["reason"], w["excerpt"]) for w in subject["withheld"]]
                )
