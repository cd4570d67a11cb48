"""The card of a data set in pictures and tables: counts, time line, lengths, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from llm4top.studio._components._parts import drawing, things, titled_table
from llm4top.studio._pieces import Words, heading, section
from llm4top.workspace._data_charts import (
    SPLIT_COLOURS,
    timeline_chart,
    timeline_csv,
)
from llm4top.workspace._words import percent, thousands

if TYPE_CHECKING:
    from llm4top.data import DatasetCard
    from llm4top.workspace import StoredDataset
    from llm4top.workspace._data_charts import Years

_TEXTS = {"trial": "All text of a trial", "criteria": "Eligibility criteria"}


def balance(card: DatasetCard) -> None:
    """Trials by phase and split, and the share of each label."""
    with section("Trials and labels"):
        labels = list(dict.fromkeys(name for counts in card.balance.values() for name in counts))
        columns = ("Phase", "Split", "Trials", *labels)
        rows = [
            _counts("All phases", split, counts, labels) for split, counts in card.balance.items()
        ]
        for phase, splits in card.balance_by_phase.items():
            rows += [_counts(phase, split, counts, labels) for split, counts in splits.items()]
        titled_table(columns, rows, label="Trials by phase, split and label")


def _counts(
    phase: str, split: str, counts: Mapping[str, int], labels: Sequence[str]
) -> tuple[str, ...]:
    total = sum(counts.values())
    found = (counts.get(label, 0) for label in labels)
    shares = (f"{thousands(n)} ({percent(n / total)})" if n else "0" for n in found)
    return (phase or "not given", split, thousands(total), *shares)


def timeline(years: Years, rows: int) -> None:
    """Trials by start year, the splits stacked, with the numbers to download."""
    with section("When the trials started"):
        dated = sum(sum(counts.values()) for counts in years.values())
        if not dated:
            Words("p", "No trial of this data set has a start date.")
            return
        with ui.element("div").classes("l4-figures"), ui.element("figure"):
            heading(f"Trials by start year, {min(years)} to {max(years)}", level=3)
            left = f" {things(rows - dated, 'trial')} without a start date." if rows > dated else ""
            Words("figcaption", f"n = {thousands(dated)}.{left}")
            _legend([s for s in SPLIT_COLOURS if any(s in counts for counts in years.values())])
            drawing(timeline_chart(years))
            content = timeline_csv(years)
            ui.button(
                "Download the time line",
                icon="download",
                on_click=lambda: ui.download.content(content, "time_line.csv", "text/csv"),
            ).props("flat dense no-caps")


def _legend(splits: list[str]) -> None:
    with ui.element("div").classes("l4-legend"):
        for split in splits:
            with ui.element("span"):
                ui.element("i").style(f"background: {SPLIT_COLOURS[split]}")
                Words("span", split)


def lengths(card: DatasetCard) -> None:
    """Quantiles of the texts' lengths."""
    if not card.text_lengths:
        return
    with section("How long the texts are"):
        names = list(next(iter(card.text_lengths.values())))
        rows = [
            (_TEXTS.get(text, text), *(thousands(found.get(name, 0)) for name in names))
            for text, found in card.text_lengths.items()
        ]
        titled_table(("Characters", *names), rows, label="Lengths of the texts in characters")
        Words(
            "p", "About four characters make a token. What is beyond a model's budget is cut."
        ).classes("l4-small l4-muted")


def left_out(card: DatasetCard) -> None:
    """Records that were left out, by reason; the first of each are named."""
    with section("Left out"):
        if not card.dropped:
            Words("p", "Nothing: every record that was read is in the data set.")
        for reason, count in sorted(card.dropped.items(), key=lambda pair: -pair[1]):
            named = [record.nct_id for record in card.dropped_first if record.reason == reason]
            with ui.element("details").classes("l4-read"):
                with ui.element("summary"):
                    Words("span", things(count, "record"))
                    Words("span", reason)
                said = ", ".join(named) or "None of them is among the first hundred named."
                more = count - len(named)
                Words("p", f"{said}, and {thousands(more)} more" if named and more else said)
        notes = [(what, thousands(count)) for what, count in card.notes.items()]
        if notes:
            titled_table(("What happened to those that stayed", "Rows"), notes, label="Notes")


def origin(dataset: StoredDataset, card: DatasetCard) -> None:
    """Where it came from, under which terms."""
    with section("Where it came from"):
        rows = [(source.name, thousands(source.rows)) for source in card.provenance]
        if rows:
            titled_table(("Source", "Rows"), rows, label="Sources")
        for words in (*card.warnings, *card.terms):
            Words("p", words)
        Words(
            "p", f"Split: {card.split_rule or 'as given'}. Content {dataset.sha256[:16]}."
        ).classes("l4-small l4-muted")


_VERDICTS = {"pass": "passes", "warn": "look at this", "fail": "leak"}


def audit_findings(report: Mapping[str, Any]) -> None:
    """What a leak audit found, the gravest first."""
    verdict = {
        "pass": "No leak found.",
        "warn": "No leak found, but there is something to look at.",
        "fail": "Leaks found: a model could read the answer instead of forecasting it.",
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
        titled_table(("Result", "Check", "Field", "Finding"), rows, label="Leak audit")
