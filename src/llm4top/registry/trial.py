"""The nouns of a registry record: what was knowable before the outcome, and what was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from llm4top.registry.criteria import normal_criteria

NO_RECORD = "there is no record in it."


@dataclass(frozen=True, slots=True)
class ReadNote:
    """A remark on a file: studies that are on pages behind it, files that were passed over.

    ``file`` names the file (``archive.zip!member`` inside an archive), ``message`` says what was
    found and ``hint`` what to do, where there is something to do. Nothing is refused because of
    it, so it changes no exit code.
    """

    file: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}: {self.message}"
        return f"{text} {self.hint}" if self.hint else text


@dataclass(frozen=True, slots=True)
class Intervention:
    """One intervention of a trial. ``arm_roles`` are the roles of the arms that receive it."""

    name: str
    type: str | None = None
    description: str | None = None
    arm_roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm (or observational group): its label, role and description."""

    label: str
    role: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One planned outcome measure."""

    measure: str
    time_frame: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Collaborator:
    """One collaborating organisation and its class (NIH, Industry, U.S. Fed or Other)."""

    name: str
    organisation_class: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What was knowable about a trial before its outcome. **The leak guard is this type.**

    It has no field for status, stop reason, results, actual dates, actual enrolment,
    identifiers, people or places, so nothing downstream can read them. Each field is an entry of
    ``llm4top.registry.fields.ALLOWED_FIELDS``. Absent values are ``None`` or ``()``; text is
    whitespace-normalised, one paragraph or bullet a line; coded values are spelled as the legacy
    XML spells them ("Phase 1/Phase 2", "Parallel Assignment", "Experimental").

    ``planned_start`` is ISO ("2031-05" or "2031-05-14"); ages are as registered ("18 Years").

    ``criteria`` are brought into one normal form whatever the layout they are given in: one
    criterion a line behind "- ", headed by "Inclusion Criteria:" and "Exclusion Criteria:".
    """

    phase: str | None = None
    study_type: str | None = None
    brief_title: str | None = None
    official_title: str | None = None
    conditions: tuple[str, ...] = ()
    condition_mesh: tuple[str, ...] = ()
    icd_codes: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    intervention_mesh: tuple[str, ...] = ()
    smiles: tuple[str, ...] = ()
    arms: tuple[Arm, ...] = ()
    number_of_arms: int | None = None
    allocation: str | None = None
    intervention_model: str | None = None
    masking: str | None = None
    primary_purpose: str | None = None
    primary_outcomes: tuple[Outcome, ...] = ()
    secondary_outcomes: tuple[Outcome, ...] = ()
    criteria: str | None = None
    sex: str | None = None
    minimum_age: str | None = None
    maximum_age: str | None = None
    healthy_volunteers: bool | None = None
    sponsor_class: str | None = None
    collaborators: tuple[Collaborator, ...] = ()
    has_dmc: bool | None = None
    planned_enrolment: int | None = None
    planned_start: str | None = None
    brief_summary: str | None = None
    detailed_description: str | None = None

    def __post_init__(self) -> None:
        if self.criteria is not None:
            object.__setattr__(self, "criteria", normal_criteria(self.criteria))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able values; absent fields are left out."""
        # dataclasses.asdict copies every text of every part, which takes ten times as long.
        return {
            name: value if isinstance(value, str) else _plain(value)
            for name in TRIAL_FIELDS
            if (value := getattr(self, name)) is not None and value != ()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Trial:
        """Inverse of ``to_dict``.

        Raises ``TypeError`` for a name that is no field of a trial.
        """
        parts: dict[str, Any] = {
            "interventions": Intervention,
            "arms": Arm,
            "primary_outcomes": Outcome,
            "secondary_outcomes": Outcome,
            "collaborators": Collaborator,
        }
        clean: dict[str, Any] = {}
        for name, value in values.items():
            if name in parts:
                clean[name] = tuple(parts[name](**_tupled(item)) for item in value)
            else:
                clean[name] = tuple(value) if isinstance(value, list) else value
        return cls(**clean)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)([_plain(item) for item in value])
    names = _PARTS.get(type(value))
    return value if names is None else {name: getattr(value, name) for name in names}


_PARTS = {
    part: tuple(field.name for field in fields(part))
    for part in (Intervention, Arm, Outcome, Collaborator)
}


def _tupled(item: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in item.items()}


@dataclass(frozen=True, slots=True)
class RegistryOutcome:
    """The label side of a record: only label rules, splits and audits may read it.

    Dates are ISO strings as precise as the record ("2004-08" or "2004-08-31"); ``start_date`` and
    ``enrolment`` are given whatever their type, ``*_type`` says "Actual", "Anticipated" or None.
    ``dropout_rate``, ``serious_event_rate`` and ``mortality_rate`` are shares from 0 to 1 of the
    participants in posted results, None where these do not tell (see ``posted_results.py``).
    ``label`` is the label that a data set brings with the record (TOP's column ``label``).
    """

    status: str | None = None
    why_stopped: str | None = None
    start_date: str | None = None
    start_date_type: str | None = None
    primary_completion_date: str | None = None
    completion_date: str | None = None
    first_submitted: str | None = None
    enrolment: int | None = None
    enrolment_type: str | None = None
    has_results: bool = False
    dropout_rate: float | None = None
    serious_event_rate: float | None = None
    mortality_rate: float | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """One thing kept out of the trial: the field, why, and a short excerpt for the person."""

    field: str
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record came from.

    ``file`` is the path as given, ``member`` the name inside an archive or the position inside a
    collection ("#12"), ``format`` one of "legacy-xml", "api-v2", "top-csv", ``processed`` the
    registry's own processing date (ISO) where the record carries one, ``sha256`` the hash of the
    record's bytes as read.
    """

    file: str
    member: str | None
    format: str
    processed: str | None
    sha256: str

    @property
    def name(self) -> str:
        """File and member in one word, as errors and tables print it."""
        return f"{self.file}!{self.member}" if self.member else self.file


@dataclass(frozen=True)
class Record:
    """One registry entry as read.

    Attributes:
        nct_id: The registry's id, for joining and grouping; never part of a prompt. None for a
            draft that is not registered yet.
        trial: What was known before the outcome.
        registry_outcome: Status, reason for stopping, actual dates and enrolment, posted results.
            Only label rules read it.
        withheld: Everything in the record that is not in ``trial``, with the reasons. It is
            rendered as text at first access, because bulk ingestion never reads it. Copies and
            pickles hold the text.
        source: File, format, processing date and hash.
    """

    nct_id: str | None
    trial: Trial
    registry_outcome: RegistryOutcome
    withheld: tuple[Withheld, ...]
    source: Source

    @classmethod
    def with_account(
        cls,
        nct_id: str | None,
        trial: Trial,
        registry_outcome: RegistryOutcome,
        account: Callable[[], tuple[Withheld, ...]],
        source: Source,
    ) -> Record:
        """A record whose ``withheld`` is what ``account`` returns, called on first access."""
        record = cls.__new__(cls)
        record.__dict__.update(
            nct_id=nct_id,
            trial=trial,
            registry_outcome=registry_outcome,
            source=source,
            _account=account,
        )
        return record

    def __getattr__(self, name: str) -> tuple[Withheld, ...]:
        if name != "withheld" or "_account" not in self.__dict__:
            raise AttributeError(f"a record has no {name}", name=name, obj=self)
        withheld: tuple[Withheld, ...] = self.__dict__["_account"]()
        self.__dict__["withheld"] = withheld
        del self.__dict__["_account"]
        return withheld

    def __reduce__(self) -> tuple[type[Record], tuple[Any, ...]]:
        return Record, tuple(getattr(self, field.name) for field in fields(self))


TRIAL_FIELDS: tuple[str, ...] = tuple(f.name for f in fields(Trial))
