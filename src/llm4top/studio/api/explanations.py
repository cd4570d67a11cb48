"""The operation that says what moves a stored forecast."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from llm4top.studio.api import schemas
from llm4top.studio.api.errors import responses
from llm4top.workspace.reasons import SAMPLES, reasons_of

_MOST_SAMPLES = 256


class ContributionOut(BaseModel):
    """What a section, or a piece of one, adds to the log-odds."""

    name: str
    text: str = Field(description="The section's heading, or the piece's text.")
    log_odds: float = Field(description="Its Shapley value.")
    lower: float = Field(description="Lower bound of its 95 % interval over permutations.")
    upper: float = Field(description="Upper bound; both are the value where it is exact.")
    chance_without: schemas.Probability = Field(description="The chance less what it adds.")


class StepOut(BaseModel):
    """What a stage after the calibration adds to the log-odds."""

    name: str
    log_odds: float
    note: str


class FeatureOut(BaseModel):
    """A feature of a part."""

    name: str
    value: str
    amount: float


class PartOut(BaseModel):
    """What moves a linear or tree part by itself, before pooling and calibration."""

    part: str
    unit: Literal["log-odds", "share"]
    base: float
    features: list[FeatureOut]
    others: float = Field(description="What all other features add together.")
    total: float


class ExplanationOut(BaseModel):
    """What moves a forecast: associations that the model has learnt, not causes."""

    record: str
    nct_id: str | None
    title: str
    task: str
    event: str = Field(description="What the chance is of.")
    chance: schemas.Probability
    start: float = Field(description="Log-odds of the record without any section.")
    sections: list[ContributionOut] = Field(description="The strongest first.")
    pieces_of: str | None = Field(description="The section that the pieces are of.")
    pieces: list[ContributionOut]
    pieces_total: float
    steps: list[StepOut]
    parts: list[PartOut]
    exact: bool
    samples: int
    seed: int
    asked: int = Field(description="Copies of the record that were forecast.")
    bundle: str
    source_sha256: str
    note: str
    disclaimer: str


ForecastId = Annotated[
    str, Path(pattern=schemas.ID_PATTERN, description="The id of a stored forecast.")
]
Samples = Annotated[
    int,
    Query(ge=4, le=_MOST_SAMPLES, multiple_of=2, description="Permutations; an even number."),
]

router = APIRouter(tags=["Forecasts"])


@router.get(
    "/forecasts/{forecast_id}/explanation",
    response_model=ExplanationOut,
    responses=responses(404, 422, 429, 503),
)
async def explain_forecast(
    workspace: schemas.OpenWorkspace,
    request: Request,
    forecast_id: Annotated[
        str, Path(pattern=schemas.ID_PATTERN, description="The id of a stored forecast.")
    ],
    samples: Annotated[
        int,
        Query(ge=4, le=_MOST_SAMPLES, multiple_of=2, description="Permutations; an even number."),
    ] = SAMPLES,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1, description="Seed of the permutations.")] = 0,
    x_client: schemas.ClientHeader = None,
) -> Any:
    """What moves the forecast, by section, by sentence and by feature.

    It takes a few seconds, and is kept with the forecast.
    """
    stored = await run_in_threadpool(workspace.forecasts.get, forecast_id)
    return await reasons_of(
        workspace,
        request.app.state.service(),
        stored,
        client=schemas.client_of(request, x_client),
        samples=samples,
        seed=seed,
    )
