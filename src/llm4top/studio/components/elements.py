"""Small parts of the forecast pages. Every text of a record is shown as it is, never as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from llm4top.errors import LLM4TOPError
from llm4top.text import interval, percent, thousands
from llm4top.workspace.views.caveats import sentence
from llm4top.workspace.views.label_bars import answer_named, reading_of, scale_of

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import Forecast
    from llm4top.workspace.serving.parsing import Refusal


class Words(TextElement):
    """An element of any tag that holds only text: ``Words("h2", "Models")``."""

    def __init__(self, tag: str, text: str):
        super().__init__(tag=tag, text=text)


def heading(text: str, *, level: int = 2) -> Words:
    """A heading that screen readers find as one."""
    return Words(f"h{level}", text)


def section(title: str) -> ui.element:
    """Make a part of a page under a heading; its content goes inside ``with``."""
    made = ui.element("section").classes("l4-section")
    with made:
        heading(title)
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names with their values, in two columns; one column where it is narrow."""
    with ui.element("div").classes("l4-facts"):
        for name, value in pairs:
            Words("div", name)
            Words("div", value)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, label: str) -> None:
    """A short table to read, which becomes a list where it is narrow; ``label`` says what of."""
    made = ui.element("table").classes("l4-table")
    made.props["aria-label"] = label
    with made:
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                Words("th", column).props('scope="col"')
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for cell in row:
                        Words("td", cell)


def empty(purpose: str, step: str, target: str) -> None:
    """An empty page: what it is for, and the one next step with the page it leads to."""
    with ui.element("div").classes("l4-empty"):
        Words("p", purpose)
        ui.link(step, target)


def error_box(error: LLM4TOPError) -> None:
    """An error that is the user's matter: what happened, to what, what to do."""
    with ui.element("div").classes("l4-box l4-warn").props('role="alert"'):
        where = f"{error.where}: " if error.where else ""
        Words("div", f"{where}{error.message}").classes("l4-what")
        if error.hint:
            Words("div", error.hint)


FOLD = 3
"""More refusals than this are folded into one line: results come first."""

UNKNOWN_AREA = "unknown"
"""The area of a trial whose conditions tell none."""


def drawing(svg: str) -> ui.html:
    """A figure of our own making; texts inside are escaped by whoever drew it."""
    return ui.html(svg, sanitize=False).classes("l4-drawing")


def chance_drawing(forecast: Forecast, *, large: bool = False) -> ui.html:
    """The scale with the chance, its interval and the base rate; bars for more than two answers."""
    return drawing(scale_of(forecast, large=large))


def chance_line(forecast: Forecast, *, large: bool = False) -> None:
    """The chance in percent, its interval, and both in plain words."""
    with ui.element("p").classes("l4-chance" + (" l4-large" if large else "")):
        if named := answer_named(forecast):
            Words("span", named)
        Words("strong", percent(forecast.probability))
        if bounds := interval(forecast.lower, forecast.upper):
            Words("span", f"95\u00a0% interval {bounds}").classes("l4-muted")
        Words("span", " ".join(reading_of(forecast))).classes("l4-reading")


def trial_facts(item: Forecast) -> str:
    """The line under a title: number, phase, area, sponsor's class and file, as far as known."""
    area = "" if item.area == UNKNOWN_AREA else item.area
    phase = item.phase or "phase not stated"
    known = (item.nct_id, phase, area, item.sponsor_class, item.record)
    return " · ".join(part for part in known if part)


def warning_lines(warnings: Sequence[str]) -> None:
    """A line for each grave warning; the sign is for the eye only."""
    if not warnings:
        return
    with ui.element("ul").classes("l4-warnings").props('aria-label="Warnings"'):
        for warning in warnings:
            with ui.element("li"):
                Words("span", "⚠").props('aria-hidden="true"')
                Words("span", sentence(warning))


def things(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 trial", "3 trials"."""
    return f"{thousands(number)} {one if number == 1 else many or one + 's'}"


def refused_list(refusals: Sequence[Refusal]) -> None:
    """The refused files by name, each with its reason and what to do; many are folded."""
    with ui.element("section").classes("l4-refused").props('aria-label="Refused"'):
        if len(refusals) <= FOLD:
            for refusal in refusals:
                _refused(refusal)
            return
        counts = Counter(sentence(refusal.reason) for refusal in refusals)
        (reason, most), *rest = counts.most_common()
        others = f" {things(len(refusals) - most, 'other')} for other reasons." if rest else ""
        with ui.element("details"):
            summary = f"{things(len(refusals), 'file or record', 'files and records')} refused."
            Words("summary", f"{summary} {thousands(most)}: {reason}{others}")
            for refusal in refusals[:200]:
                _refused(refusal)
            if len(refusals) > 200:
                said = f"and {things(len(refusals) - 200, 'more')}: the exports name all of them"
                Words("p", said).classes("l4-muted")


def _refused(refusal: Refusal) -> None:
    with ui.element("details"):
        with ui.element("summary"):
            Words("strong", f"{refusal.record}:")
            Words("span", f" refused. {sentence(refusal.reason)}")
            Words("span", " Why?").classes("l4-why")
        where = [f"line {refusal.line}"] if refusal.line is not None else []
        where += [refusal.element] if refusal.element else []
        if where:
            Words("p", f"Where: {', '.join(where)}.")
        Words("p", refusal.hint or "Check that it is a ClinicalTrials.gov record.")


def not_asked_list(refusals: Sequence[Refusal]) -> None:
    """Records that the question does not apply to, each with the reason."""
    with ui.element("section").classes("l4-not-asked").props('aria-label="Not forecast"'):
        with ui.element("details") as box:
            what = things(len(refusals), "record")
            Words("summary", f"{what} not forecast: the question does not apply.")
            for refusal in refusals[:200]:
                with ui.element("p"):
                    _not_asked(refusal)
            if len(refusals) > 200:
                said = f"and {things(len(refusals) - 200, 'more')}: the exports name all of them"
                Words("p", said).classes("l4-muted")
        if len(refusals) <= FOLD:
            box.props("open")


def _not_asked(refusal: Refusal) -> None:
    """A record's number and title, which lead to what was read of it, and the reason."""
    subject = refusal.subject or {}
    known = (subject.get("nct_id"), subject.get("title"))
    named = ", ".join(str(part) for part in known if part) or refusal.record
    if subject and refusal.id:
        ui.link(named, f"/not-forecast/{refusal.id}")
    else:
        Words("strong", named)
    Words("span", f": {sentence(refusal.reason)}")


def titled_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, label: str) -> None:
    """A table to read; as a list, where it is narrow, each value carries its heading."""
    with ui.element("div").classes("l4-scroll"):
        shown = ui.element("table").classes("l4-table l4-titled")
        shown.props["aria-label"] = label
    with shown:
        with ui.element("thead"), ui.element("tr"):
            for column in columns:
                Words("th", column).props('scope="col"')
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for title, text in zip(columns, row, strict=True):
                        Words("td", text).props["data-title"] = title


def copy_button(text: str, label: str) -> None:
    """A button that copies ``text``, and says that it has."""
    button = ui.button("Copy").props("flat dense no-caps")
    button.props["aria-label"] = label
    button.props["data-copy"] = text
    button.on(
        "click", js_handler="(e) => navigator.clipboard?.writeText(e.currentTarget.dataset.copy)"
    )
    button.on_click(lambda: button.set_text("Copied"))


def choice(
    label: str,
    options: Mapping[str, str],
    value: str,
    on_change: Callable[[str], Awaitable[None] | None],
) -> ui.select:
    """A labelled select of one value."""

    async def changed(event: object) -> None:
        answer = on_change(str(getattr(event, "value", "")))
        if answer is not None:
            await answer

    made = ui.select(dict(options), value=value, label=label, on_change=changed)
    made.props("outlined dense options-dense").classes("l4-choice")
    return made
