"""One trial in full: the forecast and its limits, what the model read, and what was hidden."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from llm4top.forecasters.forecast_format import Forecast
from llm4top.prompts.prompt import SectionAccount
from llm4top.studio.components.bundle_facts import basis_facts, measured_tables, skill_of
from llm4top.studio.components.elements import (
    Words,
    copy_button,
    facts,
    folded,
    heading,
    muted,
    section,
    table,
)
from llm4top.studio.components.trial_card import (
    chance_drawing,
    chance_line,
    chance_of,
    trial_facts,
    warning_lines,
)
from llm4top.text import counted, percent, thousands
from llm4top.workspace.views.caveats import sentence, sorted_warnings
from llm4top.workspace.views.portfolio import name_of

INTERVAL_NOTE = (
    "The 95\u00a0% interval covers the uncertainty of the calibration only. It does not cover "
    "what the model does not see or know."
)


def trial_number(item: Forecast, model: Mapping[str, Any] | None) -> None:
    """Title and chance, with serious warnings above and limits below."""
    heading(name_of(item)).props('tabindex="-1" id="trial-title"')
    Words("p", trial_facts(item)).classes("l4-muted")
    serious, routine = sorted_warnings(item.warnings)
    warning_lines(serious)
    with ui.element("div").classes("l4-doubted" if serious else ""):
        chance_drawing(item, large=True)
        chance_line(item, large=True)
    if item.lower is not None:
        muted(INTERVAL_NOTE)
    if model is not None and (skill := skill_of(model)):
        muted(skill).classes("l4-skill")
    if routine:
        muted(" ".join(map(sentence, routine)))


def other_models(others: Sequence[tuple[str, Forecast, str]]) -> None:
    """Forecasts of other models for the same record: name, forecast and page of each."""
    if not others:
        return
    with section("Other models on this trial"), ui.element("ul").classes("l4-earlier"):
        for name, item, address in others:
            with ui.element("li"):
                ui.link(name, address)
                Words("span", chance_of(item)).classes("l4-muted")


def what_was_read(item: Forecast, sections: Sequence[SectionAccount]) -> None:
    """The sections of the text that the model read, with their lengths.

    The length is in tokens where the model reads a prompt, else in words.
    """
    kept = sum(part.kept for part in sections)
    unit = "token" if item.prompt_sha256 else "word"
    with section("What the model read"):
        if total := item.tokens or kept:
            length = f"{counted(total, unit)} in total"
            if item.tokens_cut:
                length += f". Shortened to fit: {counted(item.tokens_cut, unit)} were not read"
            muted(f"{length}. Percentages are shares of the trial's text.")
        for part in sections:
            _section(part, kept, unit)
        if sections and item.tokens > kept:
            with ui.element("p").classes("l4-read-rest"):
                Words("span", "Question and instructions")
                muted(counted(item.tokens - kept, unit), "span")
    _reasons(item, sections)


def _section(part: SectionAccount, kept: int, unit: str) -> None:
    with ui.element("details").classes("l4-read"):
        with ui.element("summary"):
            Words("span", part.heading)
            if kept:
                muted(f"{counted(part.kept, unit)}, {percent(part.kept / kept)}", "span")
            if part.cut:
                cut = f"the last {thousands(part.cut)} of {thousands(part.tokens)} not read"
                Words("span", cut).classes("l4-cut")
        Words("pre", part.text or "No text of this section fits the budget.")


def _reasons(item: Forecast, sections: Sequence[SectionAccount]) -> None:
    """What can be said about why the chance is what it is."""
    kept = sum(part.kept for part in sections)
    if not kept:
        return
    longest = max(sections, key=lambda part: part.kept)
    if not any(part.name == "criteria" for part in sections) and any(
        "criteria" in warning for warning in item.warnings
    ):
        words = (
            "This record has no eligibility criteria. In other trials they are most of what this "
            "model reads, so trials without them get nearly the same chance."
        )
    else:
        words = (
            f"{longest.heading} are most of what the model read "
            f"({percent(longest.kept / kept)} of the text). The model estimates one chance from "
            "the whole text. It gives no reasons."
        )
    with section("Why this chance"):
        Words("p", words)


def not_read(item: Forecast) -> None:
    """Sections of the record that a model may read, but this one does not."""
    if not item.unread:
        return
    first, *rest = item.unread
    names = ", ".join([first, *(name[:1].lower() + name[1:] for name in rest)])
    with section("Allowed, but this model does not read it"):
        Words("p", f"{names}. Changing them does not change the chance.")


def what_was_withheld(item: Forecast) -> None:
    """The fields that were hidden from the model, folded: most records have the same."""
    with section("What was hidden from the model"):
        if not item.withheld:
            Words("p", "Nothing: the record holds only what is known before a trial.")
            return
        hidden_fields([(w.field, w.reason, w.excerpt) for w in item.withheld])


def hidden_fields(fields: Sequence[tuple[str, str, str]]) -> None:
    """A folded table of hidden fields: name, reason, excerpt."""
    rows = [(field_name(name), reason, excerpt) for name, reason, excerpt in fields]
    with folded(f"{counted(len(rows), 'field')} with the reason for each"):
        table(("Field", "Why", "Excerpt"), rows, label="Hidden from the model")


def field_name(name: str) -> str:
    """A registry's field in words: "id_info/org_study_id" is "Org study id (id info)"."""
    group, _, last = name.rpartition("/")
    words = last.replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    return f"{words} ({group.replace('_', ' ').replace('/', ', ')})" if group else words


def rests_on(model: Mapping[str, Any] | None, phase: str | None) -> None:
    """The model and its metrics, folded: they are the same for each trial."""
    if model is None:
        return
    with folded("About the model and its metrics", "l4-fold-box l4-section"), section("Model"):
        facts(basis_facts(model, phase))
        measured_tables(model)
        for key in ("licence", "context_of_use"):
            if model.get(key):
                muted(str(model[key]))


def identity(item: Forecast) -> None:
    """The hashes that identify the forecast exactly."""
    hashes = [("prompt", item.prompt_sha256), ("record", item.source_sha256)]
    known = [(name, digest) for name, digest in hashes if digest]
    line = ", ".join([f"bundle {item.bundle}", *(f"{name} {digest}" for name, digest in known)])
    short = [f"Model {item.bundle}", *(f"{name} {digest[:12]}" for name, digest in known)]
    with section("Identity"):
        muted("These identify the forecast exactly.")
        with ui.element("div").classes("l4-identity"):
            Words("code", ", ".join(short)).props["title"] = line
            copy_button(line, "Copy the identity line")
