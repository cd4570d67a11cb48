"""The questions that are built in, and how registry records answer them."""

import math

from llm4top.errors import TaskError
from llm4top.registry.trial import Record, Trial
from llm4top.tasks.task import LabelRule, Task

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
    """Return the built-in task of this name; a ``Task`` is returned as it is.

    Args:
        task: "outcome", "completion", or a task.

    Raises:
        TaskError: There is no such task. The error lists the known ones.
    """
    if isinstance(task, Task):
        return task
    if task not in TASKS:
        raise TaskError(f"no task {task!r}.", hint=f"Known tasks: {', '.join(sorted(TASKS))}.")
    return TASKS[task]


def why_not_applicable(task: Task, trial: Trial) -> str | None:
    """One sentence why ``task`` does not apply to this study, else None.

    A record without a study type is taken as one that the task applies to: drafts and TOP's rows
    do not carry it. A patient registry is an observational study. The sentence names the built-in
    tasks that do apply, where there are any.
    """
    asked_of, kind = _study_types(task), trial.study_type
    if not kind or not asked_of or _plain(kind) in asked_of:
        return None
    others = [
        repr(other.name)
        for other in TASKS.values()
        if not other.study_types or _plain(kind) in other.study_types
    ]
    instead = (
        f"{' and '.join(others)} can be used for it"
        if others
        else "only a question of your own can be used for it"
    )
    names = " and ".join(name.lower() for name in asked_of)
    return (
        f"{_with_article(_words(kind))}: {task.name!r} is a question about {names} studies; "
        f"{instead}."
    )


def _study_types(task: Task) -> tuple[str, ...]:
    # A bundle from before there were study types holds a built-in task without them.
    known = TASKS.get(task.name)
    return task.study_types or (known.study_types if task == known else ())


def _plain(kind: str) -> str:
    """The study type without what the registry writes behind it in brackets."""
    return kind.partition(" [")[0]


def _words(kind: str) -> str:
    if "[Patient Registry]" in kind:
        return "patient registry"
    return f"{kind.lower()} study" if kind != "Expanded Access" else "expanded-access programme"


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
