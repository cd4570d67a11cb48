"""What is around every page: navigation, title, the privacy badge, light and dark, help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import ui

from llm4top.studio._jobs_view import JobsView
from llm4top.studio._pieces import Words, heading
from llm4top.studio._privacy_view import privacy_statement

if TYPE_CHECKING:
    from llm4top.studio._context import Place, StudioContext

API_PAGE = "/api/v1/docs"


@contextmanager
def frame(context: StudioContext, place: Place) -> Iterator[None]:
    """Draw the frame; what is made inside the ``with`` block is the page."""
    # The framework wraps everything in a `main` of its own, which is not the page's: a plain
    # element in its place leaves one main landmark, the page.
    if (outer := ui.context.client.content.parent_slot) is not None:
        outer.parent.tag = "div"
    Words("a", "Skip to the page").classes("l4-skip").props('href="#page"')
    jobs = JobsView(context)
    _navigation(context, place, jobs)
    with ui.element("div").classes("l4-body"):
        with ui.element("header").classes("l4-top"):
            heading(place.title, level=1)
            jobs.button("l4-jobs-top")
            _badge(context)
            _theme_button()
            _menu(context)
        with ui.element("main").classes("l4-page").props('id="page" tabindex="-1"'):
            yield


def _navigation(context: StudioContext, current: Place, jobs: JobsView) -> None:
    with ui.element("nav").classes("l4-rail").props('aria-label="Pages"'):
        Words("a", "LLM4TOP").classes("l4-brand").props('href="/"')
        for place in context.navigation("rail"):
            _place_link(place, current)
        ui.element("div").classes("l4-space")
        jobs.button("l4-jobs-rail")
        # Where it is narrow the bar has no room for these: they are behind the "?" there.
        for place in context.navigation("menu"):
            if place.icon and place.path != API_PAGE:
                _place_link(place, current).classes("l4-second")


def _place_link(place: Place, current: Place) -> ui.element:
    link = ui.element("a").classes("l4-place").props(f'href="{place.path}"')
    if place.path == current.section:
        link.props('aria-current="page"')
    with link:
        if place.icon:
            ui.icon(place.icon).props('aria-hidden="true"')
        Words("span", place.title)
    return link


def _badge(context: StudioContext) -> None:
    with ui.dialog() as dialog, ui.card():
        body = ui.column()
        ui.button("Close", on_click=dialog.close).props("flat")
    dialog.props('aria-label="Privacy"')

    async def show() -> None:
        body.clear()
        dialog.open()
        with body:
            await privacy_statement(context)

    badge = ui.element("button").classes("l4-badge").props('type="button" aria-haspopup="dialog"')
    if context.shared:
        badge.classes("l4-open")
    with badge.on("click", show):
        ui.element("span").classes("l4-dot").props('aria-hidden="true"')
        Words("span", "Open to others" if context.shared else "Local only")


def _theme_button() -> None:
    # The script of the style sheet listens for clicks; the server need not know.
    button = ui.element("button").classes("l4-tool")
    button.classes("l4-theme")
    with button.props('type="button" data-l4-theme="" aria-label="Colours. Change"'):
        ui.icon("contrast").props('aria-hidden="true"')
        Words("span", "").props('data-l4-theme-name="" aria-hidden="true"')


def _menu(context: StudioContext) -> None:
    places = context.navigation("menu")
    if not places:
        return
    button = ui.element("button").classes("l4-tool")
    with button.props('type="button" aria-label="Help and settings" aria-haspopup="menu"'):
        ui.icon("help_outline").props('aria-hidden="true"')
        with ui.menu():
            for place in places:
                ui.menu_item(place.title, lambda path=place.path: ui.navigate.to(path))
