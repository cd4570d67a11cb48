"""What moves the chance of a trial: computed when a visitor asks, then kept with the forecast."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.forecasters.reasons.explanation import ASSOCIATIONS, Explanation, PartFeatures
from llm4top.forecasters.reasons.pieces import HEADINGS
from llm4top.progress import Progress
from llm4top.studio.components import elements
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.reasons import kept_reasons, reasons_of
from llm4top.workspace.views.reasons import (
    ReasonRow,
    feature_table,
    reason_rows,
    way_to_the_chance,
)

_STAGES = {"waiting": "Waiting for its turn …", "reading": "Reading the record …"}
_WORKING = "Forecasting copies of the record …"


def what_moves(context: StudioContext, stored: StoredForecast) -> None:
    """A section with the reasons where they are kept, else with a button that computes them."""
    with elements.section("What moves the chance"):
        place = ui.element("div").classes("l4-stack")
    kept = kept_reasons(stored)
    if kept is not None:
        with place:
            explanation(kept)
        return

    # Asked now: the button that starts the work is gone while it is done.
    client = ui.context.client.id

    async def compute() -> None:
        place.clear()
        with place:
            status = elements.Words("p", _STAGES["waiting"]).props('role="status"')

        def tell(progress: Progress) -> None:
            if not status.is_deleted:
                status.text = _STAGES.get(progress.stage, _WORKING)

        try:
            answer = await reasons_of(
                context.workspace,
                forecast_service(context.workspace),
                stored,
                client=client,
                on_progress=tell,
            )
        except LLM4TOPError as error:
            if not place.is_deleted:
                place.clear()
                with place:
                    elements.error_box(error)
            return
        if not place.is_deleted:
            place.clear()
            with place:
                explanation(answer)

    with place, ui.element("div").classes("l4-stack l4-noprint"):
        elements.muted(
            "See which sections and sentences of the record move this chance, and how far. It "
            "takes a few seconds."
        )
        button = ui.button("Show what moves the chance", on_click=compute)
        button.props("outline no-caps").classes("l4-start")


def explanation(values: Mapping[str, Any]) -> None:
    """Draw an explanation, given as ``Explanation.to_dict`` writes it."""
    made = Explanation.from_dict(values)
    elements.heading("By section", level=3)
    _bars(reason_rows(made, made.sections))
    with elements.folded("From the empty record to this chance"):
        for line in way_to_the_chance(made):
            elements.muted(line)
    if made.pieces_of is not None:
        elements.heading(f"Within “{HEADINGS[made.pieces_of]}”", level=3)
        _bars(reason_rows(made, made.pieces))
    if made.parts:
        with elements.folded("By feature of the linear and tree parts"):
            for part in made.parts:
                _features(part)
    elements.muted(ASSOCIATIONS)


def _bars(rows: Sequence[ReasonRow]) -> None:
    with ui.element("ul").classes("l4-reasons"):
        for row in rows:
            with ui.element("li"):
                elements.Words("span", row.name).classes("l4-reason-name")
                ui.html(row.drawing, sanitize=False)
                elements.muted(row.words, "span")


def _features(part: PartFeatures) -> None:
    columns, rows = feature_table(part)
    elements.heading(part.part, level=4)
    elements.table(columns, rows, label=f"Features of {part.part}")
