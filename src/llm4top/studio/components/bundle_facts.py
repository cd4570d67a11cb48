"""What a bundle's manifest says of it, in the words of the Models page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from nicegui import ui

from llm4top.text import thousands
from llm4top.workspace.views.baseline_comparison import on_validation, own_figures
from llm4top.workspace.views.wording import metric, metric_interval

if TYPE_CHECKING:
    from llm4top.workspace.bundles import WorkspaceBundle

LONGEST = 100_000
"""Characters of a card that are shown."""

_DEEPER = 2
"""Levels that its headings move down: the page has the first two."""


def card(text: str) -> None:
    """Show a card: headings, lists, tables and emphasis; all else in it as the text it is."""
    ui.html(card_html(text), sanitize=False).classes("l4-card")


def card_html(text: str) -> str:
    """A card as HTML that asks for nothing and leads nowhere.

    Raw HTML, images and links stay text: the bundle's maker cannot make a reader's browser send
    a request, and an address is read before it is followed.
    """
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}\n\n(The rest is not shown.)"
    markdown = _markdown()
    tokens = markdown.parse(shown)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + _DEEPER, 6)}"
    return str(markdown.renderer.render(tokens, markdown.options, {}))


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    return made.disable(["image", "link", "autolink", "reference", "html_block", "html_inline"])


COLUMNS = (
    "Name",
    "Question",
    "Base",
    "Learnt from",
    "ROC-AUC, validation",
    "Brier skill",
    "Made",
)
METRICS = {"roc_auc": "ROC-AUC", "log_loss": "Log-loss", "brier": "Brier score", "f1": "F1 at .5"}
"""Metrics that a name is known for; others keep the manifest's own."""

_REFERENCE = "base rate of the phase"
_NONE = "not measured"
_SPLITS = {"train": "training", "valid": "validation"}


def display_name(bundle: WorkspaceBundle) -> str:
    """What it is called on the pages."""
    return "Embedded default" if bundle.id == "embedded" else bundle.name


def overview(bundle: WorkspaceBundle) -> tuple[str, ...]:
    """One cell for each of ``COLUMNS``."""
    facts = bundle.facts
    measured = on_validation(facts)
    return (
        display_name(bundle),
        str(facts["task"]["question"]),
        str(facts["base"]["id"]),
        _learnt_from(facts),
        with_interval(own_figures(measured).get("roc_auc")),
        _skill(measured),
        str(facts["created"]),
    )


def with_interval(figure: Mapping[str, Any] | None) -> str:
    """A metric with three decimals and its interval; says so where it was not measured."""
    if not figure or figure.get("value") is None:
        return _NONE
    bounds = metric_interval(figure.get("lower"), figure.get("upper"))
    return f"{metric(figure['value'])} ({bounds})" if bounds else metric(figure["value"])


def identity_facts(bundle: WorkspaceBundle) -> list[tuple[str, str]]:
    """What it is, what it has learnt from, and what it may be used for."""
    facts = bundle.facts
    data, tuning = facts["data"], facts["tuning"]
    counts = ", ".join(
        f"{thousands(n)} {_SPLITS.get(split, split)}" for split, n in data["counts"].items()
    )
    return [
        ("Question", str(facts["task"]["question"])),
        ("Base model", str(facts["base"]["id"])),
        ("Tuning", str(tuning["method"])),
        ("Calibration", str(facts.get("calibration") or "none")),
        ("Data", f"{data['name']}: {counts}" if counts else str(data["name"])),
        ("Phases", _phases(facts) or "not stated"),
        ("Made", str(facts["created"])),
        ("Context of use", str(facts["context_of_use"])),
        ("Licence", str(facts.get("licence") or "not stated")),
        ("Licence of the data", str(data.get("licence") or "not stated")),
        ("Bundle identity", bundle.identity),
    ]


def measured_tables(
    bundle: WorkspaceBundle,
) -> list[tuple[str, str, Sequence[str], list[list[str]]]]:
    """For each evaluation on the card its title, its note, its columns and its rows."""
    tables: list[tuple[str, str, Sequence[str], list[list[str]]]] = []
    for evaluation in bundle.facts.get("evaluations", ()):
        forecasters = evaluation["forecasters"]
        kinds = list(dict.fromkeys(m for figures in forecasters.values() for m in figures))
        columns = ["Forecaster", *(METRICS.get(kind, kind) for kind in kinds)]
        rows = [
            [name, *(with_interval(figures.get(kind)) for kind in kinds)]
            for name, figures in forecasters.items()
        ]
        split = _SPLITS.get(evaluation["split"], evaluation["split"])
        title = f"Measured on {thousands(evaluation['n'])} {split} trials"
        tables.append((title, str(evaluation.get("note") or ""), columns, rows))
    return tables


def _skill(forecasters: Mapping[str, Any]) -> str:
    """The share of the Brier score of the phases' base rates that the model saves."""
    own = own_figures(forecasters).get("brier")
    reference = forecasters.get(_REFERENCE, {}).get("brier")
    if not own or not reference or not reference["value"]:
        return _NONE
    return f"{1 - own['value'] / reference['value']:.3f}"


def _learnt_from(facts: Mapping[str, Any]) -> str:
    n = facts["data"]["counts"].get("train")
    phases = _phases(facts)
    said = f"{thousands(n)} trials" if n is not None else "not stated"
    return f"{said}, {phases}" if phases else said


def _phases(facts: Mapping[str, Any]) -> str:
    """The phases that it has learnt from; one of two, as 2/3, counts as both."""
    named = [name for name in facts.get("base_rates", {}) if "Phase " in name]
    plain = sorted(
        {
            part.removeprefix("Early ").removeprefix("Phase ")
            for name in named
            for part in name.split("/")
        }
    )
    if not plain:
        return ""
    return f"phase {plain[0]}" if len(plain) == 1 else f"phases {', '.join(plain)}"
