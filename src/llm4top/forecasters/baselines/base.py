"""What all baselines are: scikit-learn classifiers over trials that see what the task shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm4top.data.masked_copies import THIN, emptied, masked_copies
from llm4top.errors import BundleError
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.baselines.features import visible_trials
from llm4top.forecasters.calibration.pool import log_probabilities
from llm4top.forecasters.classifier import (
    TrialClassifier,
    as_trials,
    checked_weights,
    class_positions,
)
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptSpec, SectionAccount
from llm4top.prompts.sections import SECTIONS_BEYOND_RECORDS, trial_sections
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

Probabilities = NDArray[np.float64]
_T = TypeVar("_T")

LEAST = 1e-15
"""The least probability of a baseline that is not calibrated: its log-odds stay finite."""


@dataclass(frozen=True, eq=False)
class BaselineState:
    """What a fitted baseline has learned, as a file can store it: named arrays, lists of words.

    What comes from a file may hold anything: the code that reads it checks it.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)


class PlainWriter:
    """Writes what a baseline reads of a trial, in the place of a language model's prompt.

    There are no tokens, so nothing is ever cut: a section's ``tokens`` are its words.
    """

    fingerprint = ""

    def __init__(self, task: Task, sections: tuple[str, ...] | None):
        self.task = task
        self.spec = PromptSpec(sections=sections)

    def write(self, trial: Trial) -> Prompt:
        """The sections that the baseline reads."""
        found = trial_sections(
            trial, only=self.spec.sections, hidden_fields=self.task.hidden_fields
        )
        sizes = [len(section.text.split()) for section in found]
        sections = (
            SectionAccount(s.name, s.heading, size, size, s.text)
            for s, size in zip(found, sizes, strict=True)
        )
        return Prompt("\n".join(section.block for section in found), (), tuple(sections))


class BaselineForecaster(TrialClassifier):
    """Trials in, probabilities in the task's label order out.

    Attributes after ``fit`` besides those of ``TrialClassifier``: ``sections_``, the sections of
    a trial that it reads and the training trials had (None: all).
    """

    reads: ClassVar[tuple[str, ...] | None] = None
    """The sections of a trial that it reads; None for all."""
    also_reads: ClassVar[tuple[str, ...]] = ()
    """Fields of ``Trial`` of which it reads something besides those sections."""
    classes_: NDArray[Any]
    sections_: tuple[str, ...] | None = None
    floor_: float = LEAST

    def fit(self, X: Iterable[Trial], y: Iterable[Any]) -> Self:
        """Learn from trials and their labels, or the labels' positions; returns itself."""
        raise NotImplementedError

    def predict(self, X: Iterable[Trial]) -> NDArray[Any]:
        """The most probable class of each trial: ``[n]``."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Iterable[Trial]) -> Probabilities:
        """Probabilities ``[n, K]``, columns as ``classes_``."""
        self._check_fitted()
        trials = visible_trials(get_task(self.task), as_trials(X))
        return self._probabilities(trials) if trials else np.empty((0, len(self.classes_)))

    def _probabilities(self, trials: list[Trial]) -> Probabilities:
        """``predict_proba`` of one trial or more, as the task shows them."""
        raise NotImplementedError

    def label_logits(
        self,
        trials: Sequence[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Probabilities:
        """Log-probabilities ``[n, K]``, a column for each label of the task.

        A label that no training trial had gets the least probability, ``floor_``.
        """
        del prompts  # a baseline reads the trial itself
        found = self.predict_proba(trials)
        if on_progress is not None:
            on_progress(Progress("forecast", len(found), len(found)))
        spread = np.zeros((len(found), len(get_task(self.task).labels)))
        spread[:, self.positions] = found
        return log_probabilities(spread, floor=self.floor_)

    @property
    def positions(self) -> list[int]:
        """The position of each class among the task's labels."""
        task = get_task(self.task)
        values = self.classes_.tolist()
        return [task.label_index(v) if isinstance(v, str) else int(v) for v in values]

    @property
    def writer(self) -> PlainWriter:
        """Writes what the baseline reads of a trial."""
        return PlainWriter(get_task(self.task), self.sections_)

    def state(self) -> BaselineState:
        """All that it has learned besides ``classes_``."""
        raise NotImplementedError

    def restore(self, state: BaselineState) -> None:
        """Inverse of ``state``, once ``classes_`` is set; ``BundleError`` if it does not fit."""
        raise NotImplementedError

    def _learn(self, X: Iterable[Trial], y: Iterable[Any]) -> tuple[list[Trial], NDArray[np.int64]]:
        """Sets ``classes_``; the trials as the task shows them, each label's position in it."""
        task = get_task(self.task)
        trials = visible_trials(task, as_trials(X))
        self.classes_, positions = class_positions(task, y)
        if len(trials) != len(positions):
            raise ValueError(f"X has {len(trials)} trials and y {len(positions)} labels.")
        phases = [trial.phase for trial in trials]
        self.base_rates_ = measure_base_rates(len(task.labels), phases, positions.tolist())
        self.sections_ = sections_of(self.reads, trials)
        return trials, np.searchsorted(np.unique(positions), positions)


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """What a baseline learns from: the training trials, then ``copies`` that lack fields.

    ``targets`` ``[n]`` and ``weights`` ``[n]`` (None: all alike) are those of both.
    """

    copies: list[Trial]
    targets: NDArray[np.int64]
    weights: NDArray[np.float64] | None


def training_rows(
    trials: Sequence[Trial],
    targets: NDArray[np.int64],
    sample_weight: ArrayLike | None,
    *,
    thin_copies: bool,
    seed: int,
) -> TrainingRows:
    """The targets and weights of trials, and of two thinner copies of each where asked for.

    One copy lacks what no registry record has (ICD-10 codes, SMILES), the other has fields emptied
    as well (``THIN``); each weighs half of what its trial does. So a baseline learns what to say of
    a record that holds little, and nothing from what is missing.

    Raises:
        ValueError: ``sample_weight`` is not one number a trial, from 0 and not all 0.
    """
    weights = checked_weights(sample_weight, len(trials))
    if not thin_copies:
        return TrainingRows([], targets, weights)
    records = [emptied(trial, SECTIONS_BEYOND_RECORDS) for trial in trials]
    copies = [*records, *masked_copies(records, seed=seed, patterns=THIN).trials]
    alone = np.ones(len(trials)) if weights is None else weights
    return TrainingRows(copies, np.tile(targets, 3), np.r_[alone, alone / 2, alone / 2])


def sections_of(reads: tuple[str, ...] | None, trials: Sequence[Trial]) -> tuple[str, ...] | None:
    """``reads`` without the sections that no registry record has, unless a trial has them."""
    if reads is None:
        return None
    absent = set(reads) & set(SECTIONS_BEYOND_RECORDS)
    for trial in trials:
        if not absent:
            break
        absent -= {section.name for section in trial_sections(trial, only=tuple(absent))}
    return tuple(name for name in reads if name not in absent)


def taken(parts: dict[str, _T], *names: str) -> list[_T]:
    """Those parts of a state, in that order, taken out of it; ``BundleError`` for a missing one."""
    if missing := [name for name in names if name not in parts]:
        raise BundleError(f"lacks {', '.join(missing)}.")
    return [parts.pop(name) for name in names]


def wanted(parts: Mapping[str, _T], *names: str) -> list[_T]:
    """All parts of a state, in that order; ``BundleError`` where one is missing or extra."""
    found = taken(rest := dict(parts), *names)
    if rest:
        raise BundleError("holds more than its baseline has learned.")
    return found
