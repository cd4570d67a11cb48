"""What a person may change of a trial: its allowed fields, and the values that each of them takes.

The choices are those of the registry (``codes``), in the legacy XML's spelling as everywhere in a
``Trial``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llm4top.errors import EditError
from llm4top.registry import codes
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.normalize_text import excerpt, one_line, plain
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome

Kind = Literal["choice", "text", "lines", "texts", "items", "number", "flag", "age", "date"]

LISTS: frozenset[Kind] = frozenset({"lines", "texts", "items"})
"""Kinds of which a part can be changed by its number, added or removed."""

MOST_TRIALS = 10_000_000
"""A larger planned size is a slip of the hand."""
_AGE = re.compile(r"(\d{1,3}) ?(year|month|week|day|hour|minute)s?", re.IGNORECASE)
_NO_AGE = frozenset({"n/a", "na", "none", "no limit"})
_FLAGS = {"yes": True, "true": True, "y": True, "no": False, "false": False, "n": False}


@dataclass(frozen=True, slots=True)
class EditableField:
    """A field of a trial, or a part of one of its items, that can be changed.

    Attributes:
        name: Name of the attribute.
        heading: What people call it.
        kind: "lines" is text with a number for each line, "texts" a list of short texts, "items"
            a list of objects with ``parts``, "flag" yes or no; the first part names an item.
        choices: What a "choice" takes.
        parts: The fields of each item of an "items" field.
    """

    name: str
    heading: str
    kind: Kind
    choices: tuple[str, ...] = ()
    parts: tuple[EditableField, ...] = ()

    def part(self, name: str) -> EditableField:
        """The part of that name; ``EditError`` lists those that there are."""
        for part in self.parts:
            if part.name == name:
                return part
        listed = ", ".join(part.name for part in self.parts)
        raise EditError(
            f"an item has no {name!r:.60}.",
            where=self.name,
            hint=f"Its parts are {listed}." if listed else "It is no list of items.",
        )


def _names(table: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(table.values())


PHASES = (
    *("Early Phase 1", "Phase 1", "Phase 1/Phase 2", "Phase 2", "Phase 2/Phase 3"),
    *("Phase 3", "Phase 4", "N/A"),
)
CLASSES = ("NIH", "Industry", "U.S. Fed", "Other")

_CHOICES: dict[str, tuple[str, ...]] = {
    "phase": PHASES,
    "study_type": _names(codes.STUDY_TYPES),
    "allocation": _names(codes.ALLOCATIONS),
    "intervention_model": _names(codes.MODELS),
    "masking": _names(codes.MASKINGS),
    "primary_purpose": _names(codes.PURPOSES),
    "sex": _names(codes.SEXES),
    "sponsor_class": CLASSES,
}
_KINDS: dict[str, Kind] = {
    "brief_title": "text",
    "official_title": "text",
    "criteria": "lines",
    "brief_summary": "lines",
    "detailed_description": "lines",
    "number_of_arms": "number",
    "planned_enrolment": "number",
    "minimum_age": "age",
    "maximum_age": "age",
    "healthy_volunteers": "flag",
    "has_dmc": "flag",
    "planned_start": "date",
}
_DESCRIPTION = EditableField("description", "Description", "text")
_OUTCOME = (
    EditableField("measure", "Measure", "text"),
    EditableField("time_frame", "Time frame", "text"),
    _DESCRIPTION,
)
_PARTS: dict[str, tuple[EditableField, ...]] = {
    "interventions": (
        EditableField("name", "Name", "text"),
        EditableField("type", "Type", "choice", _names(codes.INTERVENTION_TYPES)),
        _DESCRIPTION,
    ),
    "arms": (
        EditableField("label", "Label", "text"),
        EditableField("role", "Role", "choice", _names(codes.ARM_ROLES)),
        _DESCRIPTION,
    ),
    "primary_outcomes": _OUTCOME,
    "secondary_outcomes": _OUTCOME,
    "collaborators": (
        EditableField("name", "Name", "text"),
        EditableField("organisation_class", "Class", "choice", CLASSES),
    ),
}
ITEMS: dict[str, type] = {
    "interventions": Intervention,
    "arms": Arm,
    "primary_outcomes": Outcome,
    "secondary_outcomes": Outcome,
    "collaborators": Collaborator,
}


def _editable(name: str, heading: str) -> EditableField:
    if name in _CHOICES:
        return EditableField(name, heading, "choice", _CHOICES[name])
    if name in _PARTS:
        return EditableField(name, heading, "items", parts=_PARTS[name])
    return EditableField(name, heading, _KINDS.get(name, "texts"))


EDITABLE: dict[str, EditableField] = {
    field.name: _editable(field.name, field.heading) for field in ALLOWED_FIELDS
}
"""Every field of a ``Trial`` by its name, in the order of the allow-list."""

_OTHER_NAMES = {
    "enrollment": "planned_enrolment",
    "enrolment": "planned_enrolment",
    "planned_enrollment": "planned_enrolment",
    "planned_size": "planned_enrolment",
    "size": "planned_enrolment",
    "endpoints": "primary_outcomes",
    "primary_endpoints": "primary_outcomes",
    "secondary_endpoints": "secondary_outcomes",
    "outcomes": "primary_outcomes",
    "purpose": "primary_purpose",
    "model": "intervention_model",
    "gender": "sex",
    "min_age": "minimum_age",
    "max_age": "maximum_age",
    "start": "planned_start",
    "title": "brief_title",
    "summary": "brief_summary",
    "description": "detailed_description",
    "eligibility": "criteria",
}


def field_name(name: str) -> str:
    """The name of the field that a person calls so ("minimum age", "enrollment"), if there is."""
    plain_name = re.sub(r"[\s-]+", "_", name.strip()).lower()
    return _OTHER_NAMES.get(plain_name, plain_name)


def editable_field(name: str) -> EditableField:
    """The field that a person calls so ("minimum age", "enrollment", "endpoints").

    Raises ``EditError`` that lists the fields for any other name.
    """
    found = EDITABLE.get(field_name(name))
    if found is None:
        raise EditError(
            "a trial has no such field that can be changed.",
            where=f"{name.strip()!r:.60}",
            hint=f"The fields are {', '.join(EDITABLE)}.",
        )
    return found


def checked_value(field: EditableField, given: Any, where: str) -> Any:
    """``given`` as a trial holds it; None where it is empty.

    Args:
        field: A field or part that is no list.
        given: A text as a person types it, or a JSON value.
        where: The path, for errors.

    Raises:
        EditError: The field does not take the value; the hint says what it takes.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    return _READERS[field.kind](field, given, where)


def checked_text(given: Any, where: str) -> str | None:
    """``given`` on one line, as records are read; ``EditError`` where it is no text."""
    if not isinstance(given, str):
        raise EditError(f"{given!r:.60} is no text.", where=where, hint="Give a text.")
    return one_line(plain(given))


def _text(field: EditableField, given: Any, where: str) -> str | None:
    del field
    return checked_text(given, where)


def _choice(field: EditableField, given: Any, where: str) -> str:
    text = checked_text(given, where) or ""
    found = _SPELLINGS.get(field.name, _as_listed)(field, text)
    if found is None:
        listed = ", ".join(field.choices)
        raise EditError(
            f"{excerpt(text, 60)!r} is not a choice of the registry.",
            where=where,
            hint=f"Choose one of: {listed}.",
        )
    return found


def _as_listed(field: EditableField, text: str) -> str | None:
    """The choice that the text spells, whatever its case, or as the registry's code."""
    spelled = codes.design({name: name for name in field.choices}, text)
    return spelled if spelled in field.choices else None


def _spelled_phase(field: EditableField, text: str) -> str | None:
    spelled = codes.phase(f"Phase {text}" if re.fullmatch(r"[0-4]", text) else text)
    return spelled if spelled in field.choices else None


def _spelled_masking(field: EditableField, text: str) -> str | None:
    """The level, with those who are masked where the text names them."""
    spelled = codes.masking(text) or ""
    level = spelled if spelled in field.choices else spelled.partition(" (")[0]
    return spelled if level in field.choices else None


_SPELLINGS: dict[str, Callable[[EditableField, str], str | None]] = {
    "phase": _spelled_phase,
    "masking": _spelled_masking,
}


def _number(field: EditableField, given: Any, where: str) -> int:
    del field
    text = re.sub(r"(?<=\d)[ ,](?=\d{3})", "", str(given).strip())
    if isinstance(given, bool) or not (text.isascii() and text.isdigit()):
        raise EditError(
            f"{given!r:.60} is not a whole number.", where=where, hint="Write it in digits: 400."
        )
    if int(text) > MOST_TRIALS:
        raise EditError(
            f"{text:.30} is too large.", where=where, hint=f"{MOST_TRIALS} is the most."
        )
    return int(text)


def _flag(field: EditableField, given: Any, where: str) -> bool:
    del field
    found = given if isinstance(given, bool) else _FLAGS.get(str(given).strip().lower())
    if found is None:
        raise EditError(
            f"{given!r:.60} is neither yes nor no.", where=where, hint="Write yes or no."
        )
    return found


def _age(field: EditableField, given: Any, where: str) -> str | None:
    del field
    text = checked_text(given, where) or ""
    if text.casefold() in _NO_AGE:
        return None
    found = _AGE.fullmatch(text)
    if found is None:
        raise EditError(
            f"{excerpt(text, 40)!r} is not an age.",
            where=where,
            hint="Write it with its unit, as the registry does: 18 Years, 6 Months; or N/A.",
        )
    number, unit = int(found[1]), found[2].title()
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _date(field: EditableField, given: Any, where: str) -> str:
    del field
    text = checked_text(given, where) or ""
    iso = codes.iso_date(text)
    if iso is None:
        raise EditError(
            f"{excerpt(text, 40)!r} is not a date.",
            where=where,
            hint="Write it as May 2031, May 14, 2031 or 2031-05-14.",
        )
    return iso


_READERS: dict[Kind, Callable[[EditableField, Any, str], Any]] = {
    "choice": _choice,
    "text": _text,
    "number": _number,
    "flag": _flag,
    "age": _age,
    "date": _date,
}
