"""The API under ``/api/v1``: forecasts, drafts, runs, bundles, uploads.

It is an application of its own, so that every address below its prefix, also one that does not
exist, returns errors in the one form of the API.
"""

from collections.abc import Callable
from importlib.resources import files
from string import Template
from typing import Annotated, Any

import fastapi_offline
from fastapi import APIRouter, FastAPI, Path, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from llm4top import __version__
from llm4top.studio.api import (
    drafts,
    explanations,
    forecasts,
    portfolio,
    precedents,
    reports,
    runs,
    schemas,
    uploads,
    what_if,
)
from llm4top.studio.api.errors import LastResort, add_error_handlers, responses
from llm4top.studio.guard.security_headers import NONCE_KEY
from llm4top.workspace.bundles import WorkspaceBundle
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

_PAGE = Template((files("llm4top.studio") / "assets" / "api.html").read_text("utf-8"))


def add_docs(app: FastAPI, prefix: str) -> None:
    """Serve the page at ``prefix/docs``, and what it loads below that."""

    @app.get(f"{prefix}/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        nonce = request.scope.get(NONCE_KEY, "")
        return HTMLResponse(_PAGE.substitute(nonce=nonce))

    @app.get(f"{prefix}/docs/{{name}}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        content = (files(fastapi_offline) / "static" / name).read_bytes()
        return Response(content, media_type=_ASSETS[name])


BundleId = Annotated[str, Path(pattern=schemas.BUNDLE_PATTERN, description='"embedded", or an id.')]

_bundles = APIRouter(tags=["Bundles"])


@_bundles.get("/bundles", responses=responses(422, 503))
def list_bundles(
    workspace: schemas.OpenWorkspace, limit: schemas.Limit = 100, offset: schemas.Offset = 0
) -> schemas.Page[schemas.BundleOut]:
    """The models: the embedded one, then the others by name."""
    every = workspace.bundles.list()
    found = every[offset : offset + limit]
    return schemas.page_of(
        [schemas.BundleOut(**_values(bundle)) for bundle in found], offset, len(every)
    )


@_bundles.get("/bundles/{bundle_id}", responses=responses(404, 422, 503))
def get_bundle(workspace: schemas.OpenWorkspace, bundle_id: BundleId) -> schemas.BundleCardOut:
    """A model with its manifest: training data, metrics, licence."""
    bundle = workspace.bundles.get(bundle_id)
    return schemas.BundleCardOut(**_values(bundle), facts=bundle.facts)


def _values(bundle: WorkspaceBundle) -> dict[str, Any]:
    return {
        "id": bundle.id,
        "name": bundle.name,
        "identity": bundle.identity,
        "kind": bundle.facts["kind"],
        "task": bundle.task,
        "is_default": bundle.is_default,
    }


PREFIX = "/api/v1"
_LARGE = ("forecasts", "drafts", "portfolio")
"""Paths that take files, with limits of their own."""

_DESCRIPTION = """\
Forecasts of clinical trials from their registry records, made on this machine.

Everything is named by id, never by a path. Lists are paged. All errors have one form: a code for
programs, what happened, where, and what to do. Forecasts are research estimates, not medical or
investment advice."""


def make_api(workspace: Workspace, service: Callable[[], ForecastService]) -> FastAPI:
    """The API as an application whose addresses begin with ``PREFIX``.

    ``service`` gives the forecast service when it is first needed.
    """
    app = FastAPI(
        title="LLM4TOP",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.workspace, app.state.service = workspace, service
    parts = (
        *(drafts, forecasts, explanations, reports, what_if, precedents),
        *(portfolio, runs, uploads),
    )
    for operations in (*(part.router for part in parts), _bundles):
        app.include_router(operations, prefix=PREFIX)
    add_docs(app, PREFIX)
    add_error_handlers(app)
    return app


def api_router(
    workspace: Workspace, service: Callable[[], ForecastService] | None = None
) -> APIRouter:
    """The API as a router that hands all below ``PREFIX`` to it; for ``include_router``.

    Without ``service`` the API forecasts with the service that the workspace's pages use.
    """

    def shared() -> ForecastService:
        from llm4top.studio.context import forecast_service

        return forecast_service(workspace)

    router = APIRouter()
    answer = _Api(make_api(workspace, service or shared))
    for path in (PREFIX, PREFIX + "/{rest:path}"):
        router.add_route(path, answer, methods=[], include_in_schema=False)  # type: ignore[arg-type]
    return router


class _Api:
    """The API as the endpoint of one route, whatever the method."""

    def __init__(self, app: FastAPI):
        self._app = LastResort(app, uncapped=frozenset(f"{PREFIX}/{name}" for name in _LARGE))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The outer application's route does not apply to the inner one.
        inner = {
            key: scope[key] for key in scope if key not in ("path_params", "endpoint", "route")
        }
        await self._app(inner, receive, send)
