"""Pages of a list, and who asks: what the operations of the API share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query, Request

from llm4top.studio._api_schemas import ID_PATTERN, LARGEST_OFFSET, LARGEST_PAGE

Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="How many to give at most.")]
Offset = Annotated[int, Query(ge=0, le=LARGEST_OFFSET, description="How many to leave out.")]
ThingId = Annotated[str, Path(pattern=ID_PATTERN, description="The id; never a path.")]
ClientHeader = Annotated[
    str | None,
    Header(
        alias="X-Client",
        max_length=64,
        pattern=r"^[\w.-]+$",
        description="Any name for the one who asks. Clients take turns; without a name, all "
        "requests of one address are one client.",
    ),
]


def next_offset(offset: int, given: int, total: int) -> int | None:
    """The offset of the next page; None at the end."""
    after = offset + given
    return after if given and after < total else None


def client_of(request: Request, name: str | None) -> str:
    """Who asks, for taking turns."""
    if name:
        return f"named {name}"
    return request.client.host if request.client else "unknown"
