"""The card of a data set: labels, time line, records left out, origin, lengths, leak audit."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nicegui import ui

from llm4top.data.card import DatasetCard
from llm4top.errors import LLM4TOPError
from llm4top.studio.components import elements
from llm4top.tasks.task import Task
from llm4top.text import counted, interval, percent, thousands
from llm4top.workspace.datasets import StoredDataset
from llm4top.workspace.views import lengths
from llm4top.workspace.views.data_charts import SPLIT_COLOURS, Years, timeline_chart, timeline_csv
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
        with elements.section("How long the texts are"):
            self._choice = ui.element("div").classes("l4-controls")
            self._place = ui.element("div").props('role="status"')
            _characters(card)
        with self._place:
            elements.Words("p", "Measuring the texts …")
        ui.timer(0, self._begin, once=True)

    async def _begin(self) -> None:
        self._counters = await elements.in_thread(lengths.tokenizers, self._workspace) or {}
        if self._place.is_deleted:
            return
        named = {name: called for name, (called, _) in self._counters.items()}
        self._chosen = next(iter(named), _ESTIMATE)
        with self._choice:
            elements.choice(
                "Counted by", {**named, _ESTIMATE: _ESTIMATED}, self._chosen, self._choose
            )
        await self._measure()

    def _choose(self, name: str) -> None:
        self._chosen = name
        self._place.clear()
        with self._place:
            elements.Words("p", "Measuring the texts …")
            ui.timer(0, self._measure, once=True)

    async def _measure(self) -> None:
        chosen = self._chosen
        try:
            found = await elements.in_thread(self._read, chosen)
        except LLM4TOPError as error:
            self._place.clear()
            with self._place:
                elements.error_box(error)
            return
        if found is None or self._place.is_deleted or chosen != self._chosen:
            return
        self._place.clear()
        with self._place:
            _figure(found, estimated=chosen == _ESTIMATE)

    def _read(self, name: str) -> lengths.TextLengths:
        stored = self._stored
        file = self._counters[name][1] if name in self._counters else None
        folder = self._workspace.datasets.folder(stored.id)
        return lengths.text_lengths(
            folder, stored.sha256, Task.from_dict(stored.card["task"]), file
        )


def _figure(found: lengths.TextLengths, *, estimated: bool) -> None:
    limits = lengths.budgets()
    count = len(found.tokens)
    if not count:
        return
    with ui.element("div").classes("l4-figures"):
        with ui.element("figure"):
            elements.heading(title(found, limits, estimated=estimated), level=3)
            drawn = f", a random sample of {thousands(found.rows)}" if found.is_sample else ""
            elements.Words(
                "figcaption",
                f"Length of each trial's prompt, in tokens. n = {thousands(count)}{drawn}. "
                f"The highest bar is {counted(lengths.highest_bar(found, limits), 'trial')}.",
            )
            elements.drawing(lengths.lengths_chart(found, limits)).classes("l4-lengths")
            content = partial(lengths.lengths_csv, found, limits)
            elements.download_button("Download the lengths", content, "lengths.csv")
        with ui.element("div"):
            rows = [(name.capitalize(), thousands(n), cut(found, n)) for name, n in limits.items()]
            elements.table(
                ("Effort", "Budget in tokens", "Shortened trials"),
                rows,
                label="Trials that a budget shortens",
            )


def title(found: lengths.TextLengths, limits: dict[str, int], *, estimated: bool) -> str:
    """The title of the figure: how many trials the standard budget shortens."""
    budget = limits["standard"]
    if not found.longer(budget):
        return f"The standard budget of {thousands(budget)} tokens holds every trial"
    share = percent(found.longer(budget) / len(found.tokens))
    about = "about " if (estimated or found.is_sample) and share[0].isdigit() else ""
    words = f"{about}{share} of the trials are longer than the standard budget"
    return words[0].upper() + words[1:]


def cut(found: lengths.TextLengths, budget: int) -> str:
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
    elements.table(("Characters", *names), rows, label="Lengths of the texts in characters")


Counts = Mapping[str, int]
"""Trials by label."""


def balance(card: DatasetCard) -> None:
    """A row for each phase, a column for each split; with two labels also the share.

    More labels get a table of their own.
    """
    splits = list(card.balance)
    event = event_of(card)
    phases = {"All": card.balance, **card.balance_by_phase}
    with elements.section("Trials and labels"):
        if event is not None:
            elements.muted(f"In brackets: the share of {event}.")
        rows = {
            phase or "not given": [cell(found.get(split, {}), event) for split in splits]
            for phase, found in phases.items()
        }
        _grid(("Phase", *splits), rows, "Trials by phase and split")
        if event is None:
            names = dict.fromkeys(name for counts in card.balance.values() for name in counts)
            labels = {
                name: [cell({name: card.balance[split].get(name, 0)}, None) for split in splits]
                for name in names
            }
            _grid(("Label", *splits), labels, "Trials by label and split")


def event_of(card: DatasetCard) -> str | None:
    """The label whose share is shown: the second of two."""
    labels = card.task.get("labels")
    if isinstance(labels, list | tuple) and len(labels) == 2:
        return str(labels[1])
    return None


def cell(counts: Counts, event: str | None) -> tuple[str, str]:
    """The number of trials, and the share of ``event`` in brackets."""
    total = sum(counts.values())
    if not total:
        return "0", ""
    return thousands(total), f"({percent(counts.get(event, 0) / total)})" if event else ""


def _grid(
    columns: Sequence[str], rows: Mapping[str, Sequence[tuple[str, str]]], label: str
) -> None:
    with ui.element("table").classes("l4-counts") as shown:
        shown.props["aria-label"] = label
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                elements.Words("th", column).props('scope="col"')
        with ui.element("tbody"):
            for name, cells in rows.items():
                with ui.element("tr"):
                    elements.Words("th", name).props('scope="row"')
                    for number, share in cells:
                        with ui.element("td"):
                            elements.Words("span", number)
                            if share:
                                elements.Words("span", f" {share}").classes("l4-muted")


SOURCES = 20
"""Files that are named at most: records may come in thousands of them."""


def timeline(years: Years, undated: Mapping[str, int]) -> None:
    """Trials by start year, stacked by split; ``undated`` trials are counted by split."""
    with elements.section("When the trials started"):
        dated = sum(sum(counts.values()) for counts in years.values())
        if not dated:
            elements.Words("p", "No trial in this data set has a start date.")
            return
        with ui.element("div").classes("l4-figures"), ui.element("figure"):
            elements.heading(f"Trials by start year, {min(years)} to {max(years)}", level=3)
            elements.Words("figcaption", f"n = {thousands(dated)}.{_left_out_of_line(undated)}")
            _legend([s for s in SPLIT_COLOURS if any(s in counts for counts in years.values())])
            elements.drawing(timeline_chart(years))
            elements.download_button(
                "Download the time line", partial(timeline_csv, years), "time_line.csv"
            )


def _left_out_of_line(undated: Mapping[str, int]) -> str:
    if not undated:
        return ""
    total = sum(undated.values())
    verb = "has" if total == 1 else "have"
    parts = ", ".join(f"{thousands(undated[s])} {s}" for s in SPLIT_COLOURS if s in undated)
    return f" {counted(total, 'trial')} {verb} no start date and are not drawn: {parts}."


def _legend(splits: list[str]) -> None:
    with ui.element("div").classes("l4-legend"):
        for split in splits:
            with ui.element("span"):
                ui.element("i").style(f"background: {SPLIT_COLOURS[split]}")
                elements.Words("span", split)


def left_out(card: DatasetCard) -> None:
    """Records that were left out, by reason; the first of each are listed."""
    with elements.section("Left out"):
        if not card.dropped:
            elements.Words("p", "None: every record is in the data set.")
        for reason, count in sorted(card.dropped.items(), key=lambda pair: -pair[1]):
            named = [record.nct_id for record in card.dropped_first if record.reason == reason]
            with ui.element("details").classes("l4-read"):
                with ui.element("summary"):
                    elements.Words("span", counted(count, "record"))
                    elements.Words("span", reason)
                ids = ", ".join(named) or "They are not among the first hundred that are listed."
                more = count - len(named)
                elements.Words("p", f"{ids}, and {thousands(more)} more" if named and more else ids)
        notes = [(what, thousands(count)) for what, count in card.notes.items()]
        if notes:
            elements.table(("Changes to the remaining rows", "Rows"), notes, label="Notes")


def origin(dataset: StoredDataset, card: DatasetCard) -> None:
    """The sources and their terms."""
    with elements.section("Where it came from"):
        rows = [(source.name, thousands(source.rows)) for source in card.provenance]
        if rows:
            elements.table(("Source", "Rows"), rows[:SOURCES], label="Sources")
        if len(rows) > SOURCES:
            elements.Words("p", f"and {counted(len(rows) - SOURCES, 'more file')}.").classes(
                "l4-muted"
            )
        for words in (*card.warnings, *card.terms):
            elements.Words("p", words)
        elements.muted(f"Content hash {dataset.sha256[:16]}.")


_VERDICTS = {"pass": "passed", "warn": "check this", "fail": "leak"}


def audit_findings(report: Mapping[str, Any]) -> None:
    """The findings of a leak audit, the most serious first."""
    verdict = {
        "pass": "No leak found.",
        "warn": "No leak found, but some findings need a check.",
        "fail": "Leaks found: a model could read the outcome instead of predicting it.",
    }[report["verdict"]]
    box = ui.element("div").classes("l4-box")
    if report["verdict"] != "pass":
        box.classes("l4-warn")
    with box:
        elements.Words("div", verdict).classes("l4-what")
    order = ("fail", "warn", "pass")
    found = sorted(report["findings"], key=lambda line: order.index(line["verdict"]))
    rows = [
        (_VERDICTS[line["verdict"]], line["check"], line["field"], line["finding"])
        for line in found
    ]
    with ui.element("div").classes("l4-audit"):
        elements.table(("Result", "Check", "Field", "Finding"), rows, label="Leak audit")
