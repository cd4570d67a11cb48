"""The index of precedents on the page of a data set: what it holds, building it, deleting it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components import elements
from llm4top.studio.components.run_panel import queue_run, watch_run
from llm4top.studio.context import StudioContext
from llm4top.studio.jobs import ACTIVE
from llm4top.text import counted, thousands
from llm4top.workspace.precedents import delete_index, index_card
from llm4top.workspace.run_states import Run

if TYPE_CHECKING:
    from llm4top.forecasters.precedents.store import IndexCard

BUILD = "Build precedents"
COMPARED = {"embedded": "Words and the embedded model", "": "Words alone, which is faster"}


class PrecedentsIndex:
    """The section of one data set's page; ``name`` gives the data set's present name."""

    def __init__(self, context: StudioContext, dataset_id: str, name: Callable[[], str]):
        self._context = context
        self._who = context.who()
        self._id = dataset_id
        self._name = name
        self._model = "embedded"
        self._card: IndexCard | None = None
        with elements.section("Precedents"):
            elements.Words(
                "p",
                "The page of a forecast shows the earlier trials that are most like it, and how "
                "they ended. They come from an index, one for this machine.",
            )
            self._place = ui.element("div").classes("l4-stack")

    async def show(self) -> None:
        """Show the index that is there, or the run that builds one."""
        found = await elements.in_thread(self._look)
        if found is None or self._place.is_deleted:
            return
        self._card, building = found
        self._place.clear()
        with self._place:
            if building is not None:
                self._watch(building)
                return
            if self._card is None:
                elements.muted("There is no index yet.")
            else:
                elements.facts(facts_of(self._card))
            with ui.element("div").classes("l4-controls"):
                elements.choice("Compare by", COMPARED, self._model, self._choose)
                ui.button(BUILD, on_click=self._build).props("outline no-caps").classes("l4-start")
                if self._card is not None:
                    ui.button("Delete the index", on_click=self._delete).props("flat no-caps")
            elements.muted(
                "Trials without a completion date are left out, since nobody can tell whether they "
                "ended before another began, and so is the test split."
            )

    def _look(self) -> tuple[IndexCard | None, Run | None]:
        workspace = self._context.workspace
        runs = workspace.runs.list(kind="precedents", states=ACTIVE, limit=1)
        return index_card(workspace), runs[0] if runs else None

    def _choose(self, model: str) -> None:
        self._model = model

    def _watch(self, run: Run) -> None:
        async def built(_run: Run) -> None:
            await self.show()

        watch_run(self._context, run, built, home=f"/data/{self._id}")

    async def _build(self) -> None:
        if self._card is not None:
            held = f"It holds {counted(self._card.trials, 'trial')} of {self._card.data.name}."
            if not await elements.confirm("Replace the index?", held, yes="Replace"):
                return
        settings = {"dataset": self._id, "model": self._model or None, "overwrite": True}
        title = f"Precedents from {self._name()}"
        try:
            run = await elements.in_thread(
                queue_run, self._context.workspace, "precedents", settings, title, self._who
            )
        except LLM4TOPError as error:
            elements.warn(error)
            return
        if run is None:
            return
        self._context.jobs.refresh()
        self._place.clear()
        with self._place:
            self._watch(run)

    async def _delete(self) -> None:
        if await elements.confirm("Delete the index?", "Trials and forecasts stay."):
            await elements.in_thread(delete_index, self._context.workspace, self._who)
            await self.show()


def facts_of(card: IndexCard) -> list[tuple[str, str]]:
    """What an index holds, in words."""
    labels = ", ".join(f"{label} {thousands(n)}" for label, n in card.counts.items())
    left_out = "; ".join(f"{thousands(n)} {reason}" for reason, n in card.left_out.items())
    model = f" and the language model of {card.model_identity}" if card.model_identity else ""
    return [
        ("Trials", f"{thousands(card.trials)}, completed between {card.first} and {card.last}"),
        ("Built from", f"{card.data.name}, on {card.created}"),
        ("Question", str(card.task["question"])),
        ("Outcomes", labels),
        ("Compared by", f"words{model}"),
        ("Left out", left_out or "none"),
    ]
