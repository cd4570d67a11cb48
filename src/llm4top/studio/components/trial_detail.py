"""One trial in full: the number and its limits, what the model read, and what it did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio.components.elements import (
    Words,
    chance_drawing,
    chance_line,
    copy_button,
    facts,
    heading,
    section,
    things,
    titled_table,
    trial_facts,
    warning_lines,
)
from llm4top.studio.components.model_choice import skill_line
from llm4top.studio.components.trial_card import chance_of
from llm4top.text import percent, thousands
from llm4top.workspace.views.caveats import sentence, sorted_warnings
from llm4top.workspace.views.label_bars import SUCCESS
from llm4top.workspace.views.portfolio import name_of

if TYPE_CHECKING:
    from llm4top.forecasters.bundles.manifest import Evaluation, Manifest
    from llm4top.forecasters.forecast_format import Forecast
    from llm4top.prompts.prompt import SectionAccount

SHOWN = (("roc_auc", "ROC-AUC"), ("brier", "Brier score"), ("log_loss", "Log loss"))
"""Metrics of a model's card that are shown, by their name there."""


def basis(manifest: Manifest, phase: str | None) -> None:
    """The model's card in short; the forecasters it was measured beside stand in one table."""
    with section("Model"):
        facts(_facts(manifest, phase))
        for evaluation in manifest.evaluations:
            _figures(evaluation)
        if manifest.licence:
            Words("p", manifest.licence).classes("l4-small l4-muted")
        Words("p", manifest.context_of_use).classes("l4-small l4-muted")


def _facts(manifest: Manifest, phase: str | None) -> list[tuple[str, str]]:
    said = [
        ("Model", f"{manifest.name}, made on {manifest.created}"),
        ("Base model", manifest.base.id),
        ("Question", manifest.task.question),
    ]
    if manifest.data is not None:
        n = manifest.data.counts.get("train", 0)
        said.append(("Learnt from", f"{thousands(n)} trials of “{manifest.data.name}”"))
    rate = manifest.base_rates.get(phase or "all")
    if rate is not None and manifest.task.kind == "binary":
        where = f"{phase} trials" if phase else "trials of all phases"
        event = manifest.task.labels[1]
        went = "succeeded" if event == SUCCESS else f"were “{event}”"
        said.append(
            ("Of this phase", f"{thousands(rate.n)} {where}, {percent(rate.shares[1])} {went}")
        )
    elif phase:
        said.append(("Of this phase", "none, or too few to count"))
    methods = {
        "venn-abers": "Venn-Abers, with an interval",
        "platt": "Platt",
        "none": "none: the model's own probability",
    }
    said.append(("Calibration", methods[manifest.calibration]))
    return said


def _figures(evaluation: Evaluation) -> None:
    split = {"valid": "validation", "test": "test"}.get(evaluation.split, evaluation.split)
    Words("p", f"Measured on {thousands(evaluation.n)} {split} trials; 95 % intervals in brackets.")
    rows = []
    for forecaster, figures in evaluation.forecasters.items():
        cells = [forecaster]
        for name, _ in SHOWN:
            figure = figures.get(name)
            if figure is None or figure.value is None:
                cells.append("not measured")
            elif figure.lower is None or figure.upper is None:
                cells.append(f"{figure.value:.3f}")
            else:
                cells.append(f"{figure.value:.3f} ({figure.lower:.3f} to {figure.upper:.3f})")
        rows.append(cells)
    columns = ("Forecaster", *(title for _, title in SHOWN))
    titled_table(columns, rows, label=f"Figures on {split} trials")
    if evaluation.note:
        Words("p", evaluation.note).classes("l4-small l4-muted")


INTERVAL_NOTE = (
    "The 95\u00a0% interval covers only how well the model's score could be turned into a chance "
    "with the trials at hand. It does not cover what the model fails to see or know."
)


def trial_number(item: Forecast, manifest: Manifest | None) -> None:
    """Title and number, with what undermines it above it and what it does not say below it."""
    forecast = item
    heading(name_of(item)).props('tabindex="-1" id="trial-title"')
    Words("p", trial_facts(item)).classes("l4-muted")
    grave, routine = sorted_warnings(forecast.warnings)
    warning_lines(grave)
    with ui.element("div").classes("l4-doubted" if grave else ""):
        chance_drawing(forecast, large=True)
        chance_line(forecast, large=True)
    if forecast.lower is not None:
        Words("p", INTERVAL_NOTE).classes("l4-small l4-muted")
    if manifest is not None:
        skill_line(manifest)
    if routine:
        Words("p", " ".join(map(sentence, routine))).classes("l4-small l4-muted")


def other_models(others: Sequence[tuple[str, Forecast, str]]) -> None:
    """What other models said about the same record: name, forecast and page of each."""
    if not others:
        return
    with section("Other models on this trial"), ui.element("ul").classes("l4-earlier"):
        for name, item, address in others:
            with ui.element("li"):
                ui.link(name, address)
                Words("span", chance_of(item)).classes("l4-muted")


def what_was_read(item: Forecast, sections: Sequence[SectionAccount]) -> None:
    """The sections of the prompt with their tokens, which add up to those of the prompt."""
    forecast = item
    kept = sum(part.kept for part in sections)
    with section("What the model read"):
        said = f"{things(forecast.tokens, 'token')} in all"
        if forecast.tokens_cut:
            cut = thousands(forecast.tokens_cut)
            said += f"; text cut to fit: {cut} tokens were not read"
        Words("p", f"{said}. The share is that of the trial's text.").classes("l4-small l4-muted")
        for part in sections:
            _section(part, kept)
        if sections and forecast.tokens > kept:
            rest = forecast.tokens - kept
            with ui.element("p").classes("l4-read-rest"):
                Words("span", "Question and instructions")
                Words("span", things(rest, "token")).classes("l4-muted l4-small")
    _reasons(item, sections)


def _section(part: SectionAccount, kept: int) -> None:
    with ui.element("details").classes("l4-read"):
        with ui.element("summary"):
            Words("span", part.heading)
            share = f", {percent(part.kept / kept)}" if kept else ""
            Words("span", f"{things(part.kept, 'token')}{share}").classes("l4-muted l4-small")
            if part.cut:
                said = f"the last {thousands(part.cut)} of {thousands(part.tokens)} not read"
                Words("span", said).classes("l4-cut")
        Words("pre", part.text or "Nothing of it fits the budget.")


def _reasons(item: Forecast, sections: Sequence[SectionAccount]) -> None:
    """What can be said of why the number is what it is."""
    read = {part.name: part for part in sections}
    if not read:
        return
    kept = sum(part.kept for part in sections)
    longest = max(sections, key=lambda part: part.kept)
    with section("Why this number"):
        if "criteria" not in read and any("criteria" in w for w in item.warnings):
            Words(
                "p",
                "This record has no eligibility criteria. They are most of what this model reads "
                "of other trials, so trials without them get nearly the same number.",
            )
        elif kept:
            Words(
                "p",
                f"{longest.heading} are most of what the model read "
                f"({percent(longest.kept / kept)} of the text). It gives one number for the whole "
                "text and no reason for it.",
            )


def not_read(item: Forecast) -> None:
    """Sections of the record that a model may read, and this one does not."""
    if not item.unread:
        return
    with section("Allowed, but this model does not read it"):
        Words("p", f"{_listed(item.unread)}. Changing them does not change the number.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join([names[0], *(name[:1].lower() + name[1:] for name in names[1:])])


def what_was_withheld(item: Forecast) -> None:
    """The fields that were hidden from the model, folded: they are the same on most records."""
    with section("What was hidden from the model"):
        if not item.withheld:
            Words("p", "Nothing: the record holds only what is known before a trial.")
            return
        rows = [(plain_field(t.field), t.reason, t.excerpt) for t in item.withheld]
        with ui.element("details").classes("l4-fold-box"):
            Words("summary", f"{things(len(rows), 'field')} with the reason for each")
            titled_table(("Field", "Why", "Excerpt"), rows, label="Hidden from the model")


def plain_field(name: str) -> str:
    """A registry's field as words: "id_info/org_study_id" is "Org study id (id info)"."""
    group, _, last = name.rpartition("/")
    words = last.replace("_", " ").strip()
    said = words[:1].upper() + words[1:]
    return f"{said} ({group.replace('_', ' ').replace('/', ', ')})" if group else said


def rests_on(manifest: Manifest | None, phase: str | None) -> None:
    """The model's card, folded: it is the same for each trial."""
    if manifest is not None:
        with ui.element("details").classes("l4-fold-box l4-section"):
            Words("summary", "What this rests on: the model and how it was measured")
            basis(manifest, phase)


def identity(item: Forecast) -> None:
    """What names the forecast exactly."""
    prompt = item.prompt_sha256 or "none"
    line = f"bundle {item.bundle}, prompt {prompt}, record {item.source_sha256}"
    with section("Identity"):
        short = f"Model {item.bundle}, prompt {prompt[:12]}, record {item.source_sha256[:12]}"
        Words("p", "These three identify the forecast exactly.").classes("l4-small l4-muted")
        with ui.element("div").classes("l4-identity"):
            Words("code", short).props["title"] = line
            copy_button(line, "Copy the identity line")
