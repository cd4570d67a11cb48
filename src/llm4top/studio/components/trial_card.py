"""A trial and its forecast: as a card, as a row of a table, and in full on its own page."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui import ui

from llm4top.forecasters.forecast_format import Forecast
from llm4top.prompts.prompt import SectionAccount
from llm4top.studio.components import elements
from llm4top.studio.components.bundle_facts import basis_facts, measured_tables
from llm4top.text import counted, interval, percent, thousands
from llm4top.workspace.views.caveats import sentence, sorted_warnings
from llm4top.workspace.views.label_bars import answer_named, is_yes_or_no, reading_of, scale_of
from llm4top.workspace.views.portfolio import name_of, phase_of, sponsor_of
from llm4top.workspace.views.skill import skill_of
from llm4top.workspace.views.trial import (
    INTERVAL_NOTE,
    PART_COLUMNS,
    PARTS_NOTE,
    chance_of,
    field_name,
    part_rows,
    said_by_parts,
    trial_facts,
)

OnSort = Callable[[str], Awaitable[None]]

COLUMNS: tuple[tuple[str, str | None, str], ...] = (
    ("NCT id", "trial", ""),
    ("Trial", "title", ""),
    ("Phase", "phase", ""),
    ("Chance", "chance", "l4-number"),
    ("95\u00a0% interval", None, "l4-number"),
    ("Base rate", "above base", "l4-number"),
    ("Area", "area", ""),
    ("Sponsor", "sponsor", ""),
    ("Warnings", "warnings", ""),
)
"""Headings of the table, what each sorts by (None: it does not sort), and the cells' class."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A trial in a list: its page, the record it is a copy of, forecasts of other models."""

    item: Forecast
    address: str
    copy_of: Forecast | None = None
    others: Sequence[tuple[str, Forecast]] = ()

    @property
    def place(self) -> str:
        """The anchor to which the page scrolls when a visitor returns from the trial."""
        return f"t-{self.item.id}"


def chance_drawing(forecast: Forecast, *, large: bool = False) -> ui.html:
    """The scale with chance, interval and base rate; bars for more than two answers."""
    return elements.drawing(scale_of(forecast, large=large))


def chance_line(forecast: Forecast, *, large: bool = False) -> None:
    """The chance in percent, its interval, and both in plain words."""
    with ui.element("p").classes("l4-chance" + (" l4-large" if large else "")):
        if named := answer_named(forecast):
            elements.Words("span", named)
        elements.Words("strong", percent(forecast.probability))
        if bounds := interval(forecast.lower, forecast.upper):
            elements.Words("span", f"95\u00a0% interval {bounds}").classes("l4-muted")
        elements.Words("span", " ".join(reading_of(forecast))).classes("l4-reading")


def warning_lines(warnings: Sequence[str]) -> None:
    """A line for each serious warning; the sign is hidden from screen readers."""
    if not warnings:
        return
    with ui.element("ul").classes("l4-warnings").props('aria-label="Warnings"'):
        for warning in warnings:
            with ui.element("li"):
                elements.Words("span", "⚠").props('aria-hidden="true"')
                elements.Words("span", sentence(warning))


def trial_card(listed: Listed, withheld: int) -> None:
    """A trial as a card: title, scale, chance, warnings, number of hidden fields."""
    item = listed.item
    with ui.element("article").classes("l4-trial") as card:
        card.props["id"] = listed.place
        with ui.element("h3").classes("l4-one-line"):
            title_link(listed)
        elements.muted(trial_facts(item))
        copy_note(listed)
        serious, routine = sorted_warnings(item.warnings)
        with ui.element("div").classes("l4-forecasted" + (" l4-doubted" if serious else "")):
            chance_drawing(item)
            chance_line(item)
        warning_lines(serious[:1])
        for name, other in listed.others:
            elements.muted(f"{name}: {chance_of(other)}")
        hidden = f"{counted(withheld, 'field')} hidden from the model"
        with ui.element("div").classes("l4-foot l4-muted l4-small"):
            notes = [sentence(warning) for warning in [*serious[1:], *routine]]
            elements.Words("span", " ".join([*notes, f"{hidden}."]))


def copy_note(listed: Listed) -> None:
    """A note that the list has another record of the same trial."""
    if listed.copy_of is None:
        return
    first = listed.copy_of.record
    elements.Words(
        "p", f"The list has another record of this trial ({first}). It is counted once."
    ).classes("l4-small l4-copy")


def title_link(listed: Listed) -> None:
    """The title, with a link to the trial."""
    link = elements.Words("a", name_of(listed.item)).classes("l4-title")
    link.props["href"] = listed.address
    link.props["title"] = name_of(listed.item)
    # For the way back: the address of this page then names the trial to scroll to.
    link.on("click", js_handler=f"() => history.replaceState(null, '', '#{listed.place}')")


def trial_table(*, sorted_by: str, descending: bool, on_sort: OnSort) -> ui.element:
    """A table for trials whose headings sort; the body, which holds the rows.

    It becomes a list on a narrow screen.
    """
    with ui.element("div").classes("l4-scroll"), ui.element("table").classes("l4-table l4-trials"):
        elements.Words("caption", "Forecasts").classes("l4-hidden")
        with ui.element("thead"), ui.element("tr"):
            for title, key, kind in COLUMNS:
                _heading(title, key, sorted_by, descending, on_sort, kind)
        return ui.element("tbody")


def _heading(
    title: str,
    key: str | None,
    sorted_by: str,
    descending: bool,
    on_sort: OnSort,
    kind: str,
) -> None:
    cell = ui.element("th").props('scope="col"').classes(kind)
    with cell:
        if key is None:
            elements.Words("span", title)
            return
        now = key == sorted_by
        order = ("descending" if descending else "ascending") if now else "none"
        cell.props(f'aria-sort="{order}"')
        button = ui.element("button").classes("l4-sort").props('type="button"')
        with button:
            elements.Words("span", title)
            arrow = ("↓" if descending else "↑") if now else "↕"
            elements.Words("span", arrow).classes("" if now else "l4-muted").props(
                'aria-hidden="true"'
            )
        button.on("click", partial(on_sort, key))


def trial_row(listed: Listed, _withheld: int) -> None:
    """A trial as a row of the table."""
    item, forecast = listed.item, listed.item
    rate, _ = forecast.compared_with
    base = "" if rate is None else percent(rate)
    named = "" if is_yes_or_no(forecast) else f"“{forecast.label}” "
    cells = (
        phase_of(item),
        named + percent(forecast.probability),
        interval(forecast.lower, forecast.upper),
        base,
        item.area,
        sponsor_of(item),
    )
    with ui.element("tr") as row:
        row.props["id"] = listed.place
        # A draft has no NCT id: show its file.
        number = elements.Words("td", forecast.nct_id or forecast.record).classes("l4-id")
        number.props["data-title"] = COLUMNS[0][0]
        with ui.element("th").props('scope="row"'):
            title_link(listed)
            copy_note(listed)
            for name, other in listed.others:
                elements.muted(f"{name}: {chance_of(other)}")
        for (title, _, kind), text in zip(COLUMNS[2:-1], cells, strict=True):
            # In the list each value is preceded by its heading.
            cell = elements.Words("td", text).classes(kind)
            cell.props["data-title"] = title
            if not text:
                cell.classes("l4-none")
        _warnings_cell(forecast.warnings)


def _warnings_cell(warnings: Sequence[str]) -> None:
    """The number of warnings; their text when opened, which keeps rows low."""
    with ui.element("td") as cell:
        if not warnings:
            cell.classes("l4-none")
            return
        serious, routine = sorted_warnings(warnings)
        with ui.element("details"):
            parts = [counted(len(serious), "warning")] if serious else []
            parts += [counted(len(routine), "note")] if routine else []
            elements.Words("summary", ", ".join(parts)).classes("" if serious else "l4-muted")
            if serious:
                elements.Words("p", " ".join(map(sentence, serious))).classes("l4-warnings")
            if routine:
                elements.muted(" ".join(map(sentence, routine)))


def trial_number(item: Forecast, model: Mapping[str, Any] | None) -> None:
    """Title and chance, with serious warnings above and limits below."""
    elements.heading(name_of(item)).props('tabindex="-1" id="trial-title"')
    elements.Words("p", trial_facts(item)).classes("l4-muted")
    serious, routine = sorted_warnings(item.warnings)
    warning_lines(serious)
    with ui.element("div").classes("l4-doubted" if serious else ""):
        chance_drawing(item, large=True)
        chance_line(item, large=True)
    if item.lower is not None:
        elements.muted(INTERVAL_NOTE)
    if model is not None and (skill := skill_of(model)):
        elements.muted(skill).classes("l4-skill")
    if routine:
        elements.muted(" ".join(map(sentence, routine)))


def parts_of(item: Forecast, model: Mapping[str, Any] | None) -> None:
    """What each part of a blend says by itself, folded: the blend is their mean in log-odds."""
    if not item.parts:
        return
    with elements.folded(said_by_parts(item)):
        elements.table(
            PART_COLUMNS, part_rows(item, model), label="Parts of the model", kind="l4-parts"
        )
        elements.muted(PARTS_NOTE)


def other_models(others: Sequence[tuple[str, Forecast, str]]) -> None:
    """Forecasts of other models for the same record: name, forecast and page of each."""
    if not others:
        return
    with elements.section("Other models on this trial"), ui.element("ul").classes("l4-earlier"):
        for name, item, address in others:
            with ui.element("li"):
                ui.link(name, address)
                elements.Words("span", chance_of(item)).classes("l4-muted")


def what_was_read(item: Forecast, sections: Sequence[SectionAccount]) -> None:
    """The sections of the text that the model read, with their lengths.

    The length is in tokens where the model reads a prompt, else in words.
    """
    kept = sum(part.kept for part in sections)
    unit = "token" if item.prompt_sha256 else "word"
    with elements.section("What the model read"):
        if total := item.tokens or kept:
            length = f"{counted(total, unit)} in total"
            if item.tokens_cut:
                length += f". Shortened to fit: {counted(item.tokens_cut, unit)} were not read"
            elements.muted(f"{length}. Percentages are shares of the trial's text.")
        for part in sections:
            _section(part, kept, unit)
        if sections and item.tokens > kept:
            with ui.element("p").classes("l4-read-rest"):
                elements.Words("span", "Question and instructions")
                elements.muted(counted(item.tokens - kept, unit), "span")
    _reasons(item, sections)


def _section(part: SectionAccount, kept: int, unit: str) -> None:
    with ui.element("details").classes("l4-read"):
        with ui.element("summary"):
            elements.Words("span", part.heading)
            if kept:
                elements.muted(f"{counted(part.kept, unit)}, {percent(part.kept / kept)}", "span")
            if part.cut:
                cut = f"the last {thousands(part.cut)} of {thousands(part.tokens)} not read"
                elements.Words("span", cut).classes("l4-cut")
        elements.Words("pre", part.text or "No text of this section fits the budget.")


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
            "the whole text; “What moves the chance” takes it apart."
        )
    with elements.section("Why this chance"):
        elements.Words("p", words)


def not_read(item: Forecast) -> None:
    """Sections of the record that a model may read, but this one does not."""
    if not item.unread:
        return
    first, *rest = item.unread
    names = ", ".join([first, *(name[:1].lower() + name[1:] for name in rest)])
    with elements.section("Allowed, but this model does not read it"):
        elements.Words("p", f"{names}. Changing them does not change the chance.")


def what_was_withheld(item: Forecast) -> None:
    """The fields that were hidden from the model, folded: most records have the same."""
    with elements.section("What was hidden from the model"):
        if not item.withheld:
            elements.Words("p", "Nothing: the record holds only what is known before a trial.")
            return
        hidden_fields([(w.field, w.reason, w.excerpt) for w in item.withheld])


def hidden_fields(fields: Sequence[tuple[str, str, str]]) -> None:
    """A folded table of hidden fields: name, reason, excerpt."""
    rows = [(field_name(name), reason, excerpt) for name, reason, excerpt in fields]
    with elements.folded(f"{counted(len(rows), 'field')} with the reason for each"):
        elements.table(("Field", "Why", "Excerpt"), rows, label="Hidden from the model")


def rests_on(model: Mapping[str, Any] | None, phase: str | None) -> None:
    """The model and its metrics, folded: they are the same for each trial."""
    if model is None:
        return
    with (
        elements.folded("About the model and its metrics", "l4-fold-box l4-section"),
        elements.section("Model"),
    ):
        elements.facts(basis_facts(model, phase))
        measured_tables(model)
        for key in ("licence", "context_of_use"):
            if model.get(key):
                elements.muted(str(model[key]))


def identity(item: Forecast) -> None:
    """The hashes that identify the forecast exactly."""
    hashes = [("prompt", item.prompt_sha256), ("record", item.source_sha256)]
    known = [(name, digest) for name, digest in hashes if digest]
    line = ", ".join([f"bundle {item.bundle}", *(f"{name} {digest}" for name, digest in known)])
    short = [f"Model {item.bundle}", *(f"{name} {digest[:12]}" for name, digest in known)]
    with elements.section("Identity"):
        elements.muted("These identify the forecast exactly.")
        with ui.element("div").classes("l4-identity"):
            elements.Words("code", ", ".join(short)).props["title"] = line
            elements.copy_button(line, "Copy the identity line")
