"""A blend: the weighted log-odds of several forecasters, added up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from llm4top.errors import BundleError
from llm4top.forecasters.baselines.base import PlainWriter
from llm4top.forecasters.calibration.calibrated import FloatArray, softmax
from llm4top.forecasters.calibration.pool import FLOOR, LogPool, fit_pool, log_probabilities
from llm4top.forecasters.classifier import as_trials, class_positions
from llm4top.forecasters.forecaster import Forecaster, Writer, as_forecaster
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Blend:
    """Forecasters of one task, any mixture of baselines and at most one language model.

    ``pool`` has their weights; its sources are the parts' names, in their order. ``floor`` is the
    least probability that a baseline counts with.

    Raises ``BundleError`` for parts that cannot be pooled.
    """

    parts: tuple[Forecaster, ...]
    pool: LogPool
    floor: float = FLOOR

    def __post_init__(self) -> None:
        tasks = {part.task for part in self.parts}
        languages = [part for part in self.parts if part.kind == "language"]
        if any(part.kind == "blend" for part in self.parts):
            fault = "a part of a blend is a blend itself"
        elif len(self.pool.sources) != len(self.parts):
            fault = f"the pool is of {len(self.pool.sources)} forecasters, not {len(self.parts)}"
        elif len(tasks) != 1:
            fault = f"the parts answer {' and '.join(sorted(task.name for task in tasks))}"
        elif len(self.pool.offsets) != len(self.task.labels):
            fault = (
                f"the pool is about {len(self.pool.offsets)} labels, the task has another number"
            )
        elif len(languages) > 1:
            fault = "it has more than one language model"
        else:
            return
        raise BundleError(f"{fault}.", hint="Blend one language model at most, and baselines.")

    @classmethod
    def fit(cls, parts: Mapping[str, Any], trials: Iterable[Trial], labels: Iterable[Any]) -> Self:
        """Fit the weights on validation trials that no part was trained on.

        Args:
            parts: Forecasters, or fitted baselines, by the names that the blend gives them: small
                letters, digits, "-", "_" and ".".
            trials: Validation trials.
            labels: Their labels, or the labels' positions.

        Raises:
            CalibrationError: The trials are too few to fit on.
        """
        rows, used = as_trials(trials), _as_forecasters(parts)
        _, positions = class_positions(next(iter(used.values())).task, labels)
        logits = {name: _part_logits(part, rows, None, None, FLOOR) for name, part in used.items()}
        return cls(tuple(used.values()), fit_pool(logits, positions))

    @classmethod
    def equal(cls, parts: Mapping[str, Any]) -> Self:
        """The parts with equal weights, 1 over their number each: nothing is fitted.

        With some hundred validation trials, fitted weights gain little over equal ones, and they
        flatter the parts that those trials happen to suit.

        Args:
            parts: As for ``fit``.

        Raises:
            BundleError: The parts cannot be pooled.
        """
        used = _as_forecasters(parts)
        labels = len(next(iter(used.values())).task.labels)
        return cls(tuple(used.values()), LogPool.equal([*used], labels))

    def save(self, folder: str | Path, **options: Any) -> Forecaster:
        """Write the blend into ``folder`` as a bundle; see ``Forecaster.save`` for ``options``."""
        return as_forecaster(self).save(folder, **options)

    @property
    def task(self) -> Task:
        """The question that every part answers."""
        return self.parts[0].task

    @property
    def language(self) -> Forecaster | None:
        """The part that is a language model."""
        return next((part for part in self.parts if part.kind == "language"), None)

    @property
    def writer(self) -> Writer:
        """Writes the language model's prompts, else all that the baselines read."""
        if self.language is not None:
            return self.language.writer
        read = [part.writer.spec.sections for part in self.parts]
        if any(sections is None for sections in read):
            return PlainWriter(self.task, None)
        return PlainWriter(self.task, tuple(dict.fromkeys(n for s in read for n in s or ())))

    def label_logits(
        self,
        trials: Sequence[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> FloatArray:
        """Pooled logits ``[n, K]``, a column for each label of the task."""
        parts = self.logits_of_parts(trials, prompts=prompts, on_progress=on_progress)
        return self.pool.logits(list(parts.values()))

    def logits_of_parts(
        self,
        trials: Sequence[Trial],
        *,
        prompts: Sequence[Prompt] | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, FloatArray]:
        """The logits ``[n, K]`` that are pooled, by the part's name, in the parts' order."""
        found = {
            name: _part_logits(part, trials, prompts, on_progress, self.floor)
            for name, part in zip(self.pool.sources, self.parts, strict=True)
        }
        if on_progress is not None and self.language is None:
            on_progress(Progress("forecast", len(trials), len(trials)))
        return found


def _as_forecasters(parts: Mapping[str, Any]) -> dict[str, Forecaster]:
    return {
        name: part if isinstance(part, Forecaster) else as_forecaster(part)
        for name, part in parts.items()
    }


def _part_logits(
    part: Forecaster,
    trials: Sequence[Trial],
    prompts: Sequence[Prompt] | None,
    on_progress: OnProgress | None,
    floor: float,
) -> FloatArray:
    if part.kind == "language":
        return part.logits(trials, prompts=prompts, on_progress=on_progress)
    return log_probabilities(softmax(part.logits(trials)), floor=floor)
