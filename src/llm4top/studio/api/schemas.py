"""What the operations of the API share: the workspace, pages of a list, the client."""

import json
from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from llm4top.workspace.workspace import Workspace

Item = TypeVar("Item")
Probability = Annotated[float, Field(ge=0, le=1)]

ID_PATTERN = r"^[0-9a-f]{32}$"
BUNDLE_PATTERN = r"^(embedded(:[a-z0-9-]{1,60})?|[0-9a-f]{32})$"
LARGEST_OFFSET = 2**31 - 1
LARGEST_PAGE = 1000
RUN_KINDS = "train, evaluate, benchmark, forecast, ingest, audit or precedents."

EXAMPLES: dict[str, Any] = json.loads(
    (files("llm4top.studio") / "assets" / "api_examples.json").read_text("utf-8")
)
"""A forecast and a record, as the documentation shows them."""


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    total: int = Field(description="Items in the whole list.", ge=0)
    next: int | None = Field(description="The offset of the next page; null at the end.")


class WithheldOut(BaseModel):
    """A field that was hidden from the model."""

    field: str = Field(description="The record's field.")
    reason: str = Field(description="Why it is hidden.")
    excerpt: str = Field(description="The beginning of its text.")


class SectionOut(BaseModel):
    """A section of the text that the model read."""

    name: str
    heading: str
    text: str = Field(description="The text as the model read it; empty where none of it fits.")
    tokens: int = Field(description="Tokens of the whole section.")
    kept: int = Field(description="Tokens that the model read.")
    cut: int = Field(description="Tokens that did not fit into the budget.")


class ForecastOut(BaseModel):
    """The estimate for one trial, in the form that docs/forecast-format.md describes."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLES["forecast"]]})

    format: int = Field(description="Version of this form.")
    id: str = Field(description="The id under which it is stored.")
    status: Literal["forecast"]
    reason: None
    record: str = Field(description="The file, and the member or position in it.")
    nct_id: str | None = Field(description="The registry's id; never shown to the model.")
    title: str
    phase: str | None
    area: str = Field(description="The therapeutic area, by ICD-10 chapter.")
    sponsor_class: str | None = Field(description="The class of the lead sponsor.")
    task: str = Field(description="The name of the question.")
    labels: list[str] = Field(description="The possible answers.")
    label: str = Field(description="The label that the probability is about.")
    probability: Probability = Field(description="The calibrated probability of that label.")
    lower: Probability | None = Field(description="Lower bound of its 95 % interval.")
    upper: Probability | None = Field(description="Upper bound of its 95 % interval.")
    unit: str | None = Field(description='Unit of a quantity, such as "months"; null otherwise.')
    median: float | None = Field(description="The quantity's median; null in an open bin.")
    p10: float | None = Field(description="Lower bound of its 80 % interval.")
    p90: float | None = Field(description="Upper bound of its 80 % interval.")
    base_rate: Probability | None = Field(
        description="Share of that label among the model's training trials of the same phase."
    )
    base_rate_of: str | None = Field(description='The phase the base rates are of, or "all".')
    adapted_to: str | None = Field(
        description="The base rates that the request adapts forecasts to; null if none."
    )
    target_rate: Probability | None = Field(
        description="Share of that label that this forecast is adapted to; null if it is not."
    )
    unadapted_probability: Probability | None = Field(
        description="The probability before it was adapted; null if it is not adapted."
    )
    unadapted_lower: Probability | None = Field(description="Lower bound before.")
    unadapted_upper: Probability | None = Field(description="Upper bound before.")
    score: float | None = Field(description="Log-odds of the label before calibration.")
    probabilities: dict[str, Probability] = Field(description="Calibrated, one for each label.")
    base_rates: dict[str, Probability] | None = Field(description="One for each label.")
    target_rates: dict[str, Probability] | None = Field(description="One for each label.")
    unadapted_probabilities: dict[str, Probability] | None = Field(
        description="Calibrated, one for each label, before the forecast was adapted."
    )
    parts: dict[str, Probability] | None = Field(
        description="What each part of a blend says of that label by itself, not calibrated."
    )
    warnings: list[str] = Field(description="What to know before you rely on it.")
    withheld: list[WithheldOut] = Field(description="Fields hidden from the model, and why.")
    sections: list[SectionOut] = Field(
        description="What the model read; empty for forecasts of a run."
    )
    unread: list[str] = Field(
        description="Sections that the record has and this model does not read."
    )
    tokens: int = Field(description="Tokens of the prompt.")
    tokens_cut: int = Field(description="Tokens of the record that did not fit the budget.")
    bundle: str = Field(description="The identity of the bundle that made it.")
    prompt_sha256: str | None = Field(description="Hash of the prompt's text.")
    source_format: str = Field(description="legacy-xml, api-v2 or top-csv.")
    source_processed: str | None = Field(description="The registry's processing date, if stated.")
    source_sha256: str = Field(description="Hash of the record's bytes as read.")
    same_trial_as: str | None = Field(
        description="An earlier record of the same request with the same NCT id."
    )
    disclaimer: str


class RefusalOut(BaseModel):
    """A file or record without a forecast."""

    record: str = Field(description="The file, and the member or position in it.")
    code: str = Field(description="The kind of error.")
    reason: str = Field(description="Why there is no forecast.")
    hint: str | None = Field(description="What to do next.")
    line: int | None = Field(description="Line of the error, from 1, if known.")
    element: str | None = Field(description="Element or key of the error, if known.")


class UploadOut(BaseModel):
    """An uploaded file. Deleting it also deletes its forecasts."""

    id: str
    name: str = Field(description="The name of the file when it was uploaded.")
    size: int = Field(description="Size in bytes.")
    sha256: str
    created: datetime


class ForecastsOut(BaseModel):
    """The forecasts of a request that was answered immediately."""

    forecasts: list[ForecastOut]
    not_applicable: list[RefusalOut] = Field(
        description="Records that the question does not apply to, each with the reason. They get "
        "no forecast."
    )
    refusals: list[RefusalOut] = Field(description="Files that could not be read, and why.")
    notes: list[str] = Field(
        description="Notes on the files, such as missing pages and skipped files."
    )
    bundle: str | None = Field(description="The bundle's identity; null without forecasts.")
    uploads: list[UploadOut] = Field(
        description="The uploaded files that are stored; refused files are not."
    )
    seconds: float = Field(description="Seconds from the request to the response.")
    disclaimer: str


class RunOut(BaseModel):
    """A run and its status."""

    id: str
    kind: str = Field(description=RUN_KINDS)
    state: str = Field(description="queued, running, stopping, done, failed or interrupted.")
    title: str
    settings: dict[str, Any]
    device: str | None
    machine: str | None = Field(description="The machine that does it, or did it last.")
    attempt: int = Field(description="Number of times it was started.")
    progress: dict[str, Any] = Field(description="The latest progress event.")
    result: dict[str, Any] = Field(description="The result of a finished run.")
    error: str | None = Field(description="Why it failed or stopped.")
    created: datetime
    started: datetime | None
    finished: datetime | None


class StartedOut(BaseModel):
    """A request that became a run because it is too large to answer immediately."""

    run: RunOut
    uploads: list[UploadOut] = Field(description="The uploaded files that the run reads.")


class EventOut(BaseModel):
    """An event of a run. Ids increase with time."""

    id: int
    time: datetime
    kind: str
    details: dict[str, Any]


class EventsOut(BaseModel):
    """Events of a run; pass ``last`` as ``after`` to get the next ones."""

    items: list[EventOut]
    last: int = Field(description="The id of the last event in `items`; `after` if there is none.")


class RunIn(BaseModel):
    """A run to start. Data sets, models and uploads are named by id; paths are refused."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "train",
                    "title": "A first try",
                    "settings": {
                        "dataset": "0123456789abcdef0123456789abcdef",
                        "base": "embedded",
                        "preset": "quick",
                    },
                }
            ]
        },
    )

    kind: str = Field(max_length=32, description=RUN_KINDS)
    settings: dict[str, Any] = Field(description="The settings of the command of that name.")
    title: str = Field("", max_length=200)


class BundleOut(BaseModel):
    """A model that you can forecast with."""

    id: str
    name: str = Field(description="Its name in this workspace.")
    identity: str = Field(description="Its name and hash, the same on every machine.")
    kind: str = Field(description="language, baseline or blend.")
    task: str = Field(description="The question that it answers.")
    is_default: bool = Field(description="Whether it is used when a request names no bundle.")


class BundleCardOut(BundleOut):
    """A model with its manifest: data, metrics, versions, licence."""

    facts: dict[str, Any] = Field(description="The manifest without the list of its files.")


async def _workspace(request: Request) -> Workspace:
    made: Workspace = request.app.state.workspace
    return made


OpenWorkspace = Annotated[Workspace, Depends(_workspace)]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="At most this many.")]
Offset = Annotated[int, Query(ge=0, le=LARGEST_OFFSET, description="Skip this many.")]
ThingId = Annotated[str, Path(pattern=ID_PATTERN, description="The id; never a path.")]
ClientHeader = Annotated[
    str | None,
    Header(
        alias="X-Client",
        max_length=64,
        pattern=r"^[\w.-]+$",
        description="A name for the client. Clients take turns; without names, all requests from "
        "one address count as one client.",
    ),
]


def page_of(items: list[Item], offset: int, total: int) -> Page[Item]:
    """The page of a list of ``total`` items that begins at ``offset``."""
    after = offset + len(items)
    return Page(items=items, total=total, next=after if items and after < total else None)


def client_of(request: Request, name: str | None) -> str:
    """The client, which takes turns with others."""
    if name:
        return f"named {name}"
    return request.client.host if request.client else "unknown"
