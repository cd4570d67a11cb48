"""What a page is given: the open workspace, the server's address, the runs and the navigation."""

import getpass
import threading
from dataclasses import dataclass, field
from typing import Literal
from weakref import WeakKeyDictionary

from nicegui import app, ui

from llm4top.studio.guard.privacy import ConnectionWatch
from llm4top.studio.guard.safety import is_loopback
from llm4top.studio.jobs import JobWatch
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace

_services: WeakKeyDictionary[Workspace, ForecastService] = WeakKeyDictionary()
_lock = threading.Lock()


def forecast_service(workspace: Workspace) -> ForecastService:
    """The workspace's service; it ends with the server."""
    with _lock:
        found = _services.get(workspace)
        if found is None:
            found = _services[workspace] = ForecastService()
            app.on_shutdown(found.close)
    return found


Where = Literal["rail", "menu", "nowhere"]


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


@dataclass(slots=True)
class StudioContext:
    """The Studio as its pages see it.

    Attributes:
        workspace: the open workspace.
        host: the address that the server listens on.
        port: the port that the server listens on.
        watch: records connections to other machines.
        behind: the origin by which a reverse proxy serves the Studio, if one does.
        jobs: the runs as the job drawer shows them.
        places: the pages that exist.
    """

    workspace: Workspace
    host: str
    port: int
    watch: ConnectionWatch
    behind: str | None = None
    jobs: JobWatch = field(init=False)
    places: list[Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = JobWatch(self.workspace)

    @property
    def shared(self) -> bool:
        """Whether other machines can reach it: by its own address, or through a proxy."""
        return self.behind is not None or not is_loopback(self.host)

    def who(self) -> str:
        """The visitor's name for the activity log: the user of this machine, or an address.

        Call it while the page is built or an event is handled.
        """
        if self.shared:
            return ui.context.client.ip or "unknown"
        try:
            return getpass.getuser()
        except (OSError, KeyError):  # a user without a name, as in some containers
            return "local user"

    def navigation(self, where: Where) -> list[Place]:
        """The places of the rail or of the menu, in their order."""
        return sorted((p for p in self.places if p.where == where), key=lambda p: p.order)
