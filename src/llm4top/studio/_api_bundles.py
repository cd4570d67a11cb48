"""The models of this workspace."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from llm4top.studio._api_errors import responses
from llm4top.studio._api_pages import Limit, Offset, next_offset
from llm4top.studio._api_schemas import BundleCardOut, BundleOut, Page
from llm4top.workspace import Workspace, WorkspaceBundle

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
