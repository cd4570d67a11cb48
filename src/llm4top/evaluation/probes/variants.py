"""Asking one model about the same trials in several ways, and what each way changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from llm4top.data.dataset import Dataset
from llm4top.errors import EvaluationError, ScoreError
from llm4top.evaluation.metrics.metrics import Measured, figure, measure
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores
from llm4top.evaluation.reports.report import Figure, VariantRow
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.batching import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptWriter
from llm4top.registry.trial import Trial

SHOWN = ("roc_auc", "log_loss", "brier")
"""What is measured of each variant."""

FULL = "full prompt"


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the model said to one variant: its scores, and how many prompts differ from the full."""

    scores: Scores
    changed: int


class Asking:
    """A model and the rows that it is asked about, once in full and then in other ways.

    ``rows`` are of one split, ``ways`` is how many variants there will be in all, the full prompt
    included, for ``on_progress``; its tokens are reckoned from the full prompts. A prompt that a
    variant leaves as it was is not asked again.

    Raises what ``Scores`` raises for rows that cannot be measured, before the model is asked.
    """

    def __init__(
        self,
        forecaster: LanguageForecaster,
        rows: Dataset,
        *,
        ways: int = 1,
        calibration: Calibrator | None = None,
        draws: int = 1000,
        seed: int = 0,
        name: str | None = None,
        on_progress: OnProgress | None = None,
    ):
        self.forecaster = forecaster
        self.rows = rows
        self.trials: list[Trial] = list(rows.trials)
        self.name = name or Path(forecaster.base).name
        self.check = one_split(rows)
        self.y: IntArray = np.asarray(rows.label_indices, dtype=np.int64)
        self.ways = ways
        self._calibration = calibration
        self.seed = seed
        self._draws = draws
        self._on_progress = on_progress
        self._done = 0
        self._known: dict[tuple[int, ...], FloatArray] = {}
        _check_task(forecaster, rows)
        labels = len(rows.task.labels)
        self._scores(np.full((len(rows), labels), 1 / labels))  # raises for unmeasurable rows
        self.prompts = self._written(self.writer)
        self._tokens = sum(len(prompt.token_ids) for prompt in self.prompts)
        self.full = self._ask(self.prompts).scores

    @property
    def writer(self) -> PromptWriter:
        """What writes the full prompts."""
        return self.forecaster.scorer.writer

    @property
    def probabilities_are(self) -> str:
        """Where the probabilities come from, as a sentence."""
        if self._calibration is None:
            return "Probabilities are the model's own, not calibrated."
        return f"Probabilities are calibrated ({self._calibration.method})."

    def ask(
        self, writer: PromptWriter | None = None, trials: Sequence[Trial] | None = None
    ) -> Answers:
        """The answers about ``trials`` (default: the rows') as ``writer`` asks about them.

        ``trials`` stand for the rows, in their order.
        """
        return self._ask(self._written(writer or self.writer, trials))

    def measured(self, scores: Scores, *, seed: int | None = None) -> Measured:
        """The scores' figures; with the same rows and seed, paired draw by draw."""
        return measure(scores, draws=self._draws, seed=self.seed if seed is None else seed)

    def _written(self, writer: PromptWriter, trials: Sequence[Trial] | None = None) -> list[Prompt]:
        return [writer.write(trial) for trial in (self.trials if trials is None else trials)]

    def _ask(self, prompts: Sequence[Prompt]) -> Answers:
        first = not self._known
        new: dict[tuple[int, ...], Prompt] = {}
        for prompt in prompts:
            if prompt.token_ids not in self._known:
                new.setdefault(prompt.token_ids, prompt)
        logits = self.forecaster.logits_of(
            list(new.values()), on_progress=self._hear(len(prompts) - len(new))
        )
        answered = dict(zip(new, logits, strict=True))
        if first:
            self._known = answered
        else:
            answered |= self._known
        self._done += len(prompts)
        self._tell(0)
        rows = np.stack([answered[prompt.token_ids] for prompt in prompts])
        changed = (
            0
            if first
            else sum(a.token_ids != b.token_ids for a, b in zip(prompts, self.prompts, strict=True))
        )
        return Answers(self._scores(self._probabilities(rows)), changed)

    def _probabilities(self, logits: FloatArray) -> FloatArray:
        if self._calibration is not None:
            # A variant changes what the model reads, not what is known of the trial.
            phases = [trial.phase for trial in self.trials]
            return self._calibration.predict(logits, phases).probabilities
        return np.asarray(softmax(logits, axis=1), dtype=np.float64)

    def _scores(self, probabilities: FloatArray) -> Scores:
        rows = self.rows
        return Scores(self.name, self.check, rows.task.labels, probabilities, self.y, rows.nct_ids)

    def _hear(self, reused: int) -> OnProgress:
        return lambda progress: self._tell(reused + progress.prompts)

    def _tell(self, more: int) -> None:
        if self._on_progress is not None:
            n, done = len(self.trials), self._done + more
            total = n * self.ways
            self._on_progress(
                Progress(done, round(done * self._tokens / n), total, self._tokens * self.ways)
            )


def variant_row(
    variant: str, measured: Measured, against: Measured | None = None, note: str = ""
) -> VariantRow:
    """A variant's figures, and their difference to ``against``, paired draw by draw.

    The two are of the same rows, or of different rows and drawn by different seeds.
    """
    found = {name: measured.figures[name] for name in SHOWN if name in measured.figures}
    apart = (
        {} if against is None else {name: _difference(name, measured, against) for name in found}
    )
    return VariantRow(variant=variant, n=measured.n, figures=found, difference=apart, note=note)


def empty_row(variant: str, n: int, note: str) -> VariantRow:
    """A variant that could not be measured, and why."""
    return VariantRow(variant=variant, n=n, figures={}, difference={}, note=note)


def _difference(name: str, first: Measured, second: Measured) -> Figure:
    values = [one.figures[name].value for one in (first, second)]
    if values[0] is None or values[1] is None:
        return Figure(value=None, lower=None, upper=None, n=first.n)
    return figure(values[0] - values[1], first.draws[name] - second.draws[name], first.n)


def one_split(rows: Dataset) -> str:
    """The split that all rows are of; ``EvaluationError`` where they are of several."""
    splits = sorted(set(rows.splits))
    if len(splits) > 1:
        raise EvaluationError(
            f"the rows are of the splits {', '.join(splits)}.",
            where=rows.card.name,
            hint="Choose one, with Dataset.select.",
        )
    return splits[0] if splits else "valid"


def sampled(rows: Dataset, limit: int | None, seed: int) -> Dataset:
    """At most ``limit`` rows, drawn by ``seed`` with the labels' shares kept, in their order.

    Raises ``EvaluationError`` for a limit below the number of labels.
    """
    if limit is None or limit >= len(rows):
        return rows
    if limit < len(rows.task.labels):
        raise EvaluationError(
            f"{limit} rows cannot hold every label of task {rows.task.name!r}.",
            hint="Raise the limit.",
        )
    y = np.asarray(rows.label_indices)
    rng = np.random.default_rng(seed)
    # In an order that deals the labels evenly, the first rows keep their shares.
    place = np.empty(len(rows))
    for label in np.unique(y):
        own = rng.permutation(np.flatnonzero(y == label))
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    order = np.lexsort((rng.random(len(rows)), place))
    firsts = {int(np.flatnonzero(y[order] == label)[0]) for label in np.unique(y)}
    kept = sorted(range(len(rows)), key=lambda i: (i not in firsts, i))[:limit]
    return rows.take(sorted(int(order[i]) for i in kept))


def _check_task(forecaster: LanguageForecaster, rows: Dataset) -> None:
    task = forecaster.scorer.task
    if task.labels != rows.task.labels:
        raise ScoreError(
            f"the model answers task {task.name!r}, the rows are about {rows.task.name!r}.",
            where=rows.card.name,
            hint="Ask it about a data set of its own task.",
        )
