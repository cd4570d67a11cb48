"""The card of a data set: labels, time line, records left out, origin, leak audit."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from llm4top.data.card import DatasetCard
from llm4top.studio.components.elements import (
    Words,
    download_button,
    drawing,
    heading,
    muted,
    section,
    table,
)
from llm4top.text import counted, percent, thousands
from llm4top.workspace.datasets import StoredDataset
from llm4top.workspace.views.data_charts import SPLIT_COLOURS, Years, timeline_chart, timeline_csv

Counts = Mapping[str, int]
"""Trials by label."""


def balance(card: DatasetCard) -> None:
    """A row for each phase, a column for each split; with two labels also the share.

    More labels get a table of their own.
    """
    splits = list(card.balance)
    event = event_of(card)
    phases = {"All": card.balance, **card.balance_by_phase}
    with section("Trials and labels"):
        if event is not None:
            muted(f"In brackets: the share of {event}.")
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
                Words("th", column).props('scope="col"')
        with ui.element("tbody"):
            for name, cells in rows.items():
                with ui.element("tr"):
                    Words("th", name).props('scope="row"')
                    for number, share in cells:
                        with ui.element("td"):
                            Words("span", number)
                            if share:
                                Words("span", f" {share}").classes("l4-muted")


SOURCES = 20
"""Files that are named at most: records may come in thousands of them."""


def timeline(years: Years, undated: Mapping[str, int]) -> None:
    """Trials by start year, stacked by split; ``undated`` trials are counted by split."""
    with section("When the trials started"):
        dated = sum(sum(counts.values()) for counts in years.values())
        if not dated:
            Words("p", "No trial in this data set has a start date.")
            return
        with ui.element("div").classes("l4-figures"), ui.element("figure"):
            heading(f"Trials by start year, {min(years)} to {max(years)}", level=3)
            Words("figcaption", f"n = {thousands(dated)}.{_left_out_of_line(undated)}")
            _legend([s for s in SPLIT_COLOURS if any(s in counts for counts in years.values())])
            drawing(timeline_chart(years))
            download_button("Download the time line", partial(timeline_csv, years), "time_line.csv")


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
                Words("span", split)


def left_out(card: DatasetCard) -> None:
    """Records that were left out, by reason; the first of each are listed."""
    with section("Left out"):
        if not card.dropped:
            Words("p", "None: every record is in the data set.")
        for reason, count in sorted(card.dropped.items(), key=lambda pair: -pair[1]):
            named = [record.nct_id for record in card.dropped_first if record.reason == reason]
            with ui.element("details").classes("l4-read"):
                with ui.element("summary"):
                    Words("span", counted(count, "record"))
                    Words("span", reason)
                ids = ", ".join(named) or "They are not among the first hundred that are listed."
                more = count - len(named)
                Words("p", f"{ids}, and {thousands(more)} more" if named and more else ids)
        notes = [(what, thousands(count)) for what, count in card.notes.items()]
        if notes:
            table(("Changes to the remaining rows", "Rows"), notes, label="Notes")


def origin(dataset: StoredDataset, card: DatasetCard) -> None:
    """The sources and their terms."""
    with section("Where it came from"):
        rows = [(source.name, thousands(source.rows)) for source in card.provenance]
        if rows:
            table(("Source", "Rows"), rows[:SOURCES], label="Sources")
        if len(rows) > SOURCES:
            Words("p", f"and {counted(len(rows) - SOURCES, 'more file')}.").classes("l4-muted")
        for words in (*card.warnings, *card.terms):
            Words("p", words)
        muted(f"Content hash {dataset.sha256[:16]}.")


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
        Words("div", verdict).classes("l4-what")
    order = ("fail", "warn", "pass")
    found = sorted(report["findings"], key=lambda line: order.index(line["verdict"]))
    rows = [
        (_VERDICTS[line["verdict"]], line["check"], line["field"], line["finding"])
        for line in found
    ]
    with ui.element("div").classes("l4-audit"):
        table(("Result", "Check", "Field", "Finding"), rows, label="Leak audit")
