"""The length of the texts of a data set, and how many trials each preset would shorten."""

from functools import partial
from pathlib import Path

from nicegui import ui

from llm4top.data.card import DatasetCard
from llm4top.errors import LLM4TOPError
from llm4top.studio.components.elements import (
    Words,
    choice,
    download_button,
    drawing,
    error_box,
    heading,
    in_thread,
    section,
    table,
)
from llm4top.text import counted, interval, percent, thousands
from llm4top.workspace.datasets import StoredDataset
from llm4top.workspace.views.lengths import (
    TextLengths,
    budgets,
    highest_bar,
    lengths_chart,
    lengths_csv,
    text_lengths,
    tokenizers,
)
from llm4top.workspace.workspace import Workspace

_TEXTS = {"trial": "All text of a trial", "criteria": "Eligibility criteria"}
_ESTIMATE = ""
_ESTIMATED = "Estimate: four characters per token"


class LengthsView:
    """The section of one page; the figure appears when it has been measured, seconds later."""

    def __init__(self, workspace: Workspace, stored: StoredDataset, card: DatasetCard):
        self._workspace = workspace
        self._stored = stored
        self._counters: dict[str, tuple[str, Path]] = {}
        self._chosen = _ESTIMATE
        with section("How long the texts are"):
            self._choice = ui.element("div").classes("l4-controls")
            self._place = ui.element("div").props('role="status"')
            _characters(card)
        with self._place:
            Words("p", "Measuring the texts …")
        ui.timer(0, self._begin, once=True)

    async def _begin(self) -> None:
        self._counters = await in_thread(tokenizers, self._workspace) or {}
        if self._place.is_deleted:
            return
        named = {name: called for name, (called, _) in self._counters.items()}
        self._chosen = next(iter(named), _ESTIMATE)
        with self._choice:
            choice("Counted by", {**named, _ESTIMATE: _ESTIMATED}, self._chosen, self._choose)
        await self._measure()

    def _choose(self, name: str) -> None:
        self._chosen = name
        self._place.clear()
        with self._place:
            Words("p", "Measuring the texts …")
            ui.timer(0, self._measure, once=True)

    async def _measure(self) -> None:
        chosen = self._chosen
        try:
            found = await in_thread(self._read, chosen)
        except LLM4TOPError as error:
            self._place.clear()
            with self._place:
                error_box(error)
            return
        if found is None or self._place.is_deleted or chosen != self._chosen:
            return
        self._place.clear()
        with self._place:
            _figure(found, estimated=chosen == _ESTIMATE)

    def _read(self, name: str) -> TextLengths:
        from llm4top.tasks.task import Task

        stored = self._stored
        file = self._counters[name][1] if name in self._counters else None
        folder = self._workspace.datasets.folder(stored.id)
        return text_lengths(folder, stored.sha256, Task.from_dict(stored.card["task"]), file)


def _figure(found: TextLengths, *, estimated: bool) -> None:
    limits = budgets()
    count = len(found.tokens)
    if not count:
        return
    with ui.element("div").classes("l4-figures"):
        with ui.element("figure"):
            heading(title(found, limits, estimated=estimated), level=3)
            drawn = f", a random sample of {thousands(found.rows)}" if found.is_sample else ""
            Words(
                "figcaption",
                f"Length of each trial's prompt, in tokens. n = {thousands(count)}{drawn}. "
                f"The highest bar is {counted(highest_bar(found, limits), 'trial')}.",
            )
            drawing(lengths_chart(found, limits)).classes("l4-lengths")
            content = partial(lengths_csv, found, limits)
            download_button("Download the lengths", content, "lengths.csv")
        with ui.element("div"):
            rows = [(name.capitalize(), thousands(n), cut(found, n)) for name, n in limits.items()]
            table(
                ("Effort", "Budget in tokens", "Shortened trials"),
                rows,
                label="Trials that a budget shortens",
            )


def title(found: TextLengths, limits: dict[str, int], *, estimated: bool) -> str:
    """The title of the figure: how many trials the standard budget shortens."""
    budget = limits["standard"]
    if not found.longer(budget):
        return f"The standard budget of {thousands(budget)} tokens holds every trial"
    share = percent(found.longer(budget) / len(found.tokens))
    about = "about " if (estimated or found.is_sample) and share[0].isdigit() else ""
    words = f"{about}{share} of the trials are longer than the standard budget"
    return words[0].upper() + words[1:]


def cut(found: TextLengths, budget: int) -> str:
    """The share of trials longer than a budget, with its interval if it is from a sample."""
    share = percent(found.longer(budget) / len(found.tokens))
    bounds = found.interval(budget)
    return f"{share} ({interval(*bounds)})" if bounds else share


def _characters(card: DatasetCard) -> None:
    """Quantiles of the texts' lengths in characters, of all trials."""
    if not card.text_lengths:
        return
    names = list(next(iter(card.text_lengths.values())))
    rows = [
        (_TEXTS.get(text, text), *(thousands(found.get(name, 0)) for name in names))
        for text, found in card.text_lengths.items()
    ]
    table(("Characters", *names), rows, label="Lengths of the texts in characters")
