"""A task in a file of its own, YAML or JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm4top._faults import setting_faults
from llm4top.errors import TaskError
from llm4top.tasks._builtin import PLANS
from llm4top.tasks._own import bin_labels, letters
from llm4top.tasks._task import Kind, Task

_MOST_BYTES = 1_000_000
_Line = Annotated[str, Field(min_length=1)]


class _TaskFile(BaseModel):
    """What a task file may say; answers and an ordinal task's labels have defaults."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: _Line = Field(description="a short name of letters, digits, '-', '_' and '.'")
    kind: Kind = Field(description="binary, multiclass or ordinal")
    question: _Line = Field(description="the question that the model is asked about a trial")
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
    """The task that a YAML or JSON file describes.

    Keys: ``name``, ``kind`` (binary, multiclass, ordinal), ``question``, ``labels`` (in order;
    a binary task's second is the event; an ordinal task's follow from its edges), ``answers``
    (default No and Yes, or A, B, C ...), ``bin_edges``, ``unit``, ``hidden_fields``
    (default: planned enrolment and planned start) and ``study_types`` (Interventional,
    Observational, Expanded Access; default: any). Quote labels that YAML reads otherwise
    ("no", "1").

    Raises ``TaskError`` with every fault of the file.
    """
    where = str(path)
    try:
        values = yaml.safe_load(_text(Path(path)))
        file = _TaskFile.model_validate(values)
    except RecursionError:
        raise TaskError("is nested too deeply for a task file.", where=where) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TaskError(f"is neither YAML nor JSON: {error}.", where=where) from error
    except ValidationError as error:
        faults = setting_faults(error, _TaskFile.model_fields)
        raise TaskError("\n  - ".join(["is not a task:", *faults]), where=where) from error
    try:
        return _task(file)
    except TaskError as error:
        raise TaskError(error.message, where=where, hint=error.hint) from error


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
