"""Which sections of a trial the prompts of a training show."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from llm4top.prompts.sections import SECTION_NAMES, SECTIONS_BEYOND_RECORDS, trial_sections
from llm4top.tasks.task import Task
from llm4top.training.config import TrainingConfig

_RARE = 0.01


def chosen_sections(
    config: TrainingConfig, trials: Sequence[Any], task: Task
) -> tuple[str, ...] | None:
    """The sections that prompts show.

    "auto" keeps those that a registry record can carry, at least one per cent of trials have and
    the task does not hide.
    """
    if config.sections == "all":
        return None
    if config.sections != "auto":
        return tuple(name for name in SECTION_NAMES if name in config.sections)
    return tuple(n for n in common_sections(trials, task) if n not in SECTIONS_BEYOND_RECORDS)


def common_sections(trials: Sequence[Any], task: Task) -> tuple[str, ...]:
    """The sections that at least one per cent of the trials have and the task does not hide."""
    counts = Counter(
        section.name
        for trial in trials
        for section in trial_sections(trial, hidden_fields=task.hidden_fields)
    )
    least = max(1, _RARE * len(trials))
    return tuple(name for name in SECTION_NAMES if counts[name] >= least)
