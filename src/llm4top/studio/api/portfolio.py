"""The operation that adds up a portfolio over several questions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from llm4top.errors import LargeUploadError, NotFoundError
from llm4top.studio.api import schemas
from llm4top.studio.api.errors import ApiError, responses
from llm4top.studio.api.forecasts import (
    RECORDS_BODY,
    bundle_answering,
    bundle_place,
    refusal_out,
    uploaded_files,
)
from llm4top.studio.api.uploads import forget, take_in
from llm4top.text import csv_text
from llm4top.workspace.portfolio_questions import ask_portfolio, can_be_asked
from llm4top.workspace.serving.service import ForecastService

_COMMAND = "llm4top forecast --question outcome,why-it-fails,duration --portfolio sums.json"


class NumberOut(BaseModel):
    """How many trials are expected, with the central 95 % of the distribution."""

    trials: int = Field(description="The trials that it is of.")
    expected: float
    lower: int = Field(description="Lower bound, the calibration's uncertainty included.")
    upper: int = Field(description="Upper bound.")
    exact_lower: int = Field(description="Lower bound if the chances were exact.")
    exact_upper: int


class ReasonOut(NumberOut):
    """Failures for one reason."""

    reason: str


class YearOut(NumberOut):
    """Trials that have ended by the end of a year."""

    year: int


class FailuresOut(BaseModel):
    """Failures by reason, the most expected first."""

    trials: int
    expected: float
    by_reason: list[ReasonOut]


class TimelineOut(BaseModel):
    """Trials that have ended, by year."""

    trials: int = Field(description="Trials that state a planned start.")
    ended: list[YearOut]


class NotCountedOut(BaseModel):
    """Trials that are not among the figures."""

    why: str
    count: int
    records: list[str]


class PortfolioOut(BaseModel):
    """What the records add up to."""

    label: str = Field(description="What is counted.")
    trials: int = Field(description="Trials that are added up, each once.")
    successes: NumberOut | None
    failures: FailuresOut | None
    timeline: TimelineOut | None
    not_counted: list[NotCountedOut]
    refusals: list[schemas.RefusalOut] = Field(description="Records without a forecast.")
    notes: list[str] = Field(description="What to know before you rely on it.")
    disclaimer: str


router = APIRouter(tags=["Portfolio"])


@router.post(
    "/portfolio",
    openapi_extra=RECORDS_BODY,
    response_model=PortfolioOut,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        **responses(400, 404, 413, 415, 422, 429, 503),
    },
)
async def add_up(
    workspace: schemas.OpenWorkspace,
    request: Request,
    format: Annotated[  # noqa: A002 - the name of the parameter in the address
        Literal["json", "csv"], Query(description="csv returns a table.")
    ] = "json",
    x_client: schemas.ClientHeader = None,
) -> Any:
    """How many of some trials to expect to succeed, to fail by reason, and to have ended by year.

    The records are forecast for three questions, and not stored. A further record of the same trial
    is not counted, nor are trials that the model has learnt from.
    """
    if not can_be_asked():
        raise NotFoundError("the embedded models of the other questions are not installed.")
    bundle = await run_in_threadpool(bundle_answering, workspace, None, "outcome")
    place = await run_in_threadpool(bundle_place, workspace, bundle)
    uploads = await take_in(workspace, request)
    service: ForecastService = request.app.state.service()
    client = schemas.client_of(request, x_client)
    try:
        files = await run_in_threadpool(uploaded_files, workspace, uploads)
        result = await service.forecast(files, client=client, bundle=place)
        found = await ask_portfolio(service, files, result.items, client=client)
    except LargeUploadError as error:
        hint = f"Use the command line: {_COMMAND}"
        raise ApiError(413, "too-large", error.message, where="files", hint=hint) from None
    finally:
        # Without a wait: where the server is closing, a wait would be cut short.
        forget(workspace, uploads)
    refusals = [refusal_out(one) for one in result.refusals]
    if format == "csv":
        name = {"Content-Disposition": 'attachment; filename="portfolio.csv"'}
        refused = [["refused", one.record, *[None] * 6, one.reason] for one in refusals]
        table = csv_text([*found.rows(), *refused])
        return Response(table, media_type="text/csv; charset=utf-8", headers=name)
    return {**found.to_dict(), "refusals": refusals}
