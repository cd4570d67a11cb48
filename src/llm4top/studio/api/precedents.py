"""Operations on precedents: the earlier trials that are most like a record."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from llm4top.errors import BundleError, NotFoundError
from llm4top.studio.api import schemas
from llm4top.studio.api.errors import ApiError, responses
from llm4top.studio.api.uploads import forget, take_in
from llm4top.workspace.ask import ask_about
from llm4top.workspace.precedents import index_folder
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.serving.service import ForecastService
from llm4top.workspace.workspace import Workspace

Count = Annotated[int, Query(ge=1, le=200, description="How many precedents.")]
Before = Annotated[
    str | None,
    Query(
        pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$",
        description="Only trials completed before this date; by default before the record's start.",
    ),
]

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One record: a file (XML, JSON), or ClinicalTrials.gov API v2 JSON.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": {"type": "object", "minProperties": 1},
                "example": schemas.EXAMPLES["record"],
            },
        },
    }
}


class DifferenceOut(BaseModel):
    """A field that both trials state and in which they differ."""

    field: str
    heading: str
    here: list[str] = Field(description="What only this trial has.")
    there: list[str] = Field(description="What only the precedent has.")
    shared: list[str] = Field(description="What both have.")


class NeighbourOut(BaseModel):
    """An earlier trial that is like the record."""

    rank: int = Field(description="From 1: by words and by the model together.")
    nct_id: str
    title: str
    phase: str | None
    outcome: str = Field(description="Its label.")
    start_date: str | None
    completion_date: str
    words: float = Field(description="Cosine of the words, 0 to 1.")
    model: float | None = Field(description="Cosine of the hidden states; null without that view.")
    link: str = Field(description="Where the registry shows it; nothing here opens it.")
    differences: list[DifferenceOut]


class ShareOut(BaseModel):
    """How many of the neighbours had a label."""

    label: str
    count: int
    share: schemas.Probability
    lower: schemas.Probability = Field(description="Lower bound of Wilson's 95 % interval.")
    upper: schemas.Probability = Field(description="Upper bound.")
    base_rate: schemas.Probability = Field(description="Share among all earlier trials.")


class PrecedentsOut(BaseModel):
    """The precedents of a record."""

    nct_id: str | None
    before: str = Field(description="Every precedent was completed before this day.")
    before_is: str = Field(description='"planned start", "start date", "given" or "today".')
    earlier: int = Field(description="Trials of the index that were completed before.")
    later: int = Field(description="Trials that were not, and were not looked at.")
    n: int = Field(description="Number of neighbours.")
    shares: list[ShareOut] = Field(description="One for each label; empty without neighbours.")
    base_phase: str | None = Field(description='Whose base rate it is, or "all".')
    base_n: int = Field(description="From how many earlier trials.")
    neighbours: list[NeighbourOut] = Field(description="The most alike first.")
    index: str = Field(description="Name and hash of the index.")
    task: str = Field(description="The question that the labels answer.")
    notes: list[str] = Field(description="What to know about this answer.")


router = APIRouter(tags=["Precedents"])


@router.get("/precedents", responses=responses(404, 422, 429, 503))
async def find_precedents(
    workspace: schemas.OpenWorkspace,
    request: Request,
    forecast: Annotated[
        str, Query(pattern=schemas.ID_PATTERN, description="The id of a stored forecast.")
    ],
    k: Count = 10,
    before: Before = None,
    x_client: schemas.ClientHeader = None,
) -> PrecedentsOut:
    """The earlier trials most like the record of a stored forecast.

    Build the index first: `llm4top precedents build`.
    """
    arguments = await run_in_threadpool(_arguments, workspace, k, before)
    stored = await run_in_threadpool(workspace.forecasts.get, forecast)
    service: ForecastService = request.app.state.service()
    client = schemas.client_of(request, x_client)
    found = await ask_about(workspace, service, stored, "precedents", arguments, client=client)
    return PrecedentsOut(**found)


@router.post(
    "/precedents",
    responses=responses(400, 404, 413, 415, 422, 429, 503),
    openapi_extra=_BODY,
)
async def find_precedents_of_a_record(
    workspace: schemas.OpenWorkspace,
    request: Request,
    k: Count = 10,
    before: Before = None,
    x_client: schemas.ClientHeader = None,
) -> PrecedentsOut:
    """The earlier trials most like a record, which is not stored.

    Of a file with several records the first one counts.
    """
    arguments = await run_in_threadpool(_arguments, workspace, k, before)
    uploads = await take_in(workspace, request)
    try:
        if len(uploads) != 1:
            raise ApiError(400, "bad-request", "send one file.", where="files")
        upload = uploads[0]
        path = await run_in_threadpool(workspace.uploads.path, upload.id)
        service: ForecastService = request.app.state.service()
        found = await service.ask(
            "precedents",
            UploadedFile(path, upload.name, upload.id),
            arguments,
            client=schemas.client_of(request, x_client),
        )
    finally:
        # Without a wait: where the server is closing, a wait would be cut short.
        forget(workspace, uploads)
    return PrecedentsOut(**found)


def _arguments(workspace: Workspace, k: int, before: str | None) -> dict[str, Any]:
    """What the work is given; ``NotFoundError`` where there is no index, or it is damaged."""
    from llm4top.forecasters.precedents.store import read_card

    folder = index_folder(workspace)
    try:
        read_card(folder)
    except BundleError as error:
        raise NotFoundError(error.message, where="precedents", hint=error.hint) from error
    return {"folder": str(folder), "k": k, "before": before}
