"""Earlier trials like one, on its page: looked for when the visitor asks."""

from functools import partial
from typing import Any

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.elements import (
    Cell,
    Words,
    copy_button,
    error_box,
    folded,
    in_thread,
    muted,
    section,
    table,
)
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.workspace.ask import ask_about
from llm4top.workspace.forecasts import StoredForecast
from llm4top.workspace.precedents import index_card, index_folder
from llm4top.workspace.trial_report import keep_precedents, kept_precedents
from llm4top.workspace.views.precedents import (
    cells_of,
    columns_of,
    considered,
    differences_of,
    no_cause,
    share_sentences,
)

BUILD = "llm4top precedents build DATASET_OR_RECORDS"


def earlier_trials(context: StudioContext, stored: StoredForecast) -> None:
    """The section: what was found before, or a button that looks for it."""
    with section("Earlier trials like this one"):
        place = ui.element("div").classes("l4-stack l4-precedents")

    async def find() -> None:
        await _show(context, stored, place)

    with place:
        if (kept := kept_precedents(stored)) is not None:
            _draw(*kept)
            again = ui.button("Find earlier trials again", on_click=find)
            again.props("flat no-caps").classes("l4-start l4-noprint")
            return
        muted("Trials with known outcome that were completed before this one's start.")
        button = ui.button("Find earlier trials", on_click=find)
        button.props("outline no-caps").classes("l4-start l4-noprint")


async def _show(context: StudioContext, stored: StoredForecast, place: ui.element) -> None:
    client = ui.context.client.id
    place.clear()
    with place:
        Words("p", "Looking for earlier trials …").props('role="status"')
    card = await in_thread(index_card, context.workspace)
    found: dict[str, Any] | None = None
    fault: LLM4TOPError | None = None
    if card is not None:
        try:
            found = await ask_about(
                context.workspace,
                forecast_service(context.workspace),
                stored,
                "precedents",
                {"folder": str(index_folder(context.workspace)), "k": 10},
                client=client,
            )
        except LLM4TOPError as error:
            fault = error
        else:
            terms = card.data.terms
            await in_thread(keep_precedents, context.workspace, stored.id, found, terms)
    if place.is_deleted:
        return
    place.clear()
    with place:
        if card is not None and found is not None:
            _draw(found, card.data.terms)
        elif fault is not None:
            error_box(fault)
        else:
            _how_to_build()


def _how_to_build() -> None:
    with ui.element("div").classes("l4-box").props('role="status"'):
        Words("p", "There is no index of earlier trials on this machine yet.")
        muted(
            "LLM4TOP ships none, because most labelled trials may not be passed on. Build one with "
            "“Build precedents” on the page of a data set, or from TOP's folder or any registry "
            "records with a command:"
        )
        with ui.element("div").classes("l4-identity"):
            Words("code", BUILD)
            copy_button(BUILD, "Copy the command")
        ui.link("Data sets", "/data")


def _draw(found: dict[str, Any], terms: tuple[str, ...]) -> None:
    muted(considered(found)).props('role="status"')
    for note in found["notes"]:
        Words("p", note).classes("l4-small")
    for sentence in share_sentences(found):
        Words("p", sentence)
    if not found["neighbours"]:
        return
    columns = columns_of(found)
    rows: list[list[Cell]] = [
        [partial(_trial, item), *cells_of(item, columns)] for item in found["neighbours"]
    ]
    table(columns, rows, label="Earlier trials like this one")
    muted(no_cause(found))
    for line in terms:
        muted(line)


def _trial(item: dict[str, Any]) -> None:
    """Title and id of a neighbour; the registry's address as text, what differs folded."""
    Words("div", f"{item['rank']}. {item['title']}")
    muted(item["link"], "div")
    differences = differences_of(item)
    if not differences:
        muted("The compared fields are the same.", "div")
        return
    with folded(f"What differs ({len(differences)})"), ui.element("ul"):
        for difference in differences:
            Words("li", difference)
