"""The operation that forecasts a stored record beside edited copies of it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from llm4top.forecasters.variants import rows_of
from llm4top.studio.api import schemas
from llm4top.studio.api.errors import responses
from llm4top.text import csv_text
from llm4top.workspace.ask import ask_about

MOST_EDITS = 200
_EXAMPLE: dict[str, Any] = {
    "forecast": "0" * 31 + "1",
    "variants": [{"name": "larger", "edits": ["phase=Phase 3", "criteria-=3"]}],
}


class EditIn(BaseModel):
    """One edit."""

    path: str = Field(max_length=100, description="criteria, criteria[3] or arms[1].label.")
    operation: Literal["set", "add", "remove"] = "set"
    value: str | int | bool | list[Any] | dict[str, Any] | None = None


EditsIn = Annotated[
    list[Annotated[str, Field(max_length=20_000)] | EditIn],
    Field(
        max_length=MOST_EDITS,
        description='Edits, as objects or as texts: "phase=Phase 3", "criteria-=3".',
    ),
]


class VariantIn(BaseModel):
    """A list of edits under a name."""

    name: str = Field(min_length=1, max_length=100)
    edits: EditsIn


class WhatIfIn(BaseModel):
    """What to compare with the record: variants, or the values of one field."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    forecast: str = Field(pattern=schemas.ID_PATTERN, description="The id of a stored forecast.")
    variants: list[VariantIn] = Field(default=[], max_length=6)
    sweep: str | None = Field(None, max_length=100, description="A field to sweep over.")
    values: list[str | int] | None = Field(
        None, max_length=24, description="What it is set to; its choices or a grid if omitted."
    )
    edits: EditsIn = Field(default=[], description="Edits that precede a sweep.")


class DifferenceOut(BaseModel):
    """How far a variant's chance is from the original's, in shares of 1."""

    value: float
    lower: float | None = Field(description="Lower bound of its paired 95 % interval.")
    upper: float | None = Field(description="Upper bound of its paired 95 % interval.")
    agreeing: int | None = Field(description="How many parts of a blend move the same way.")
    parts: int = Field(description="How many parts the blend has.")
    told_from_noise: bool | None = Field(description="Whether the interval excludes 0.")


class VariantOut(BaseModel):
    """A variant with its forecast."""

    name: str
    edits: list[EditIn]
    forecast: dict[str, Any] = Field(description="As docs/forecast-format.md describes it.")
    difference: DifferenceOut | None
    withheld: list[schemas.WithheldOut] = Field(
        description="What of the edits tells an outcome, and is hidden from the model."
    )
    unread: list[str] = Field(description="Edited fields that the model does not read.")
    words: str


class WhatIfOut(BaseModel):
    """The record, and the variants of it."""

    original: VariantOut
    variants: list[VariantOut]
    sweep: str | None
    notes: list[str] = Field(description="What a difference means, and what its interval covers.")
    disclaimer: str


router = APIRouter(tags=["What if"])


@router.post(
    "/what-if",
    response_model=WhatIfOut,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        **responses(400, 404, 422, 429, 503),
    },
)
async def what_if(
    workspace: schemas.OpenWorkspace,
    request: Request,
    asked: WhatIfIn,
    format: Annotated[  # noqa: A002 - the name of the parameter in the address
        Literal["json", "csv"], Query(description="csv returns a table.")
    ] = "json",
    x_client: schemas.ClientHeader = None,
) -> Any:
    """Forecast a stored record beside edited copies of it.

    Differences are associations that the model has learnt, not effects of a change. Each has a
    paired interval.
    """
    stored = await run_in_threadpool(workspace.forecasts.get, asked.forecast)
    arguments = asked.model_dump(exclude={"forecast"})
    arguments["base_rate"] = stored.values.get("adapted_to")
    answer = await ask_about(
        workspace,
        request.app.state.service(),
        stored,
        "what-if",
        arguments,
        client=schemas.client_of(request, x_client),
    )
    if format == "csv":
        name = {"Content-Disposition": 'attachment; filename="what-if.csv"'}
        table = csv_text(rows_of(answer))
        return Response(table, media_type="text/csv; charset=utf-8", headers=name)
    return answer
