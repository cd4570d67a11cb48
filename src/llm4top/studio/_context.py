"""What a page is given, and how it joins the frame and the navigation."""

from __future__ import annotations

import getpass
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from llm4top.errors import LLM4TOPError, NotFoundError
from llm4top.studio._jobs import JobWatch

if TYPE_CHECKING:
    from llm4top.studio._privacy import ConnectionWatch
    from llm4top.workspace import Workspace

Where = Literal["rail", "menu", "nowhere"]
Content = TypeVar("Content", bound=Callable[..., "Awaitable[None] | None"])


@dataclass(frozen=True, slots=True)
class Place:
    """A page in the navigation.

    ``where`` is "rail" (left on wide screens, the bottom bar on narrow ones), "menu" (behind the
    "?" at the top) or "nowhere" (the page of one thing, reached from another page). ``section``
    is the path of the place that is marked as the current one while this page is shown.
    """

    path: str
    title: str
    icon: str
    order: int
    where: Where
    section: str


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "local user"


class StudioContext:
    """The Studio as its pages see it.

    ``workspace`` is the open workspace, ``host`` and ``port`` the address the server listens on,
    ``behind`` the origin by which a proxy serves it, if one does, ``watch`` what knows of
    connections to the outside, ``jobs`` the runs as the drawer shows them, ``shared`` whether
    other machines can reach this Studio, and ``places`` the pages that exist.

    A page is one file in ``_pages`` with a function ``register(context)``::

        def register(context: StudioContext) -> None:
            @context.page("/models", "Models", icon="category", order=40)
            def models() -> None:
                ui.label("...")

    Nothing else has to be told: the navigation holds the pages that registered.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        host: str,
        port: int,
        watch: ConnectionWatch,
        behind: str | None = None,
    ):
        self.workspace = workspace
        self.host = host
        self.port = port
        self.watch = watch
        self.behind = behind
        self.jobs = JobWatch(workspace)
        self.places: list[Place] = []

    @property
    def shared(self) -> bool:
        """Whether other machines can reach it: by its own address, or through a proxy."""
        from llm4top.studio._safety import is_loopback

        return self.behind is not None or not is_loopback(self.host)

    def who(self) -> str:
        """Who is looking at the page: the user of this machine, or a visitor's address.

        For the activity log. Call it while the page is built or an event is handled.
        """
        if not self.shared:
            return _user()
        from nicegui import ui

        return ui.context.client.ip or "unknown"

    def navigation(self, where: Where) -> list[Place]:
        """The places of the rail or of the menu, in their order."""
        return sorted((p for p in self.places if p.where == where), key=lambda p: p.order)

    def page(
        self,
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

        ``path`` may hold parameters (``/trials/{forecast_id}``), which are passed by name: ids,
        never paths of files. ``exists`` is called with the only one, before the page is filled,
        and raises ``NotFoundError`` for one that does not exist: the page then says so, with the
        status 404. ``icon`` is a Material icon's name. An ``LLM4TOPError`` raised while
        the page is filled is shown in its place as a sentence; any other error leads to the error
        page, and its trace to the log. A function with ``async`` has 3 s before the page is
        given up, unless it first awaits ``ui.context.client.connected()``.
        """
        place = Place(path, title, icon, order, where, section or path)
        self.places.append(place)

        def decorate(content: Content) -> Content:
            from nicegui import ui

            ui.page(path, title=f"{title} · LLM4TOP")(self._framed(place, content, exists))
            return content

        return decorate

    def _framed(
        self,
        place: Place,
        content: Callable[..., Any],
        exists: Callable[[str], object] | None,
    ) -> Callable[..., Any]:
        from nicegui import run, ui

        from llm4top.studio._frame import frame
        from llm4top.studio._pieces import error_box

        if inspect.iscoroutinefunction(content):

            @wraps(content)
            async def build(*args: Any, **kwargs: Any) -> None:
                client = ui.context.client
                absent = None
                # Before the frame: its timers let the framework answer without waiting for more.
                if exists is not None:
                    try:
                        await run.io_bound(exists, *kwargs.values())
                    except NotFoundError as error:
                        client.status_code, absent = 404, error
                with frame(self, place):
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
        else:

            @wraps(content)
            def build(*args: Any, **kwargs: Any) -> None:
                with frame(self, place):
                    try:
                        content(*args, **kwargs)
                    except LLM4TOPError as error:
                        error_box(error)

        # The framework reads the parameters from here, and cannot see the page's own globals.
        build.__signature__ = inspect.signature(content, eval_str=True)  # type: ignore[attr-defined]
        return build
