"""The fields of a draft as text that a person writes, with the registry's own choices.

Lists have one item a line (or a semicolon between two); the parts of an item stand between bars:
``Exemplamab | Biological | 150 mg every four weeks | Experimental``. A bar within a part is
written with a backslash before it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llm4top.registry import codes
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.normalize_text import clean, from_lines, one_line
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial

SPONSOR_CLASSES = {"INDUSTRY": "Industry", "NIH": "NIH", "FED": "U.S. Fed", "OTHER": "Other"}
"""The four that both formats of the registry tell apart, by a code of the JSON."""
_PHASES = (*codes.PHASES.values(), "Phase 1/Phase 2", "Phase 2/Phase 3")
_STUDY_TYPES = (*codes.STUDY_TYPES.values(), f"Observational{codes.PATIENT_REGISTRY}")
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}
_AGE = re.compile(r"(\d{1,3})\s*(year|month|week|day|hour|minute)s?", re.IGNORECASE)
_BAR = re.compile(r"(?<!\\)\|")
_MOST_DIGITS = 9

PARTS: dict[str, tuple[str, ...]] = {
    "interventions": ("Name", "Type", "Description", "Roles of its arms"),
    "arms": ("Label", "Role", "Description"),
    "primary_outcomes": ("Measure", "Time frame", "Description"),
    "secondary_outcomes": ("Measure", "Time frame", "Description"),
    "collaborators": ("Name", "Class"),
}
"""The parts of an item of each list, in their order."""


@dataclass(frozen=True, slots=True)
class DraftField:
    """A field that a draft may have.

    Attributes:
        name: The field of ``Trial``.
        heading: Its name for people.
        choices: The registry's own; empty where any text may be given.
        parts: What an item of a list of items consists of.
        lines: Whether it may have several lines.
    """

    name: str
    heading: str
    choices: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    lines: bool = False


def _choices(table: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(table.values())


CHOICES_OF: dict[str, tuple[str, ...]] = {
    "phase": _PHASES,
    "study_type": _STUDY_TYPES,
    "allocation": _choices(codes.ALLOCATIONS),
    "intervention_model": _choices(codes.MODELS),
    "masking": _choices(codes.MASKINGS),
    "primary_purpose": _choices(codes.PURPOSES),
    "sex": _choices(codes.SEXES),
    "healthy_volunteers": ("Yes", "No"),
    "sponsor_class": _choices(SPONSOR_CLASSES),
    "has_dmc": ("Yes", "No"),
}
"""By field, how the registry writes each of its choices."""

_LISTS = ("conditions", "condition_mesh", "keywords", "intervention_mesh")
_TEXTS = ("criteria", "brief_summary", "detailed_description")
_NOT_IN_DRAFTS = ("icd_codes", "smiles", "number_of_arms")  # not in records; counted from the arms

DRAFT_FIELDS: dict[str, DraftField] = {
    field.name: DraftField(
        field.name,
        field.heading,
        CHOICES_OF.get(field.name, ()),
        PARTS.get(field.name, ()),
        field.name in (*_LISTS, *_TEXTS, *PARTS),
    )
    for field in ALLOWED_FIELDS
    if field.name not in _NOT_IN_DRAFTS
}
"""Every field of a draft, in the order of ``Trial``."""


def value_of(name: str, text: str) -> Any:
    """The value of a field, from the text that a person writes; an empty text is no value.

    Raises:
        ValueError: The text is none that the field may have; the message lists the choices.
    """
    text = clean(text).strip()
    if not text:
        return () if name in _LISTS or name in PARTS else None
    if name in PARTS:
        items = [_item(name, line) for line in text.splitlines() if line.strip()]
        return tuple(items)
    if name in _LISTS:
        found = re.split(r"[;\n]", text)
        return tuple(line for item in found if (line := one_line(item.strip(" -*•"))))
    if name in CHOICES_OF:
        return _chosen(name, text)
    if name in _TEXTS:
        return from_lines(text)
    read: dict[str, Callable[[str], Any]] = {
        "minimum_age": _age,
        "maximum_age": _age,
        "planned_enrolment": _count,
        "planned_start": _date,
    }
    return read.get(name, one_line)(text)


def text_of(name: str, value: Any) -> str:
    """The text from which ``value_of`` reads the value; empty where there is none."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if name in PARTS:
        return "\n".join(" | ".join(_written(item)) for item in value)
    if name in _LISTS:
        return "\n".join(value)
    return str(value)


def faults_of(trial: Trial) -> list[str]:
    """What of a trial's coded values is no choice of the registry, a sentence each."""
    asked: list[tuple[str, Callable[[], Any]]] = []
    for name in CHOICES_OF:
        value = getattr(trial, name)
        if isinstance(value, str):
            asked.append((name, partial(_chosen, name, value)))
    asked += [("arms", partial(_of_table, codes.ARM_ROLES, arm.role)) for arm in trial.arms]
    asked += [
        ("interventions", partial(_of_table, codes.INTERVENTION_TYPES, item.type))
        for item in trial.interventions
    ]
    faults = []
    for name, read in asked:
        try:
            read()
        except ValueError as error:
            faults.append(f"{name}: {error}")
    return faults


def _chosen(name: str, text: str) -> Any:
    choices = CHOICES_OF[name]
    if choices == ("Yes", "No"):
        if text.casefold() in _YES_NO:
            return _YES_NO[text.casefold()]
        raise ValueError(_no_choice(text, choices))
    if name == "masking":
        found = codes.masking(text)
        if found and found.partition(" (")[0] in {choice.partition(" (")[0] for choice in choices}:
            return found
        raise ValueError(_no_choice(text, choices))
    tables = {
        "allocation": codes.ALLOCATIONS,
        "intervention_model": codes.MODELS,
        "primary_purpose": codes.PURPOSES,
        "sex": codes.SEXES,
        "sponsor_class": SPONSOR_CLASSES,
        "study_type": codes.STUDY_TYPES,
    }
    found = codes.phase(text) if name == "phase" else codes.design(tables[name], text)
    if found in choices:
        return found
    raise ValueError(_no_choice(text, choices))


def _no_choice(text: str, choices: Sequence[str]) -> str:
    return f"“{text:.60}” is none of {', '.join(choices)}."


def _of_table(table: Mapping[str, str], text: str | None) -> str | None:
    if not text:
        return None
    found = codes.design(dict(table), text)
    if found not in table.values():
        raise ValueError(_no_choice(text, tuple(table.values())))
    return found


def _item(name: str, line: str) -> Any:
    parts = [one_line(part.replace("\\|", "|").strip()) for part in _BAR.split(line)]
    wanted = PARTS[name]
    if len(parts) > len(wanted):
        raise ValueError(
            f"“{line.strip():.60}” has {len(parts)} parts; at most {len(wanted)} are read: "
            f"{' | '.join(wanted)}."
        )
    first, second, third, fourth = (*parts, None, None, None, None)[:4]
    if not first:
        raise ValueError(f"“{line.strip():.60}” has no {wanted[0].lower()}.")
    first = first.removeprefix("- ").removeprefix("* ").removeprefix("• ")
    if name == "arms":
        return Arm(first, _of_table(codes.ARM_ROLES, second), third)
    if name == "collaborators":
        return Collaborator(first, _of_table(SPONSOR_CLASSES, second))
    if name != "interventions":
        return Outcome(first, second, third)
    roles = [_of_table(codes.ARM_ROLES, role.strip()) for role in (fourth or "").split(",")]
    kind = _of_table(codes.INTERVENTION_TYPES, second)
    return Intervention(first, kind, third, tuple(role for role in roles if role))


def _written(item: Any) -> list[str]:
    if isinstance(item, Intervention):
        parts = [item.name, item.type, item.description, ", ".join(item.arm_roles)]
    elif isinstance(item, Arm):
        parts = [item.label, item.role, item.description]
    elif isinstance(item, Collaborator):
        parts = [item.name, item.organisation_class]
    else:
        parts = [item.measure, item.time_frame, item.description]
    while parts and not parts[-1]:
        parts.pop()
    return [" ".join((part or "").split()).replace("|", "\\|") for part in parts]


def _age(text: str) -> str:
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError(f"“{text:.60}” is no age. Write it as “18 Years” or “6 Months”.")
    number, unit = int(found[1]), found[2].capitalize()
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _count(text: str) -> int:
    digits = re.sub(r"(?<=\d)[ ,\u00a0\u202f](?=\d{3}\b)", "", text)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise ValueError(f"“{text:.60}” is no whole number.")
    return int(digits)


def _date(text: str) -> str:
    iso = codes.iso_date(text)
    if iso is None:
        raise ValueError(f"“{text:.60}” is no date. Write it as “May 2031” or 2031-05-14.")
    return iso
