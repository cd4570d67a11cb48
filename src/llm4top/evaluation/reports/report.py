"""A report as data: everything its HTML, JSON and Markdown forms say, and nothing else."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

REPORT_SCHEMA = 1

Kind = Literal["trivial", "baseline", "language", "stack", "cheating"]
"""What a row of a table is; "cheating" marks the leak oracle, wherever it is shown."""


class Part(BaseModel):
    """Base of every part of a report: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Figure(Part):
    """A measured value with its 95 % interval and n; None where it cannot be measured."""

    value: float | None
    lower: float | None
    upper: float | None
    n: int


class DataFacts(Part):
    """A data set as measured on. ``counts`` are rows by split and label."""

    name: str
    sha256: str
    split_rule: str
    counts: dict[str, dict[str, int]]
    time_span: dict[str, str]
    files: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ForecasterRow(Part):
    """One forecaster's figures in a table. ``identity`` is its bundle's or its settings' hash."""

    forecaster: str
    kind: Kind
    learnt_from: str
    figures: dict[str, Figure]
    identity: str = ""
    note: str = ""


class Table(Part):
    """All forecasters on the same rows. ``counts`` are those rows by label.

    ``phase`` is "I", "II", ... or "pooled"; ``check`` says how the rows were kept out of training:
    "valid", "test", or "newest" (time split inside the learning part).
    """

    title: str
    phase: str
    check: Literal["valid", "test", "newest"]
    n: int
    counts: dict[str, int]
    rows: tuple[ForecasterRow, ...]
    note: str = ""


class ReliabilityBin(Part):
    """Trials with forecasts between ``low`` and ``high``: mean forecast, and what came true."""

    low: float
    high: float
    n: int
    forecast: float
    observed: float
    lower: float
    upper: float


class Curves(Part):
    """One forecaster's curves; points are (x, y), at most 200 a curve.

    ``roc``: (1 - specificity, sensitivity); ``pr``: (recall, precision); ``decision``: (threshold
    probability, net benefit); ``histogram``: counts of event probabilities in 20 equal bins, of
    the rows without and with the event.
    """

    forecaster: str
    kind: Kind
    roc: tuple[tuple[float, float], ...]
    pr: tuple[tuple[float, float], ...]
    reliability: tuple[ReliabilityBin, ...]
    decision: tuple[tuple[float, float], ...]
    histogram: tuple[tuple[int, ...], tuple[int, ...]]


class CurveSet(Part):
    """The curves that belong to one table (its ``phase`` and ``check``); binary tasks only."""

    phase: str
    check: str
    n: int
    prevalence: float
    curves: tuple[Curves, ...]


class Difference(Part):
    """``first`` minus ``second`` in one metric on the same rows.

    ``figure`` has the paired bootstrap's interval; ``p_value`` is of ``method`` ("DeLong" or
    "paired bootstrap"), ``p_adjusted`` corrected (Holm) over the ``family`` of comparisons that
    were made together.
    """

    phase: str
    check: str
    first: str
    second: str
    metric: str
    figure: Figure
    p_value: float | None
    p_adjusted: float | None
    method: str
    family: int


class SliceRow(Part):
    """One forecaster on one slice ("phase", "start year", ...); figures empty where too small."""

    by: str
    value: str
    forecaster: str
    n: int
    counts: dict[str, int]
    figures: dict[str, Figure]
    note: str = ""


class SliceTable(Part):
    """The slices of one table's rows."""

    phase: str
    check: str
    rows: tuple[SliceRow, ...]


class VariantRow(Part):
    """A variant of what the model is shown, and its difference to the full prompt."""

    variant: str
    n: int
    figures: dict[str, Figure]
    difference: dict[str, Figure]
    note: str = ""


class VariantTable(Part):
    """An ablation or a contamination probe: the same rows under several prompts."""

    title: str
    forecaster: str
    check: str
    reading: str
    rows: tuple[VariantRow, ...]


class PublishedRow(Part):
    """A published result. Never ranked with ours: ``protocol`` says what differs."""

    system: str
    phase: str
    figures: dict[str, str]
    protocol: str
    grade: str
    source: str


class LookEntry(Part):
    """One look at a test split, as the ledger has it."""

    time: str
    what: str
    bundle: str
    data_sha256: str
    n: int


class ChecklistItem(Part):
    """One item of a reporting guideline; ``open`` where the program cannot know the answer."""

    guideline: str
    item: str
    topic: str
    answer: str
    open: bool


class AuditLine(Part):
    """One check of the leak audit: "pass", "warn" or "fail", and what it saw."""

    check: str
    verdict: Literal["pass", "warn", "fail"]
    field: str
    finding: str


class Question(Part):
    """The task. ``event`` is the second label of a binary one."""

    task: str
    question: str
    labels: tuple[str, ...]
    event: str | None


class Report(Part):
    """The whole of a report.

    ``looks`` are all looks at these test rows so far, this one included; ``looks_note`` says what
    the ledger says of itself. ``reproduce`` is the command that makes the report again.
    """

    schema_version: int = REPORT_SCHEMA
    kind: Literal["evaluation", "comparison", "benchmark", "selection"]
    title: str
    summary: tuple[str, ...]
    asked: Question
    created: str
    reproduce: str
    seed: int
    draws: int
    versions: dict[str, str]
    machine: dict[str, str]
    settings: dict[str, Any] = {}
    data: tuple[DataFacts, ...] = ()
    audit: tuple[AuditLine, ...] = ()
    tables: tuple[Table, ...] = ()
    curves: tuple[CurveSet, ...] = ()
    differences: tuple[Difference, ...] = ()
    slices: tuple[SliceTable, ...] = ()
    variants: tuple[VariantTable, ...] = ()
    published: tuple[PublishedRow, ...] = ()
    looks: tuple[LookEntry, ...] = ()
    looks_note: str = ""
    checklist: tuple[ChecklistItem, ...] = ()
    notes: tuple[str, ...] = ()
