"""Questions about trials, their labels, and the rules that read a label off a record."""

from llm4top.tasks._applies import why_not_applicable
from llm4top.tasks._builtin import COMPLETION, LABEL_RULES, OUTCOME, PLANS, TASKS, get_task
from llm4top.tasks._file import load_task
from llm4top.tasks._label_text import label_of_text, labels_of
from llm4top.tasks._own import task_from_labels
from llm4top.tasks._task import STUDY_TYPES, Kind, LabelRule, Task

__all__ = [
    "COMPLETION",
    "LABEL_RULES",
    "OUTCOME",
    "PLANS",
    "STUDY_TYPES",
    "TASKS",
    "Kind",
    "LabelRule",
    "Task",
    "get_task",
    "label_of_text",
    "labels_of",
    "load_task",
    "task_from_labels",
    "why_not_applicable",
]
