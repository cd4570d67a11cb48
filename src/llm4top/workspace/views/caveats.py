"""What a warning means for the number: undermines it, limits it, or is only worth knowing."""

from collections.abc import Sequence
from typing import Literal

from llm4top.forecasters.forecast_format import Forecast

Caveat = Literal["learnt", "scope", "limit", "note"]
"""The model has learnt from the trial; it is unlike what the model knows; text is missing; news."""

_MARKS: tuple[tuple[Caveat, tuple[str, ...]], ...] = (
    ("learnt", ("in the model's training data", "used to tune and calibrate the model")),
    (
        "scope",
        (
            "outside what the model has learnt",
            "outside what this model has learnt",
            "not an interventional trial",
        ),
    ),
    (
        "limit",
        (
            "the record has no ",
            "not calibrated",
            "does not carry",
            "record does not have",
            "no registry record",
        ),
    ),
)


def caveat_of(warning: str) -> Caveat:
    """The kind of a forecast's warning. Warnings are stored as sentences, so by their words."""
    for caveat, marks in _MARKS:
        if any(mark in warning for mark in marks):
            return caveat
    return "note"


def sorted_warnings(warnings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that undermine or limit the number, the gravest first, and those that do not."""
    order: list[Caveat] = ["learnt", "scope", "limit"]
    grave = [w for w in warnings if caveat_of(w) in order]
    grave.sort(key=lambda w: order.index(caveat_of(w)))
    return grave, [w for w in warnings if caveat_of(w) == "note"]


def sentence(warning: str) -> str:
    """A warning as a sentence of a page: from a capital to a full stop."""
    return warning[:1].upper() + warning[1:].rstrip(".") + "."


def is_learnt(item: Forecast) -> bool:
    """Whether the model has learnt from, or was tuned on, this very trial."""
    return any(caveat_of(w) == "learnt" for w in item.warnings)


def is_out_of_scope(item: Forecast) -> bool:
    """Whether the trial is of a kind that the model has not learnt from."""
    return any(caveat_of(w) == "scope" for w in item.warnings)
