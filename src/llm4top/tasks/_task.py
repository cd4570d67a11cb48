"""A question about a trial, its ordered labels and the words a model answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from llm4top.errors import TaskError
from llm4top.registry import Record

Kind = Literal["binary", "multiclass", "ordinal"]
LabelRule = Callable[[Record], str | None]
"""From a record to one of the task's labels, or None where the record does not tell."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question about a trial and its labels.

    ``labels`` are ordered; for a binary task the second is the event whose chance is forecast
    ("success"). ``answers`` are the words a model answers with, one a label, each a single token
    of any tokenizer that is used (checked when a model is loaded). For an ordinal task
    ``bin_edges`` are the K-1 inner edges between its K labels, in ``unit``.
    ``hidden_fields`` are ``Trial`` fields that this task's prompts leave out.

    Raises ``TaskError`` for a task that contradicts itself.
    """

    name: str
    kind: Kind
    question: str
    labels: tuple[str, ...]
    answers: tuple[str, ...]
    bin_edges: tuple[float, ...] = ()
    unit: str = ""
    hidden_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = []
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
        if faults:
            raise TaskError(f"task {self.name!r} " + "; ".join(faults) + ".")

    def label_index(self, label: str) -> int:
        """Position of ``label``; ``TaskError`` names the labels where it is none of them."""
        try:
            return self.labels.index(label)
        except ValueError:
            raise TaskError(
                f"{label!r} is no label of task {self.name!r}.",
                hint=f"Its labels are: {', '.join(self.labels)}.",
            ) from None

    def label_of_value(self, value: float) -> str:
        """The bin of an ordinal task that holds ``value``; a value on an edge falls above it."""
        if self.kind != "ordinal":
            raise TaskError(f"task {self.name!r} is not ordinal: it has no bins.")
        return self.labels[sum(value >= edge for edge in self.bin_edges)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as stored in a bundle's manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        """Inverse of ``to_dict``."""
        clean: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**clean)
