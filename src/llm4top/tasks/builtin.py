"""The questions that are built in, and how registry records answer them."""

import math
from datetime import date

from llm4top.errors import TaskError
from llm4top.registry.codes import PLANNED
from llm4top.registry.trial import Record, Trial
from llm4top.tasks.task import LabelRule, Task
from llm4top.tasks.why_stopped import CLASSES, class_of_reason

_SPELLINGS = {"poor enrollment": "poor enrolment", "others": "other"}
"""How TrialBench's files spell labels of ``why-it-fails``."""
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
    wanted = text.casefold()
    wanted = wanted if wanted in task.labels else _SPELLINGS.get(wanted, wanted)
    folded = [label for label in task.labels if label.casefold() == wanted]
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

WHY_IT_FAILS = Task(
    name="why-it-fails",
    kind="multiclass",
    question="If this trial is stopped early, what will be the main reason?",
    labels=CLASSES,
    answers=("A", "B", "C", "D"),
    hidden_fields=PLANS,
    study_types=("Interventional",),
)
"""Asked of trials that fail: its chances are conditional on that."""

DURATION = Task(
    name="duration",
    kind="ordinal",
    question="How many months will this trial last, from its start to its completion?",
    labels=(
        "below 6 months",
        "6 to 12 months",
        "12 to 18 months",
        "18 to 24 months",
        "24 to 36 months",
        "36 to 48 months",
        "48 to 60 months",
        "60 to 84 months",
        "84 to 120 months",
        "120 months or more",
    ),
    answers=("A", "B", "C", "D", "E", "F", "G", "H", "I", "J"),
    bin_edges=(6, 12, 18, 24, 36, 48, 60, 84, 120),
    unit="months",
    hidden_fields=PLANS,
    study_types=("Interventional",),
)

SHARE = "share"
"""Unit of a quantity from 0 to 1 that is shown in percent. TrialBench's files write it so."""

ENROLMENT = Task(
    name="enrolment",
    kind="ordinal",
    question="What share of its planned enrolment will this trial reach?",
    labels=("below 25 %", "25 to 50 %", "50 to 75 %", "75 to 95 %", "95 % or more"),
    answers=("A", "B", "C", "D", "E"),
    bin_edges=(0.25, 0.5, 0.75, 0.95),
    unit=SHARE,
    hidden_fields=PLANS,
    study_types=("Interventional",),
)
"""A finished record has lost its plan, so the labels need a file: no rule reads them off it."""

_NONE = 0.0005
"""Below 1 in 2 000 is called none."""

DROPOUT = Task(
    name="dropout",
    kind="ordinal",
    question="What share of the participants will drop out of this trial?",
    labels=("none", "up to 5 %", "5 to 10 %", "10 to 20 %", "20 to 35 %", "35 % or more"),
    answers=("A", "B", "C", "D", "E", "F"),
    bin_edges=(_NONE, 0.05, 0.1, 0.2, 0.35),
    unit=SHARE,
    hidden_fields=PLANS,
    study_types=("Interventional",),
)

SERIOUS_EVENTS = Task(
    name="serious-adverse-events",
    kind="ordinal",
    question="What share of the participants will have a serious adverse event in this trial?",
    labels=("none", "up to 2 %", "2 to 5 %", "5 to 15 %", "15 to 35 %", "35 % or more"),
    answers=("A", "B", "C", "D", "E", "F"),
    bin_edges=(_NONE, 0.02, 0.05, 0.15, 0.35),
    unit=SHARE,
    hidden_fields=PLANS,
    study_types=("Interventional",),
)

MORTALITY = Task(
    name="mortality",
    kind="ordinal",
    question="What share of the participants will die, of any cause, in this trial?",
    labels=("none", "up to 2 %", "2 to 10 %", "10 to 30 %", "30 % or more"),
    answers=("A", "B", "C", "D", "E"),
    bin_edges=(_NONE, 0.02, 0.1, 0.3),
    unit=SHARE,
    hidden_fields=PLANS,
    study_types=("Interventional",),
)

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


def reason_label(record: Record) -> str | None:
    """Label rule of ``why-it-fails``: the class of why a stopped trial was stopped."""
    reason = record.registry_outcome.why_stopped
    return class_of_reason(reason) if reason and completion_label(record) == "stopped" else None


def duration_label(record: Record) -> str | None:
    """Label rule of ``duration``: the months that a completed or terminated trial lasted."""
    months = months_lasted(record)
    return None if months is None else DURATION.label_of_value(months)


def months_lasted(record: Record) -> float | None:
    """Months from the actual start to the final completion, None where the record has not both.

    A date without a day counts as the 15th, a month as 30.4375 days.
    """
    outcome = record.registry_outcome
    start, end = day_of(outcome.start_date), day_of(outcome.completion_date)
    ended = outcome.status in ("Completed", "Terminated") and outcome.start_date_type not in PLANNED
    if start is None or end is None or not ended or end < start:
        return None
    return (end - start).days / DAYS_OF_A_MONTH


DAYS_OF_A_MONTH = 30.4375


def day_of(iso: str | None) -> date | None:
    """The day of a registry's date; the 15th where it is a month, None where it is less."""
    if not iso or len(iso) < len("2031-05"):
        return None
    return date.fromisoformat(iso if len(iso) > len("2031-05") else f"{iso}-15")


def _rate_rule(task: Task, field: str) -> LabelRule:
    """The bin of a rate in the posted results."""

    def rule(record: Record) -> str | None:
        rate: float | None = getattr(record.registry_outcome, field)
        asked = record.trial.study_type in (None, "Interventional")
        return task.label_of_value(rate) if rate is not None and asked else None

    return rule


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        OUTCOME,
        COMPLETION,
        WHY_IT_FAILS,
        DURATION,
        ENROLMENT,
        DROPOUT,
        SERIOUS_EVENTS,
        MORTALITY,
    )
}
LABEL_RULES: dict[str, LabelRule] = {
    "outcome": declared_label,
    "completion": completion_label,
    "why-it-fails": reason_label,
    "duration": duration_label,
    "dropout": _rate_rule(DROPOUT, "dropout_rate"),
    "serious-adverse-events": _rate_rule(SERIOUS_EVENTS, "serious_event_rate"),
    "mortality": _rate_rule(MORTALITY, "mortality_rate"),
}


def get_task(task: Task | str) -> Task:
    """Return the built-in task of this name; a ``Task`` is returned as it is.

    Args:
        task: "outcome", "completion" or another of ``TASKS``, or a task.

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
        f"{' and '.join(others[:2])} can be used for it"
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
