"""Earlier trials like one, on its page: looked for when the visitor asks."""

from typing import TYPE_CHECKING, Any

from nicegui import ui

from llm4top.errors import BundleError, LLM4TOPError
from llm4top.studio.components.elements import (
    PRIMARY,
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
from llm4top.text import counted, interval, percent, thousands
from llm4top.workspace.ask import ask_about
from llm4top.workspace.forecasts import StoredForecast

if TYPE_CHECKING:
    from llm4top.forecasters.precedents.store import IndexCard

BUILD = "llm4top precedents build DATASET_OR_RECORDS"
COLUMNS = ("Trial", "Phase", "Outcome", "Completed", "Alike by words", "Alike by the model")


def earlier_trials(context: StudioContext, stored: StoredForecast) -> None:
    """The section; nothing is looked for before its button is pressed."""
    with section("Earlier trials like this one"):
        place = ui.element("div").classes("l4-stack l4-precedents")
        with place:
            muted("Trials with known outcome that were completed before this one's start.")

            async def find() -> None:
                await _show(context, stored, place)

            ui.button("Find earlier trials", on_click=find).props(PRIMARY)


async def _show(context: StudioContext, stored: StoredForecast, place: ui.element) -> None:
    client = ui.context.client.id
    place.clear()
    with place:
        Words("p", "Looking for earlier trials …").props('role="status"')
    card = await in_thread(_card, context)
    found: dict[str, Any] | None = None
    fault: LLM4TOPError | None = None
    if card is not None:
        try:
            found = await ask_about(
                context.workspace,
                forecast_service(context.workspace),
                stored,
                "precedents",
                {"folder": str(context.workspace.folder / "precedents"), "k": 10},
                client=client,
            )
        except LLM4TOPError as error:
            fault = error
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


def _card(context: StudioContext) -> "IndexCard | None":
    """The card of the workspace's index; None where there is none that can be read."""
    from llm4top.forecasters.precedents.store import read_card

    try:
        return read_card(context.workspace.folder / "precedents")
    except BundleError:
        return None


def _how_to_build() -> None:
    with ui.element("div").classes("l4-box").props('role="status"'):
        Words("p", "There is no index of earlier trials on this machine yet.")
        muted(
            "LLM4TOP ships none, because most labelled trials may not be passed on. Build one from "
            "a data set, from TOP's folder or from any registry records:"
        )
        with ui.element("div").classes("l4-identity"):
            Words("code", BUILD)
            copy_button(BUILD, "Copy the command")


def _draw(found: dict[str, Any], terms: tuple[str, ...]) -> None:
    what = {"given": "that day", "today": "today"}.get(found["before_is"], found["before_is"])
    earlier = counted(found["earlier"], "trial of the index was", "trials of the index were")
    muted(
        f"{earlier} completed before {found['before']} ({what}); {thousands(found['later'])} later "
        "ones were not considered."
    ).props('role="status"')
    for note in found["notes"]:
        Words("p", note).classes("l4-small")
    for share in _shown(found["shares"]):
        Words("p", _sentence(share, found))
    if not found["neighbours"]:
        return
    rows = [
        (
            lambda item=item: _trial(item),
            item["phase"] or "not stated",
            item["outcome"],
            item["completion_date"],
            f"{item['words']:.2f}",
            "" if item["model"] is None else f"{item['model']:.2f}",
        )
        for item in found["neighbours"]
    ]
    table(COLUMNS, rows, label="Earlier trials like this one")
    muted(
        "Similarity is no cause: this is what became of similar trials, not what will become of "
        f"this one. Index {found['index']}, question {found['task']}."
    )
    for line in terms:
        muted(line)


def _shown(shares: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a yes-no question the yes, of others every label."""
    return shares[1:] if len(shares) == 2 else shares


def _sentence(share: dict[str, Any], found: dict[str, Any]) -> str:
    phase = "all phases" if found["base_phase"] in (None, "all") else found["base_phase"]
    return (
        f"{share['count']} of the {found['n']} most alike ended with {share['label']}: "
        f"{percent(share['share'])} (95\u00a0% interval {interval(share['lower'], share['upper'])})"
        f". Base rate: {percent(share['base_rate'])} of "
        f"{counted(found['base_n'], 'earlier trial')}, {phase}."
    )


def _trial(item: dict[str, Any]) -> None:
    """Title and id of a neighbour; the registry's address as text, what differs folded."""
    Words("div", f"{item['rank']}. {item['title']}")
    muted(item["link"], "div")
    if not item["differences"]:
        muted("The compared fields are the same.", "div")
        return
    with folded(f"What differs ({len(item['differences'])})"), ui.element("ul"):
        for difference in item["differences"]:
            Words("li", _difference(difference))


def _difference(values: dict[str, Any]) -> str:
    from llm4top.forecasters.precedents.differences import Difference
    from llm4top.forecasters.precedents.found import in_words

    sides = {name: tuple(values[name]) for name in ("here", "there", "shared")}
    return in_words(Difference(values["field"], values["heading"], **sides))
