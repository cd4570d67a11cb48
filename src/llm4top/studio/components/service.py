"""The forecast service of a workspace, shared by its pages and started at first use."""

import threading
from weakref import WeakKeyDictionary

from nicegui import app

from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace

_services: WeakKeyDictionary[Workspace, ForecastService] = WeakKeyDictionary()
_lock = threading.Lock()


def forecast_service(workspace: Workspace) -> ForecastService:
    """The workspace's service; it ends with the server."""
    from llm4top.workspace.serving.service import ForecastService

    with _lock:
        found = _services.get(workspace)
        if found is None:
            found = _services[workspace] = ForecastService()
            app.on_shutdown(found.close)
    return found
