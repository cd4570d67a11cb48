"""Help: how to start, and every metric and term of the pages in two sentences."""

from importlib.resources import files

import yaml
from nicegui import ui

from llm4top.studio.components.elements import Words, section
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page


def register(context: StudioContext) -> None:
    """Add a page to the menu."""
    texts = yaml.safe_load((files("llm4top.studio") / "assets" / "help.yaml").read_text("utf-8"))

    @page(context, "/help", "Help", icon="help_outline", order=85, where="menu")
    def help_page() -> None:
        with section("How to start"), ui.element("ul").classes("l4-steps"):
            for step in texts["steps"]:
                with ui.element("li"):
                    ui.link(step["name"], step["path"])
                    Words("span", f": {step['text']}")
        for title, terms in texts["terms"].items():
            with section(title), ui.element("dl").classes("l4-terms"):
                for term, meaning in terms.items():
                    Words("dt", term).props["id"] = anchor(term)
                    Words("dd", meaning)


def anchor(term: str) -> str:
    """The part of the address after "#" that links to a term."""
    return "-".join("".join(c if c.isalnum() else " " for c in term.lower()).split())
