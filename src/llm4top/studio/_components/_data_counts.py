"""How many trials of each phase are in each split, and with which labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio._components._parts import titled_table
from llm4top.studio._pieces import Words, section
from llm4top.workspace._words import percent, thousands

if TYPE_CHECKING:
    from llm4top.data import DatasetCard

Counts = Mapping[str, int]
"""Trials by label."""


def balance(card: DatasetCard) -> None:
    """A line for each phase, a column for each split; where there are two labels, the share too."""
    splits = list(card.balance)
    event = event_of(card)
    with section("Trials and labels"):
        if event is not None:
            Words("p", f"In brackets: the share of {event}.").classes("l4-small l4-muted")
        with ui.element("table").classes("l4-counts") as shown:
            shown.props["aria-label"] = "Trials by phase and split"
            with ui.element("thead"), ui.element("tr"):
                for column in ("Phase", *splits):
                    Words("th", column).props('scope="col"')
            with ui.element("tbody"):
                _line("All", card.balance, splits, event)
                for phase, found in card.balance_by_phase.items():
                    _line(phase or "not given", found, splits, event)
        if event is None:
            _labels(card, splits)


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


def _line(
    phase: str, found: Mapping[str, Counts], splits: Sequence[str], event: str | None
) -> None:
    with ui.element("tr"):
        Words("th", phase).props('scope="row"')
        for split in splits:
            number, share = cell(found.get(split, {}), event)
            with ui.element("td"):
                Words("span", number)
                if share:
                    Words("span", f" {share}").classes("l4-muted")


def _labels(card: DatasetCard, splits: Sequence[str]) -> None:
    labels = list(dict.fromkeys(name for counts in card.balance.values() for name in counts))
    rows = [
        (label, *(thousands(card.balance[split].get(label, 0)) for split in splits))
        for label in labels
    ]
    titled_table(("Label", *splits), rows, label="Trials by label and split")
