"""Tasks of a user's own: from a file (YAML or JSON) or from the labels at hand."""

import math
import os
import re
import statistics
import string
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm4top.errors import TaskError
from llm4top.schema import setting_faults
from llm4top.tasks.builtin import PLANS
from llm4top.tasks.task import Kind, Task

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
    """Make a task from the values of a label column.

    Args:
        name: Name of the task.
        question: The question that closes every prompt.
        labels: The values of the column; empty ones are ignored. Give those of the training rows
            only, so that test rows do not decide the edges of bins.
        kind: "binary" (two different labels, answered No and Yes), "multiclass" (every different
            label in alphabetical order, answered A, B, C ...) or "ordinal" (numbers in bins,
            answered A, B, C ... from low to high).
        event: Binary only: the label whose chance is forecast. 1, yes, true and success are
            recognised.
        edges: Ordinal only: the inner edges of the bins. By default they are quantiles.
        bins: Ordinal only: number of bins of about the same size; fewer where many labels share a
            value.
        unit: Ordinal only: unit of the numbers, such as "months".
        hidden_fields: Fields of ``Trial`` that prompts leave out.

    Raises:
        TaskError: The labels do not suit the kind.
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


_MOST_BYTES = 1_000_000
_Line = Annotated[str, Field(min_length=1)]


class _TaskFile(BaseModel):
    """What a task file may say; answers and an ordinal task's labels have defaults."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: _Line = Field(description="a short name of letters, digits, '-', '_' and '.'")
    kind: Kind = Field(description="binary, multiclass or ordinal")
    question: _Line = Field(description="the question to the model about one trial")
    labels: list[_Line] | None = Field(
        None, description="the labels in order; a binary task's second is the event"
    )
    answers: list[_Line] | None = Field(
        None, description="the word that the model answers for each label"
    )
    bin_edges: list[float] = Field(
        default_factory=list, description="the numbers between the bins of an ordinal task"
    )
    unit: str = Field("", description="the unit of the bin edges")
    hidden_fields: list[_Line] = Field(
        default_factory=lambda: list(PLANS), description="fields of a trial that are not shown"
    )
    study_types: list[_Line] = Field(
        default_factory=list, description="the study types that the question is about; empty: all"
    )


def load_task(path: str | os.PathLike[str]) -> Task:
    """Read a task from a YAML or JSON file.

    Keys: ``name``, ``kind`` (binary, multiclass, ordinal), ``question``, ``labels`` (in order; the
    second label of a binary task is the event; those of an ordinal task follow from its edges),
    ``answers`` (default: No and Yes, or A, B, C ...), ``bin_edges``, ``unit``, ``hidden_fields``
    (default: planned enrolment and planned start) and ``study_types`` (Interventional,
    Observational, Expanded Access; default: any). Quote labels that YAML reads as another type
    ("no", "1").

    Args:
        path: The file.

    Returns:
        The task.

    Raises:
        TaskError: Lists every fault of the file, with its line.
    """
    where, text = str(path), ""
    try:
        text = _text(Path(path))
        values = yaml.safe_load(text)
        file = _TaskFile.model_validate(values)
    except RecursionError:
        raise TaskError("is nested too deeply for a task file.", where=where) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TaskError(f"is neither YAML nor JSON: {error}.", where=where) from error
    except ValidationError as error:
        faults = _with_lines(setting_faults(error, _TaskFile.model_fields), text)
        raise TaskError("\n  - ".join(["is not a task:", *faults]), where=where) from error
    try:
        return _task(file)
    except TaskError as error:
        raise TaskError(error.message, where=where, hint=error.hint) from error


def _with_lines(faults: Sequence[str], text: str) -> list[str]:
    """The faults, each with the line of the key that it begins with, where the file has that."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in pairs}
    found = ((fault, lines.get(re.split(r"[.:]", fault, maxsplit=1)[0])) for fault in faults)
    return [fault if line is None else f"line {line}, {fault}" for fault, line in found]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TaskError("is too large for a task file.", where=str(path))
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TaskError(
            f"cannot be read: {error.strerror or error}.",
            where=str(path),
            hint="Check the path and its permissions.",
        ) from error


def _task(file: _TaskFile) -> Task:
    labels = tuple(file.labels or ())
    if not labels and file.kind == "ordinal" and file.bin_edges:
        labels = bin_labels(file.bin_edges, file.unit)
    answers = tuple(file.answers or ())
    if not answers:
        answers = ("No", "Yes") if file.kind == "binary" else letters(file.name, len(labels))
    return Task(
        file.name,
        file.kind,
        file.question,
        labels,
        answers,
        tuple(file.bin_edges),
        file.unit,
        tuple(file.hidden_fields),
        tuple(file.study_types),
    )
