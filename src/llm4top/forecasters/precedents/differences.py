"""What differs between two trials, field by field."""

from collections.abc import Callable
from dataclasses import dataclass

from llm4top.data.masked_copies import GROUPS, emptied
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.trial import Trial


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which two trials differ.

    Attributes:
        field: Its name.
        heading: Its name for people.
        here: What only this trial has.
        there: What only the precedent has.
        shared: What both have.
    """

    field: str
    heading: str
    here: tuple[str, ...]
    there: tuple[str, ...]
    shared: tuple[str, ...] = ()


_HEADINGS = {field.name: field.heading for field in ALLOWED_FIELDS}
_COMPARED: dict[str, Callable[[Trial], tuple[str, ...]]] = {
    "conditions": lambda trial: trial.conditions,
    "interventions": lambda trial: tuple(item.name for item in trial.interventions),
    "primary_outcomes": lambda trial: tuple(item.measure for item in trial.primary_outcomes),
}
FIELDS = (
    *("phase", "conditions", "interventions", "allocation", "intervention_model", "masking"),
    *("primary_purpose", "number_of_arms", "primary_outcomes", "planned_enrolment", "sex"),
    *("minimum_age", "maximum_age", "healthy_volunteers", "sponsor_class", "has_dmc"),
)
"""The fields that are compared, in order. Long texts are not: almost all of them differ."""

_SHOWN = {*FIELDS, "brief_title", "official_title"}
_NOT_SHOWN = tuple(name for group in GROUPS.values() for name in group if name not in _SHOWN)


def shown_fields(trial: Trial) -> Trial:
    """The trial with the titles and compared fields alone: what an index stores of it."""
    return emptied(trial, _NOT_SHOWN)


def differences(here: Trial, there: Trial) -> tuple[Difference, ...]:
    """The fields that both trials state and in which they differ."""
    found = []
    for name in FIELDS:
        own, other = _values(here, name), _values(there, name)
        known = {value.casefold() for value in own}, {value.casefold() for value in other}
        if own and other and known[0] != known[1]:
            found.append(
                Difference(
                    name,
                    _HEADINGS[name],
                    tuple(value for value in own if value.casefold() not in known[1]),
                    tuple(value for value in other if value.casefold() not in known[0]),
                    tuple(value for value in own if value.casefold() in known[1]),
                )
            )
    return tuple(found)


def _values(trial: Trial, name: str) -> tuple[str, ...]:
    """A field's values as text, each once."""
    value = _COMPARED[name](trial) if name in _COMPARED else getattr(trial, name)
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    words = {True: "yes", False: "no"}
    texts = (words[v] if isinstance(v, bool) else str(v) for v in values)
    return tuple({text.casefold(): text for text in texts}.values())
