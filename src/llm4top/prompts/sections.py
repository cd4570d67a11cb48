"""A trial as titled sections of text: what a model reads, in the order in which it reads it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial


@dataclass(frozen=True, slots=True)
class Section:
    """One titled piece of a trial's text. ``fields`` are the ``Trial`` fields it is made from."""

    name: str
    heading: str
    text: str
    fields: tuple[str, ...]

    @property
    def block(self) -> str:
        """Heading and text as they stand in the prompt; several lines start below the heading."""
        return f"{self.heading}:{chr(10) if chr(10) in self.text else ' '}{self.text}"


@dataclass(frozen=True, slots=True)
class _Writer:
    name: str
    heading: str
    fields: tuple[str, ...]
    write: Callable[[Trial], str]


def _listed(values: Sequence[str]) -> str:
    return "; ".join(values)


def _bulleted(values: Sequence[str]) -> str:
    if len(values) == 1:
        return values[0]
    return "\n".join(f"- {value}" for value in values)


def _joined(*parts: str | None, mark: str = ": ") -> str:
    return mark.join(part for part in parts if part)


def _with_note(text: str, *notes: str | None) -> str:
    note = ", ".join(n for n in notes if n)
    return f"{text} ({note})" if note else text


def _intervention(item: Intervention) -> str:
    return _joined(_with_note(item.name, item.type, _listed(item.arm_roles)), item.description)


def _arm(item: Arm) -> str:
    return _joined(_with_note(item.label, item.role), item.description)


def _outcome(item: Outcome) -> str:
    return _joined(_with_note(item.measure, item.time_frame), item.description)


def _collaborator(item: Collaborator) -> str:
    return _with_note(item.name, item.organisation_class)


def _yes_no(value: bool | None) -> str:
    return {None: "", True: "Yes", False: "No"}[value]


def _intervention_details(trial: Trial) -> str:
    known = [i for i in trial.interventions if i.type or i.description or i.arm_roles]
    return _bulleted([_intervention(i) for i in known])


def _design(trial: Trial) -> str:
    arms = f"{trial.number_of_arms} arms" if trial.number_of_arms else None
    if trial.number_of_arms == 1:
        arms = "1 arm"
    allocation = None if trial.allocation == "N/A" else trial.allocation
    masking = f"masking {trial.masking}" if trial.masking else None
    purpose = f"purpose {trial.primary_purpose}" if trial.primary_purpose else None
    return _joined(allocation, trial.intervention_model, masking, purpose, arms, mark=", ")


def _ages(lowest: str | None, highest: str | None) -> str | None:
    if lowest and highest:
        return f"ages {lowest} to {highest}"
    if lowest:
        return f"ages {lowest} and older"
    return f"ages up to {highest}" if highest else None


def _population(trial: Trial) -> str:
    volunteers = {None: None, True: "healthy volunteers accepted", False: "no healthy volunteers"}
    return _joined(
        f"sex {trial.sex}" if trial.sex else None,
        _ages(trial.minimum_age, trial.maximum_age),
        volunteers[trial.healthy_volunteers],
        mark=", ",
    )


_WRITERS: tuple[_Writer, ...] = (
    _Writer("phase", "Phase", ("phase",), lambda t: t.phase or ""),
    _Writer("study_type", "Study type", ("study_type",), lambda t: t.study_type or ""),
    _Writer("brief_title", "Title", ("brief_title",), lambda t: t.brief_title or ""),
    _Writer(
        "official_title", "Official title", ("official_title",), lambda t: t.official_title or ""
    ),
    _Writer("conditions", "Conditions", ("conditions",), lambda t: _listed(t.conditions)),
    _Writer(
        "condition_mesh",
        "Condition MeSH terms",
        ("condition_mesh",),
        lambda t: _listed(t.condition_mesh),
    ),
    _Writer("icd_codes", "ICD-10 codes", ("icd_codes",), lambda t: _listed(t.icd_codes)),
    _Writer(
        "interventions",
        "Interventions",
        ("interventions",),
        lambda t: _listed([i.name for i in t.interventions]),
    ),
    _Writer(
        "intervention_mesh",
        "Intervention MeSH terms",
        ("intervention_mesh",),
        lambda t: _listed(t.intervention_mesh),
    ),
    _Writer("smiles", "SMILES", ("smiles",), lambda t: _listed(t.smiles)),
    _Writer("sponsor_class", "Sponsor class", ("sponsor_class",), lambda t: t.sponsor_class or ""),
    _Writer(
        "collaborators",
        "Collaborators",
        ("collaborators",),
        lambda t: _listed([_collaborator(c) for c in t.collaborators]),
    ),
    _Writer(
        "design",
        "Design",
        ("allocation", "intervention_model", "masking", "primary_purpose", "number_of_arms"),
        _design,
    ),
    _Writer(
        "population",
        "Population",
        ("sex", "minimum_age", "maximum_age", "healthy_volunteers"),
        _population,
    ),
    _Writer(
        "planned_enrolment",
        "Planned enrolment",
        ("planned_enrolment",),
        lambda t: "" if t.planned_enrolment is None else str(t.planned_enrolment),
    ),
    _Writer("planned_start", "Planned start", ("planned_start",), lambda t: t.planned_start or ""),
    _Writer("has_dmc", "Data monitoring committee", ("has_dmc",), lambda t: _yes_no(t.has_dmc)),
    _Writer("keywords", "Keywords", ("keywords",), lambda t: _listed(t.keywords)),
    _Writer("brief_summary", "Brief summary", ("brief_summary",), lambda t: t.brief_summary or ""),
    _Writer(
        "primary_outcomes",
        "Primary outcome measures",
        ("primary_outcomes",),
        lambda t: _bulleted([_outcome(o) for o in t.primary_outcomes]),
    ),
    _Writer("arms", "Arms", ("arms",), lambda t: _bulleted([_arm(a) for a in t.arms])),
    _Writer(
        "intervention_details",
        "Intervention details",
        ("interventions",),
        _intervention_details,
    ),
    _Writer("criteria", "Eligibility criteria", ("criteria",), lambda t: t.criteria or ""),
    _Writer(
        "secondary_outcomes",
        "Secondary outcome measures",
        ("secondary_outcomes",),
        lambda t: _bulleted([_outcome(o) for o in t.secondary_outcomes]),
    ),
    _Writer(
        "detailed_description",
        "Detailed description",
        ("detailed_description",),
        lambda t: t.detailed_description or "",
    ),
)

SECTION_NAMES: tuple[str, ...] = tuple(writer.name for writer in _WRITERS)
"""Every section a prompt can have, in prompt order."""

SECTION_HEADINGS: dict[str, str] = {writer.name: writer.heading for writer in _WRITERS}

SECTION_FIELDS: dict[str, tuple[str, ...]] = {writer.name: writer.fields for writer in _WRITERS}
"""By section, the fields of ``Trial`` that it is made from."""

_IN_RECORDS = frozenset(field.name for field in ALLOWED_FIELDS if field.xml or field.api)

SECTIONS_BEYOND_RECORDS: tuple[str, ...] = tuple(
    writer.name for writer in _WRITERS if not _IN_RECORDS.intersection(writer.fields)
)
"""Sections that only a data set can bring (ICD-10 codes, SMILES): no registry record carries them,
so a model that has learnt to read them misses them when it forecasts from a record."""


def trial_sections(
    trial: Trial,
    *,
    only: Sequence[str] | None = None,
    hidden_fields: Sequence[str] = (),
    plain: bool = False,
) -> list[Section]:
    """The trial's non-empty sections in prompt order.

    ``only`` keeps the sections of those names; ``hidden_fields`` drops every section made from
    one of those ``Trial`` fields; ``plain`` shows their words alone (see ``plain_words``). Text
    cannot form a token of the chat format: see ``defuse``.
    """
    hidden = set(hidden_fields)
    kept = []
    for writer in _WRITERS:
        if (only is not None and writer.name not in only) or hidden.intersection(writer.fields):
            continue
        text = writer.write(trial)
        text = defuse(plain_words(text) if plain else text).strip()
        if text:
            kept.append(Section(writer.name, writer.heading, text, writer.fields))
    return kept


def plain_words(text: str) -> str:
    """The words of normalised text alone: lower case, on one line, without bullets.

    Two layouts of the same words, once ``Trial`` has normalised both, give the same plain words.
    """
    lines = (line.removeprefix("- ") for line in text.split("\n"))
    return " ".join(" ".join(lines).split()).casefold()


_CONTROL_MARKS = ("<|", "<think>", "</think>", "<tool_", "</tool_")


def defuse(text: str) -> str:
    """Break every mark that the chat format reserves, so that text can never act as one.

    Qwen3 reserves ``<|...|>``, ``<think>``, ``</think>`` and the tool-call marks.
    """
    if "<" in text:
        for mark in _CONTROL_MARKS:
            text = text.replace(mark, "< " + mark[1:])
    return text
