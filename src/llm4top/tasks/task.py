"""A question about a trial, its ordered labels and the words a model answers with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from llm4top.errors import TaskError
from llm4top.registry.trial import TRIAL_FIELDS, Record

Kind = Literal["binary", "multiclass", "ordinal"]

STUDY_TYPES = ("Interventional", "Observational", "Expanded Access")
"""Kinds of study that the registry tells apart; a patient registry is observational."""

LabelRule = Callable[[Record], str | None]
"""From a record to one of the task's labels, or None where the record does not tell."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question about a trial and its labels.

    Attributes:
        name: Name of the task.
        kind: "binary", "multiclass" or "ordinal".
        question: The question that closes every prompt.
        labels: The labels in order. The second label of a binary task is the event, whose chance
            is forecast ("success").
        answers: The word that a model answers for each label. Each is a single token of every
            tokenizer that is used, which is checked when a model is loaded.
        bin_edges: Ordinal only: the K-1 inner edges between the K labels.
        unit: Unit of the edges.
        hidden_fields: Fields of ``Trial`` that the prompts of this task leave out.
        study_types: Kinds of study that the question applies to ("Interventional",
            "Observational", "Expanded Access"); empty for any. Tasks that differ in this alone are
            equal. See ``why_not_applicable``.

    Raises:
        TaskError: The task contradicts itself.
    """

    name: str
    kind: Kind
    question: str
    labels: tuple[str, ...]
    answers: tuple[str, ...]
    bin_edges: tuple[float, ...] = ()
    unit: str = ""
    hidden_fields: tuple[str, ...] = ()
    # Bundles and data sets written before there were study types hold the same question.
    study_types: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        faults = self._text_faults()
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            faults.append("needs two or more different labels")
        if len(self.answers) != len(self.labels) or len(set(self.answers)) != len(self.answers):
            faults.append("needs one answer for each label, all different")
        if self.kind == "binary" and len(self.labels) != 2:
            faults.append("is binary, so it has two labels")
        if self.kind == "ordinal" and len(self.bin_edges) != len(self.labels) - 1:
            faults.append("is ordinal, so it has one bin edge fewer than labels")
        if self.kind != "ordinal" and self.bin_edges:
            faults.append("has bin edges, which only ordinal tasks have")
        if list(self.bin_edges) != sorted(set(self.bin_edges)):
            faults.append("has bin edges that do not rise")
        if not all(map(math.isfinite, self.bin_edges)):
            faults.append("has bin edges that are not finite numbers")
        strange = sorted(set(self.hidden_fields) - set(TRIAL_FIELDS))
        if strange:
            faults.append(f"hides what is not a field of a trial: {', '.join(strange)}")
        unknown = sorted(set(self.study_types) - set(STUDY_TYPES))
        if unknown:
            faults.append(
                f"has study types that the registry does not have: {', '.join(unknown)}; "
                f"it has {', '.join(STUDY_TYPES)}"
            )
        if faults:
            raise TaskError(f"task {self.name!r} " + "; ".join(faults) + ".")

    def _text_faults(self) -> list[str]:
        faults = []
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            faults.append("has a name that is not made of letters, digits, '-', '_' and '.'")
        if self.kind not in get_args(Kind):
            faults.append(f"is {self.kind!r}; a task is {', '.join(get_args(Kind))}")
        texts = (self.question, *self.labels, *self.answers)
        if not all(text.strip() and text.isprintable() for text in texts):
            faults.append("has a question, label or answer that is empty or more than one line")
        return faults

    def label_index(self, label: str) -> int:
        """Position of ``label``; ``TaskError`` names the labels where it is none of them."""
        try:
            return self.labels.index(label)
        except ValueError:
            raise TaskError(
                f"{label!r} is not a label of task {self.name!r}.",
                hint=f"Its labels are: {', '.join(self.labels)}.",
            ) from None

    def label_of_value(self, value: float) -> str:
        """The bin of an ordinal task that holds ``value``; a value on an edge falls above it.

        Raises ``TaskError`` for another kind of task and for a value that is no number.
        """
        if self.kind != "ordinal":
            raise TaskError(f"task {self.name!r} is not ordinal: it has no bins.")
        if math.isnan(value):
            raise TaskError(f"task {self.name!r} has no bin for a value that is not a number.")
        return self.labels[sum(value >= edge for edge in self.bin_edges)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as stored in a data set; without ``study_types`` where it is empty.

        So a task that is about any study keeps the form, and the hash, that it had before.
        """
        values = asdict(self)
        if not self.study_types:
            del values["study_types"]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        """Inverse of ``to_dict``."""
        clean: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**clean)
