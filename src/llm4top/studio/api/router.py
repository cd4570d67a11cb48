"""The API under ``/api/v1``: records in, forecasts out; runs; bundles; uploads.

It is an application of its own, so that every address below its prefix, also one that does not
exist, answers in its one shape of errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from llm4top import __version__
from llm4top.studio.api.docs_page import render_docs
from llm4top.studio.api.errors import LastResort, add_error_handlers, responses
from llm4top.studio.api.forecasts import forecasts_router
from llm4top.studio.api.runs import runs_router
from llm4top.studio.api.schemas import BundleCardOut, BundleOut, Limit, Offset, Page, next_offset
from llm4top.studio.api.uploads import uploads_router
from llm4top.workspace.bundles import WorkspaceBundle
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace

BundleId = Annotated[
    str, Path(pattern=r"^(embedded|[0-9a-f]{32})$", description='"embedded", or an id.')
]


def bundles_router(workspace: Workspace) -> APIRouter:
    """Operations on bundles."""
    router = APIRouter(tags=["Bundles"])

    @router.get("/bundles", responses=responses(422, 503))
    def list_bundles(limit: Limit = 100, offset: Offset = 0) -> Page[BundleOut]:
        """The models that can forecast: the embedded one, then the others by name."""
        every = workspace.bundles.list()
        found = every[offset : offset + limit]
        return Page(
            items=[BundleOut(**_values(bundle)) for bundle in found],
            total=len(every),
            next=next_offset(offset, len(found), len(every)),
        )

    @router.get("/bundles/{bundle_id}", responses=responses(404, 422, 503))
    def get_bundle(bundle_id: BundleId) -> BundleCardOut:
        """A model with its manifest: what it has learnt from, how good it is, its licence."""
        bundle = workspace.bundles.get(bundle_id)
        return BundleCardOut(**_values(bundle), facts=bundle.facts)

    return router


def _values(bundle: WorkspaceBundle) -> dict[str, Any]:
    return {
        "id": bundle.id,
        "name": bundle.name,
        "identity": bundle.identity,
        "task": bundle.task,
        "is_default": bundle.is_default,
    }


PREFIX = "/api/v1"

_DESCRIPTION = """\
Forecasts of clinical trials from their registry records, made on this machine.

Things are named by id, never by a path. Lists come in pages. Every failure has one shape: a code
for programs, what happened, where, and what to do. Forecasts are research estimates, not medical
or investment advice."""


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
    for router in (
        forecasts_router(workspace, service),
        runs_router(workspace),
        bundles_router(workspace),
        uploads_router(workspace),
    ):
        app.include_router(router, prefix=PREFIX)

    @app.get(f"{PREFIX}/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(render_docs(app.openapi()))

    add_error_handlers(app)
    return app


def api_router(
    workspace: Workspace, service: Callable[[], ForecastService] | None = None
) -> APIRouter:
    """The API as a router that hands all below ``PREFIX`` to it; for ``include_router``.

    Without ``service`` the API forecasts with the service that the workspace's pages use.
    """

    def shared() -> ForecastService:
        from llm4top.studio.components.service import forecast_service

        return forecast_service(workspace)

    router = APIRouter()
    answer = _Api(make_api(workspace, service or shared))
    for path in (PREFIX, PREFIX + "/{rest:path}"):
        router.add_route(path, answer, methods=[], include_in_schema=False)  # type: ignore[arg-type]
    return router


class _Api:
    """The API as the endpoint of one route, whatever the method."""

    def __init__(self, app: FastAPI):
        self._app = LastResort(app, uncapped=frozenset({f"{PREFIX}/forecasts"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What the outer application found out about the path is not the inner one's.
        inner = {
            key: scope[key] for key in scope if key not in ("path_params", "endpoint", "route")
        }
        await self._app(inner, receive, send)
