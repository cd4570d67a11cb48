"""The frame around every page: navigation, title, privacy badge, colours, help.

A page is one file in ``pages`` with a function ``register(context)``::

    def register(context: StudioContext) -> None:
        @page(context, "/models", "Models", icon="category", order=40)
        def models() -> None:
            ui.label("...")

The navigation shows the pages that registered.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

from nicegui import run, ui

from llm4top.errors import DatabaseError, LLM4TOPError, NotFoundError
from llm4top.studio.components.elements import Words, error_box, heading, in_thread, muted
from llm4top.studio.context import Place, StudioContext, Where
from llm4top.studio.jobs_view import JobsView

_PROMISE = (
    "Everything stays on this machine. The Studio sends no records, forecasts or usage data "
    "anywhere, and its pages load nothing from the internet. The only command that downloads "
    "anything is “llm4top download”, when you run it. In the terminal, forecasts can use a model "
    "on a server that you name; it must be on this machine unless “--allow-remote” is added."
)
_DATABASE = (
    "One exception, chosen by whoever started it: the workspace has its database on {host}. "
    "Forecasts with the texts that were read, drafts, runs and the activity log are stored there. "
    "The counts below do not include the connection to it."
)
_HOW = (
    "Counted by the Python interpreter in this server process. The connections of its workers are "
    "from the operating system's list, read just now."
)


async def privacy_statement(context: StudioContext) -> None:
    """What stays here, who can reach the Studio, and the connections since it started."""
    heading("Privacy")
    Words("p", _PROMISE)
    if host := context.workspace.database_host:
        Words("p", _DATABASE.format(host=host))
    Words("p", _reach(context))
    box = ui.element("div").classes("l4-box")
    # Listing the connections of all processes takes a moment.
    sentences = await in_thread(proof, context)
    with box:
        for sentence in sentences or ():
            Words("div", sentence).classes("l4-what")
        muted(_HOW, "div")


def _reach(context: StudioContext) -> str:
    if context.shared:
        reach = "other machines can reach it, and need its token."
        if context.behind:
            return f"This Studio is served by a proxy as {context.behind}: {reach}"
        return (
            f"This Studio listens on {context.host}: {reach} Traffic between them and this "
            "machine is not encrypted."
        )
    return f"It listens on {context.host}, which other machines cannot reach."


def proof(context: StudioContext) -> list[str]:
    """Sentences on the connections since the start, and on those that are open now."""
    watch = context.watch
    since = f"since {watch.started:%Y-%m-%d %H:%M} UTC"
    if watch.count == 0:
        sentences = [f"No connection to another machine was attempted {since}."]
    else:
        tries = "1 attempt" if watch.count == 1 else f"{watch.count} attempts"
        sentences = [f"{tries} to reach another machine {since}:"]
        sentences += [f"{a.when:%H:%M:%S} {a.what} {a.target}" for a in list(watch.attempts)[-5:]]
    live = watch.live(context.port)
    sentences.append(
        f"Connected now: {', '.join(live[:5])}." if live else "No such connection is open now."
    )
    return sentences


API_PAGE = "/api/v1/docs"
Content = TypeVar("Content", bound=Callable[..., "Awaitable[None] | None"])


def page(
    context: StudioContext,
    path: str,
    title: str,
    *,
    icon: str = "",
    order: int = 50,
    where: Where = "rail",
    section: str | None = None,
    exists: Callable[[str], object] | None = None,
) -> Callable[[Content], Content]:
    """Decorate the function that fills a page, with or without ``async``.

    An ``LLM4TOPError`` raised while the page is filled is shown on the page as a sentence; any
    other error leads to the error page, with its trace in the log. An ``async`` function has 3 s
    before the page is given up, unless it first awaits ``elements.connected()``.

    Args:
        context: the Studio that gets the page.
        path: the address. It may hold parameters (``/trials/{forecast_id}``), which are passed
            by name: ids, never paths of files.
        title: the heading and the title of the browser's tab.
        icon: name of a Material icon.
        order: place in the navigation; lower is first.
        where: part of the navigation that links to the page.
        section: path of the place that is marked as current; the page's own by default.
        exists: called with the only parameter before the page is filled. Where it raises
            ``NotFoundError`` the page says so, with status 404.
    """
    place = Place(path, title, icon, order, where, section or path)
    context.places.append(place)

    def decorate(content: Content) -> Content:
        ui.page(path, title=f"{title} · LLM4TOP")(_framed(context, place, content, exists))
        return content

    return decorate


def _framed(
    context: StudioContext,
    place: Place,
    content: Callable[..., Any],
    exists: Callable[[str], object] | None,
) -> Callable[..., Any]:
    @wraps(content)
    async def build_async(*args: Any, **kwargs: Any) -> None:
        client = ui.context.client
        absent: LLM4TOPError | None = None
        # Before the frame: its timers let the framework answer without waiting for more.
        if exists is not None:
            try:
                await run.io_bound(exists, *kwargs.values())
            except NotFoundError as error:
                client.status_code, absent = 404, error
            except DatabaseError as error:
                client.status_code, absent = 503, error
        with frame(context, place):
            if absent is not None:
                error_box(absent)
                return
            try:
                await content(*args, **kwargs)
            except LLM4TOPError as error:
                error_box(error)
            except RuntimeError:
                # Filling what is no longer there: the visitor has left meanwhile.
                if not client.is_deleted:
                    raise

    @wraps(content)
    def build(*args: Any, **kwargs: Any) -> None:
        with frame(context, place):
            try:
                content(*args, **kwargs)
            except LLM4TOPError as error:
                error_box(error)

    made: Any = build_async if inspect.iscoroutinefunction(content) else build
    # The framework reads the parameters from here, and cannot see the page's own globals.
    made.__signature__ = inspect.signature(content, eval_str=True)
    return cast(Callable[..., Any], made)


@contextmanager
def frame(context: StudioContext, place: Place) -> Iterator[None]:
    """Draw the frame; the content of the ``with`` block is the page."""
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
        # On a narrow screen the bar has no room for these: they are behind the "?" there.
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
