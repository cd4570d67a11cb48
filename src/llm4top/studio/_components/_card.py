"""A model's card as HTML. Whoever made the bundle wrote it: it may hold anything."""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt
from nicegui import ui

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
