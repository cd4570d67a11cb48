"""The questions that are built in, and how registry records answer them."""

from __future__ import annotations

from llm4top.errors import TaskError
from llm4top.registry import Record
from llm4top.tasks._label_text import label_of_text
from llm4top.tasks._task import LabelRule, Task

PLANS = ("planned_enrolment", "planned_start")
"""Hidden by default: a finished record carries actual numbers where an open one carries planned
ones, so in records with a known outcome the mere presence of a plan tells something of it."""

OUTCOME = Task(
    name="outcome",
    kind="binary",
    question="Will this trial succeed, that is, be completed and meet its primary endpoint?",
    labels=("failure", "success"),
    answers=("No", "Yes"),
    hidden_fields=PLANS,
    study_types=("Interventional",),
)
"""TOP's question. Its label comes with a data set; the registry alone does not tell it."""

COMPLETION = Task(
    name="completion",
    kind="binary",
    question="Will this trial be completed, rather than terminated, withdrawn or suspended?",
    labels=("stopped", "completed"),
    answers=("No", "Yes"),
    hidden_fields=PLANS,
    study_types=("Interventional",),
)
"""Answered by the registry's own status, so anyone can learn from a public registry dump."""

_STATUS_LABEL = {
    "Completed": "completed",
    "Terminated": "stopped",
    "Withdrawn": "stopped",
    "Suspended": "stopped",
}


def completion_label(record: Record) -> str | None:
    """Label rule of ``completion``: interventional trials whose status is final, else None."""
    if record.trial.study_type != "Interventional":
        return None
    return _STATUS_LABEL.get(record.registry_outcome.status or "")


def declared_label(record: Record) -> str | None:
    """Label rule of ``outcome``: the label that the data set brings with the record.

    TOP writes 1 for success and 0 for failure; a label that means neither stays as it is.
    """
    label = record.registry_outcome.label
    if label is None:
        return None
    try:
        return label_of_text(OUTCOME, label)
    except TaskError:
        return label


TASKS: dict[str, Task] = {task.name: task for task in (OUTCOME, COMPLETION)}
LABEL_RULES: dict[str, LabelRule] = {"outcome": declared_label, "completion": completion_label}


def get_task(task: Task | str) -> Task:
    """The task of that name (a task passes through); ``TaskError`` lists the known ones."""
    if isinstance(task, Task):
        return task
    if task not in TASKS:
        raise TaskError(f"no task {task!r}.", hint=f"Known tasks: {', '.join(sorted(TASKS))}.")
    return TASKS[task]
