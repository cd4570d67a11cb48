"""Pages of a list, and who asks: what the operations of the API share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from llm4top.text import DISCLAIMER

Item = TypeVar("Item")
Probability = Annotated[float, Field(ge=0, le=1)]

ID_PATTERN = r"^[0-9a-f]{32}$"
LARGEST_OFFSET = 2**31 - 1
LARGEST_PAGE = 1000

_FORECAST: dict[str, Any] = {
    "format": 2,
    "id": "0123456789abcdef0123456789abcdef",
    "status": "forecast",
    "reason": None,
    "record": "example.xml",
    "nct_id": "NCT99999901",
    "title": "Exemplamab in Adults With Moderate to Severe Plaque Psoriasis",
    "phase": "Phase 2",
    "area": "skin (L)",
    "sponsor_class": "Industry",
    "task": "outcome",
    "labels": ["failure", "success"],
    "label": "success",
    "probability": 0.59,
    "lower": 0.48,
    "upper": 0.69,
    "base_rate": 0.47,
    "base_rate_of": "Phase 2",
    "score": 0.36,
    "probabilities": {"failure": 0.41, "success": 0.59},
    "base_rates": {"failure": 0.53, "success": 0.47},
    "warnings": [],
    "withheld": [
        {"field": "overall_status", "reason": "tells how the trial went", "excerpt": "Recruiting"}
    ],
    "sections": [
        {
            "name": "phase",
            "heading": "Phase",
            "text": "Phase 2",
            "tokens": 6,
            "kept": 6,
            "cut": 0,
        }
    ],
    "unread": [],
    "tokens": 372,
    "tokens_cut": 0,
    "bundle": "llm4top-mini-0123456789ab",
    "prompt_sha256": "0" * 64,
    "source_format": "legacy-xml",
    "source_processed": "2026-01-31",
    "source_sha256": "0" * 64,
    "same_trial_as": None,
    "disclaimer": DISCLAIMER,
}


class Page(BaseModel, Generic[Item]):
    """Some of a list: ``next`` is the ``offset`` of what follows, null at the end."""

    items: list[Item]
    total: int = Field(description="How many there are in all.", ge=0)
    next: int | None = Field(description="The offset of the next page.")


class WithheldOut(BaseModel):
    """One thing that was kept from the model."""

    field: str = Field(description="The record's field.")
    reason: str = Field(description="Why the model must not see it.")
    excerpt: str = Field(description="How it begins, for the person.")


class SectionOut(BaseModel):
    """One section of what the model read."""

    name: str
    heading: str
    text: str = Field(description="As the model saw it; empty where nothing of it fits.")
    tokens: int = Field(description="Tokens of the section as the trial has it.")
    kept: int = Field(description="Tokens of it that the model saw.")
    cut: int = Field(description="Tokens that the budget left out.")


class ForecastOut(BaseModel):
    """The estimate for one trial, in the form that docs/forecast-format.md describes."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FORECAST]})

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
    base_rate: Probability | None = Field(
        description="Share of that label among the model's training trials of the same phase."
    )
    base_rate_of: str | None = Field(description='The phase the base rates are of, or "all".')
    score: float | None = Field(description="Log-odds of the label before calibration.")
    probabilities: dict[str, Probability] = Field(description="Calibrated, one for each label.")
    base_rates: dict[str, Probability] | None = Field(description="One for each label.")
    warnings: list[str] = Field(description="What to know before trusting the number.")
    withheld: list[WithheldOut] = Field(description="What was kept from the model, and why.")
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
    """A file or record that cannot be forecast."""

    record: str = Field(description="The file, and the member or position in it.")
    code: str = Field(description="The kind of fault.")
    reason: str = Field(description="What is wrong with it.")
    hint: str | None = Field(description="What to do.")
    line: int | None = Field(description="The line of the fault, from 1, where known.")
    element: str | None = Field(description="The element or key of the fault, where known.")


class UploadOut(BaseModel):
    """A file that was brought in. Deleting it deletes its forecasts too."""

    id: str
    name: str = Field(description="What its owner calls it.")
    size: int = Field(description="Bytes.")
    sha256: str
    created: datetime


class ForecastsOut(BaseModel):
    """The forecasts of a request that was answered at once."""

    forecasts: list[ForecastOut]
    not_applicable: list[RefusalOut] = Field(
        description="Records that were read and that the question does not apply to, each with "
        "the reason: they get no number."
    )
    refusals: list[RefusalOut] = Field(description="What could not be forecast, and why.")
    notes: list[str] = Field(
        description="What else should be known of the files: missing pages, files passed over."
    )
    bundle: str | None = Field(description="The bundle's identity; null if nothing was forecast.")
    uploads: list[UploadOut] = Field(
        description="The files as they are kept; those of which nothing was read are not."
    )
    seconds: float = Field(description="From the request to the answer.")
    disclaimer: str


class RunOut(BaseModel):
    """A job and how it stands."""

    id: str
    kind: str = Field(description="train, evaluate, benchmark, forecast, ingest or audit.")
    state: str = Field(
        description="queued, running, stopping, done, failed or interrupted: exactly one."
    )
    title: str
    settings: dict[str, Any]
    device: str | None
    attempt: int = Field(description="How often it was begun.")
    progress: dict[str, Any] = Field(description="The newest progress event.")
    result: dict[str, Any] = Field(description="What a done run gave.")
    error: str | None = Field(description="Why it failed or stopped.")
    created: datetime
    started: datetime | None
    finished: datetime | None


class StartedOut(BaseModel):
    """A request that became a run: too large to be answered while somebody waits."""

    run: RunOut
    uploads: list[UploadOut] = Field(description="The files that it reads.")


class EventOut(BaseModel):
    """One thing that happened in a run. Ids grow with time."""

    id: int
    time: datetime
    kind: str
    details: dict[str, Any]


class EventsOut(BaseModel):
    """Events after the one that was named; ask again with ``last`` as ``after``."""

    items: list[EventOut]
    last: int = Field(description="The id of the last event given, or the one asked for.")


class RunIn(BaseModel):
    """A run to start. Things in the workspace are named by their id; no path is taken."""

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

    kind: str = Field(
        max_length=32, description="train, evaluate, benchmark, forecast, ingest or audit."
    )
    settings: dict[str, Any] = Field(description="As the command of that name takes them.")
    title: str = Field("", max_length=200)


class BundleOut(BaseModel):
    """A model that forecasts."""

    id: str
    name: str = Field(description="What it is called here.")
    identity: str = Field(description="Names it for good, on any machine.")
    task: str = Field(description="The question it has learnt.")
    is_default: bool = Field(description="Whether it forecasts where nobody asks for another.")


class BundleCardOut(BundleOut):
    """A model that forecasts, with its manifest: data, metrics, versions, licence."""

    facts: dict[str, Any] = Field(description="The manifest without the list of its files.")


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
