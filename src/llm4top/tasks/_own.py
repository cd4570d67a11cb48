"""A user's own question, made from the labels at hand."""

from __future__ import annotations

import math
import statistics
import string
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise

from llm4top.errors import TaskError
from llm4top.tasks._builtin import PLANS
from llm4top.tasks._task import Kind, Task

_NEGATIVE_FIRST = (("0", "1"), ("no", "yes"), ("false", "true"), ("failure", "success"))
_NAMED_AT_MOST = 5


def task_from_labels(
    name: str,
    question: str,
    labels: Iterable[str],
    kind: Kind,
    *,
    event: str | None = None,
    edges: Sequence[float] | None = None,
    bins: int = 4,
    unit: str = "",
    hidden_fields: Sequence[str] = PLANS,
) -> Task:
    """A task from the values of a label column; empty values are passed over.

    binary: two different labels, answered No and Yes. ``event`` is the one whose chance is
    forecast; 1, yes, true and success are known by themselves.
    multiclass: every different label, in alphabetical order, answered A, B, C ...
    ordinal: numbers (in ``unit``) in bins, answered A, B, C ... from low to high. The inner
    ``edges`` are given, or cut the labels into ``bins`` of about the same size; a value that
    many share may leave fewer bins. Give the values of the training rows where test rows must
    not choose the edges.

    Raises ``TaskError`` where the labels do not suit the kind.
    """
    values = [text for label in labels if (text := label.strip())]
    if kind == "ordinal":
        return _ordinal(name, question, _numbers(name, values), edges, bins, unit, hidden_fields)
    if edges is not None or unit:
        raise TaskError(f"task {name!r} is {kind}; only ordinal tasks have edges and a unit.")
    distinct = sorted(set(values))
    if kind == "binary":
        pair = _event_last(name, distinct, event)
        return Task(name, kind, question, pair, ("No", "Yes"), hidden_fields=tuple(hidden_fields))
    answers = letters(name, len(distinct))
    return Task(name, kind, question, tuple(distinct), answers, hidden_fields=tuple(hidden_fields))


def letters(name: str, count: int) -> tuple[str, ...]:
    """The answers A, B, C ...; ``TaskError`` beyond the alphabet."""
    if count > len(string.ascii_uppercase):
        raise TaskError(
            f"task {name!r} has {count} labels; the answers A to Z serve at most 26.",
            hint="Merge rare labels into one.",
        )
    return tuple(string.ascii_uppercase[:count])


def bin_labels(edges: Sequence[float], unit: str) -> tuple[str, ...]:
    """Names of the bins between inner ``edges``: "below 12 months", "12 to 24 months", ..."""
    shown = [f"{edge:g}" for edge in edges]
    tail = f" {unit}" if unit else ""
    middle = [f"{low} to {high}{tail}" for low, high in pairwise(shown)]
    return (f"below {shown[0]}{tail}", *middle, f"{shown[-1]}{tail} or more")


def _event_last(name: str, distinct: Sequence[str], event: str | None) -> tuple[str, str]:
    if len(distinct) != 2:
        raise TaskError(
            f"task {name!r} is binary, but its labels are {_listed(distinct)}.",
            hint="A binary task has two; use kind multiclass for more.",
        )
    if event is None:
        known = [pair for pair in _NEGATIVE_FIRST if set(pair) == {d.lower() for d in distinct}]
        if not known:
            raise TaskError(
                f"task {name!r}: it is not clear whether {_listed(distinct)} is the event.",
                hint="Name the label whose chance is to be forecast as the event.",
            )
        event = next(d for d in distinct if d.lower() == known[0][1])
    if event not in distinct:
        raise TaskError(f"task {name!r}: the event {event!r} is none of {_listed(distinct)}.")
    return (distinct[1 - distinct.index(event)], event)


def _numbers(name: str, values: Sequence[str]) -> list[float]:
    numbers, strange = [], []
    for text in values:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        (numbers.append(number) if math.isfinite(number) else strange.append(text))
    if strange:
        raise TaskError(
            f"task {name!r} is ordinal, but {len(strange)} labels are not finite numbers: "
            f"{_listed(strange)}.",
            hint="Use kind multiclass for labels that are words.",
        )
    if not numbers:
        raise TaskError(f"task {name!r}: there is no label to make it from.")
    return numbers


def _ordinal(
    name: str,
    question: str,
    numbers: Sequence[float],
    edges: Sequence[float] | None,
    bins: int,
    unit: str,
    hidden_fields: Sequence[str],
) -> Task:
    inner = tuple(edges) if edges is not None else _quantile_edges(name, numbers, bins)
    if not inner:
        raise TaskError(
            f"task {name!r}: no edge lies between its values.",
            hint="Give the bin edges yourself.",
        )
    labels = bin_labels(inner, unit)
    answers = letters(name, len(labels))
    return Task(name, "ordinal", question, labels, answers, inner, unit, tuple(hidden_fields))


def _quantile_edges(name: str, numbers: Sequence[float], bins: int) -> tuple[float, ...]:
    if bins < 2:
        raise TaskError(f"task {name!r}: {bins} bins; it needs two or more.")
    if len(numbers) < 2:
        return ()
    cuts = statistics.quantiles(numbers, n=bins, method="inclusive")
    # Four digits read well in a question.
    candidates = sorted({float(f"{cut:.4g}") for cut in cuts})
    ordered = sorted(numbers)
    edges: list[float] = []
    below = 0
    for edge in candidates:
        position = bisect_left(ordered, edge)
        # Where many rows share a value, some edges would leave a bin without rows.
        if below < position < len(ordered):
            edges.append(edge)
            below = position
    return tuple(edges)


def _listed(values: Sequence[str]) -> str:
    named = ", ".join(map(repr, values[:_NAMED_AT_MOST])) or "none"
    rest = len(values) - _NAMED_AT_MOST
    return f"{named} and {rest} more" if rest > 0 else named
