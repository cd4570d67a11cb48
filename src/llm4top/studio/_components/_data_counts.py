"""How many trials of each phase are in each split, and with which labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio._pieces import Words, section
from llm4top.workspace._words import percent, thousands

if TYPE_CHECKING:
    from llm4top.data import DatasetCard

Counts = Mapping[str, int]
"""Trials by label."""


def balance(card: DatasetCard) -> None:
    """A line for each phase, a column for each split; where there are two labels, the share too.

    More labels have a table of their own.
    """
    splits = list(card.balance)
    event = event_of(card)
    phases = {"All": card.balance, **card.balance_by_phase}
    with section("Trials and labels"):
        if event is not None:
            Words("p", f"In brackets: the share of {event}.").classes("l4-small l4-muted")
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
    """The label whose share says all: the second of two."""
    labels = card.task.get("labels")
    if isinstance(labels, list | tuple) and len(labels) == 2:
        return str(labels[1])
    return None


def cell(counts: Counts, event: str | None) -> tuple[str, str]:
    """Trials, and the share of ``event`` in brackets; empty where it says nothing."""
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
