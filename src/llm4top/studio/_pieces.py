"""Small things that pages are made of. Every text is shown as it is, never read as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from llm4top.errors import LLM4TOPError


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
