"""A label as people and programs write it: 1.0 for 1, Success for success, TRUE for the event."""

from __future__ import annotations

import math

from llm4top.errors import TaskError
from llm4top.tasks._task import Task

_WORDS = {"false": 0, "no": 0, "true": 1, "yes": 1}


def label_of_text(task: Task, text: str) -> str:
    """The label of ``task`` that ``text`` means.

    It is one of the task's labels in any case; for a binary task also 0 or 1, no or yes, false or
    true (the second label is the event); for an ordinal task a number, which goes into its bin.
    Numbers may be written as floats ("1.0").

    Raises ``TaskError`` where it means none of them.
    """
    text = text.strip()
    if text in task.labels:
        return text
    folded = [label for label in task.labels if label.casefold() == text.casefold()]
    if len(folded) == 1:
        return folded[0]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        if task.kind == "ordinal":
            return task.label_of_value(number)
        if number.is_integer() and str(int(number)) in task.labels:
            return str(int(number))
        if task.kind == "binary" and number in (0.0, 1.0):
            return task.labels[int(number)]
    if task.kind == "binary" and text.casefold() in _WORDS:
        return task.labels[_WORDS[text.casefold()]]
    raise TaskError(f"{text!r} is not a label of task {task.name!r}.", hint=f"{labels_of(task)}.")


def labels_of(task: Task) -> str:
    """The labels that a file may give for a task, in words."""
    if task.kind == "binary":
        first, second = task.labels
        return f"Its labels are {first} (or 0) and {second} (or 1)"
    if task.kind == "ordinal":
        unit = f" of {task.unit}" if task.unit else ""
        return f"Its labels are numbers{unit}, or one of: {', '.join(task.labels)}"
    return f"Its labels are: {', '.join(task.labels)}"
