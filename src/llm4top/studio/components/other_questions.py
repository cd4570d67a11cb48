"""The section "Other questions" of a trial's page: asked when a person wants to know."""

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.forecasters.bundles.paths import embedded_names, question_name
from llm4top.forecasters.forecast_format import Forecast
from llm4top.studio.components import elements
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.kept_records import record_again
from llm4top.workspace.trial_report import keep_answers, kept_answers
from llm4top.workspace.views.other_questions import Answer, answer_of

NO_RECORD = "The record is no longer on this machine. Forecast it again to ask other questions."


def other_questions(context: StudioContext, stored: StoredForecast) -> None:
    """Add the section: the answers of earlier, or a button that asks."""
    task = str(stored.values.get("task"))
    others = [name for name in embedded_names() if name != question_name(task)]
    if not others:
        return
    kept = kept_answers(stored)
    with elements.folded("Other questions") as fold:
        elements.muted(
            "The embedded models answer other questions about the same record, each by itself. "
            "They may contradict each other. Their cards say how good they are."
        )
        place = ui.element("div").classes("l4-stack").props('role="status"')

        async def ask() -> None:
            button.disable()
            place.clear()
            with place:
                elements.Words("p", "Asking …")
            found, fault = await _answers(context, stored, others)
            if place.is_deleted:
                return
            place.clear()
            with place:
                if found:
                    await elements.in_thread(keep_answers, context.workspace, stored.id, found)
                    _table(found)
                if fault:
                    elements.muted(fault)
            button.enable()

        button = ui.button("Ask the other questions", on_click=ask).props("outline no-caps")
        button.classes("l4-noprint l4-again")
        if kept:
            fold.props("open")
            button.set_text("Ask the other questions again")
            with place:
                _table(kept)


async def _answers(
    context: StudioContext, stored: StoredForecast, bundles: list[str]
) -> tuple[list[Answer], str]:
    """The answers, and a sentence on what could not be answered."""
    found: list[Answer] = []
    try:
        with record_again(context.workspace, stored) as file:
            if file is None:
                return [], NO_RECORD
            for bundle in bundles:
                result = await forecast_service(context.workspace).forecast(
                    [file], client=ui.context.client.id, bundle=bundle
                )
                one = _same(result.items, stored)
                if one is not None:
                    facts = context.workspace.bundles.get(bundle).facts
                    found.append(answer_of(one, bundle, facts))
    except LLM4TOPError as error:
        return found, str(error)
    return found, "" if found else "None of the other questions applies to this record."


def _same(items: tuple[Forecast, ...], stored: StoredForecast) -> Forecast | None:
    sha256 = stored.values.get("source_sha256")
    return next((item for item in items if item.source_sha256 == sha256), None)


def _table(found: list[Answer]) -> None:
    rows = [(one.question, one.answer, one.usual or "not known") for one in found]
    elements.table(("Question", "Answer", "Usual in its phase"), rows, label="Other questions")
    for one in found:
        with ui.element("p").classes("l4-muted"):
            ui.link(one.bundle, f"/models/{one.bundle}")
            elements.Words("span", f" {one.skill}")
