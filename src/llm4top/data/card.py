"""The card of a data set: what is in it, where it came from and what was left out, and why."""

from pydantic import BaseModel, ConfigDict, Field

CARD_SCHEMA = 2


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Part):
    """One file (or folder) the rows were read from, and how many rows it gave."""

    name: str
    sha256: str
    rows: int


class DroppedRecord(_Part):
    """One record that was left out."""

    nct_id: str
    reason: str


class TimeSpan(_Part):
    """First and last start date (ISO, as precise as the source) and the rows without one."""

    first: str | None = None
    last: str | None = None
    unknown: int = 0


class DatasetCard(_Part):
    """What ``card.json`` holds.

    ``balance`` counts rows by split and label; ``balance_by_phase`` by phase, split and label.
    ``text_lengths`` are quantiles of characters ("trial": all text of a trial, "criteria": its
    eligibility criteria). ``presence`` is the share of rows that hold each field, by label: a
    field that is present for one label only may tell the outcome by its mere presence.
    ``dropped`` counts records that were left out, by reason; ``dropped_first`` names the first
    hundred. ``notes`` counts what happened to rows that stayed, such as merged copies.
    """

    schema_version: int = CARD_SCHEMA
    name: str
    created: str
    llm4top_version: str
    task: dict[str, object]
    sha256: str
    rows: int
    provenance: tuple[SourceFile, ...] = ()
    split_rule: str = ""
    balance: dict[str, dict[str, int]] = Field(default_factory=dict)
    balance_by_phase: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    time_span: dict[str, TimeSpan] = Field(default_factory=dict)
    text_lengths: dict[str, dict[str, int]] = Field(default_factory=dict)
    presence: dict[str, dict[str, float]] = Field(default_factory=dict)
    dropped: dict[str, int] = Field(default_factory=dict)
    dropped_first: tuple[DroppedRecord, ...] = ()
    notes: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
