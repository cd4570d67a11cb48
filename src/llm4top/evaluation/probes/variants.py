"""One model's predictions for the same trials under several variants of the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
from scipy.special import softmax

from llm4top.data.dataset import Dataset
from llm4top.errors import EvaluationError, ScoreError
from llm4top.evaluation.metrics.metrics import Measured, figure, measure
from llm4top.evaluation.predictions import FloatArray, IntArray, Scores
from llm4top.evaluation.reports.report import Figure, VariantRow, VariantTable
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.language import LanguageForecaster
from llm4top.progress import OnProgress, Progress
from llm4top.prompts.prompt import Prompt, PromptWriter
from llm4top.prompts.sections import SECTION_HEADINGS, SECTION_NAMES, trial_sections
from llm4top.registry.trial import Trial

SHOWN = ("roc_auc", "log_loss", "brier")
"""The metrics shown of each variant."""

FULL = "full prompt"


class ProbeOptions(TypedDict, total=False):
    """What every probe of a language model can be given.

    Attributes:
        calibration: Turns logits into probabilities; without one they are the model's own.
        draws: Number of bootstrap draws, 1000 if absent.
        seed: Seed of the draws and of the sample of rows, 0 if absent.
        name: The model's name in the table; its folder's if absent.
        on_progress: Called with the prompts that are scored.
    """

    calibration: Calibrator | None
    draws: int
    seed: int
    name: str | None
    on_progress: OnProgress | None


@dataclass(frozen=True, slots=True, eq=False)
class VariantScores:
    """The scores under one variant, and how many of its prompts differ from the full ones."""

    scores: Scores
    changed: int


class VariantRunner:
    """Scores the same rows with the full prompt and with variants of it.

    A prompt that a variant leaves unchanged is not scored again.

    Args:
        forecaster: The language model.
        rows: Rows of one split.
        variants: How many variants there will be, the full prompt included; for ``on_progress``,
            whose tokens are estimated from the full prompts.

    Raises:
        ScoreError: The rows cannot be measured (too few, a label missing), or are of another task.
            Raised before any prompt is scored.
        EvaluationError: The rows are of several splits.
    """

    def __init__(
        self,
        forecaster: LanguageForecaster,
        rows: Dataset,
        *,
        variants: int = 1,
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
        self.check = split_of(rows)
        self.y: IntArray = np.asarray(rows.label_indices, dtype=np.int64)
        self.seed = seed
        self._variants = variants
        self._calibration = calibration
        self._draws = draws
        self._on_progress = on_progress
        self._done = 0
        self._known: dict[tuple[int, ...], FloatArray] = {}
        _check_task(forecaster, rows)
        labels = len(rows.task.labels)
        self._scores(np.full((len(rows), labels), 1 / labels))  # raises for unmeasurable rows
        self.prompts = [self.writer.write(trial) for trial in self.trials]
        self.full = self._run(self.prompts).scores

    @property
    def writer(self) -> PromptWriter:
        """Writes the full prompts."""
        return self.forecaster.scorer.writer

    @property
    def calibration_note(self) -> str:
        """Where the probabilities come from, as a sentence."""
        if self._calibration is None:
            return "Probabilities are the model's own, not calibrated."
        return f"Probabilities are calibrated ({self._calibration.method})."

    def run(
        self, writer: PromptWriter | None = None, trials: Sequence[Trial] | None = None
    ) -> VariantScores:
        """The scores of the rows with the prompts that ``writer`` makes of ``trials``.

        ``trials`` replace the rows', in their order; by default they are the rows' own.
        """
        writer = writer or self.writer
        return self._run([writer.write(trial) for trial in trials or self.trials])

    def measured(self, scores: Scores, *, seed: int | None = None) -> Measured:
        """The scores' figures; with the same rows and seed, paired draw by draw."""
        return measure(scores, draws=self._draws, seed=self.seed if seed is None else seed)

    def _run(self, prompts: Sequence[Prompt]) -> VariantScores:
        new = {p.token_ids: p for p in prompts if p.token_ids not in self._known}
        reused = len(prompts) - len(new)
        logits = self.forecaster.logits_of(
            list(new.values()), on_progress=lambda p: self._report(reused + p.done)
        )
        known = self._known | dict(zip(new, logits, strict=True))
        if not self._known:
            self._known = known  # those of the full prompts alone: variants need not be held
        self._done += len(prompts)
        self._report(0)
        rows = np.stack([known[prompt.token_ids] for prompt in prompts])
        pairs = zip(prompts, self.prompts, strict=True)
        changed = sum(prompt.token_ids != full.token_ids for prompt, full in pairs)
        return VariantScores(self._scores(self._probabilities(rows)), changed)

    def _probabilities(self, logits: FloatArray) -> FloatArray:
        if self._calibration is not None:
            # A variant changes what the model reads, not what is known of the trial.
            phases = [trial.phase for trial in self.trials]
            return self._calibration.predict(logits, phases).probabilities
        return np.asarray(softmax(logits, axis=1), dtype=np.float64)

    def _scores(self, probabilities: FloatArray) -> Scores:
        return Scores.of_rows(self.name, self.check, self.rows, probabilities)

    def _report(self, more: int) -> None:
        if self._on_progress is not None:
            n, done = len(self.trials), self._done + more
            self._on_progress(Progress("probe", done, n * self._variants))


def variant_row(
    variant: str, measured: Measured, against: Measured | None = None, note: str = ""
) -> VariantRow:
    """A variant's figures, and their difference to ``against``, paired draw by draw.

    The two are of the same rows, or of different rows and drawn by different seeds.
    """
    figures = {name: measured.figures[name] for name in SHOWN if name in measured.figures}
    difference = {} if against is None else {n: _difference(n, measured, against) for n in figures}
    return VariantRow(
        variant=variant, n=measured.n, figures=figures, difference=difference, note=note
    )


def empty_row(variant: str, n: int, note: str) -> VariantRow:
    """A variant that could not be measured, and why."""
    return VariantRow(variant=variant, n=n, figures={}, difference={}, note=note)


def _difference(name: str, first: Measured, second: Measured) -> Figure:
    values = [one.figures[name].value for one in (first, second)]
    if values[0] is None or values[1] is None:
        return Figure(value=None, lower=None, upper=None, n=first.n)
    return figure(values[0] - values[1], first.draws[name] - second.draws[name], first.n)


def split_of(rows: Dataset) -> str:
    """The split of all rows; ``EvaluationError`` where they are of several."""
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
            hint="Give a data set of the model's own task.",
        )


def prompt_ablation(
    forecaster: LanguageForecaster,
    rows: Dataset,
    *,
    limit: int | None = None,
    **options: Unpack[ProbeOptions],
) -> VariantTable:
    """Scores of the same trials with each section of the prompt left out in turn.

    The first row is the full prompt; then one row for each section that occurs in ``rows``, in
    prompt order, with its paired difference to the full prompt. Nothing is retrained, and the token
    budget stays the same.

    Args:
        forecaster: The language model.
        rows: Rows of one split; validation rows if sections are chosen by the result.
        limit: Measures at most so many rows, drawn by the seed with the labels' shares kept.
        **options: See ``ProbeOptions``.

    Raises:
        ScoreError: The rows cannot be measured (too few, a label missing).
        EvaluationError: The rows are of several splits.
    """
    chosen = sampled(rows, limit, options.get("seed", 0))
    counts = _sections(forecaster, chosen)
    runner = VariantRunner(forecaster, chosen, variants=1 + len(counts), **options)
    full = runner.measured(runner.full)
    table = [variant_row(FULL, full)]
    spec = runner.writer.spec
    for left_out, count in counts.items():
        kept = tuple(s for s in spec.sections or SECTION_NAMES if s != left_out)
        scores = runner.run(runner.writer.with_spec(replace(spec, sections=kept))).scores
        note = f"{count} of {len(chosen)} trials have this section."
        heading = SECTION_HEADINGS[left_out]
        table.append(variant_row(f"without {heading}", runner.measured(scores), full, note))
    return VariantTable(
        title="Prompt ablation",
        forecaster=runner.name,
        check=runner.check,
        reading=_reading(runner, len(counts)),
        rows=tuple(table),
    )


def _sections(forecaster: LanguageForecaster, rows: Dataset) -> dict[str, int]:
    """The sections that prompts of these rows have, and in how many rows, in prompt order."""
    writer = forecaster.scorer.writer
    counts = dict.fromkeys(SECTION_NAMES, 0)
    for trial in rows.trials:
        hidden = writer.task.hidden_fields
        for section in trial_sections(trial, only=writer.spec.sections, hidden_fields=hidden):
            counts[section.name] += 1
    return {name: count for name, count in counts.items() if count}


def _reading(runner: VariantRunner, sections: int) -> str:
    cut = sum(prompt.tokens_cut > 0 for prompt in runner.prompts)
    sentences = [
        "Each row leaves one section of the prompt out and scores the same trials again with the "
        "same model. Nothing is retrained: a fine-tuned model was trained on prompts with all of "
        "these sections, so a row shows how much its forecasts depend on a section, not how well a "
        "model trained without it would do.",
        "Differences are to the full prompt. A lower ROC-AUC, or a higher log-loss or Brier score, "
        "means that the section helps; where the interval includes 0, no effect is shown.",
    ]
    if cut:
        sentences.append(
            f"{cut} of {len(runner.prompts)} full prompts are cut to "
            f"{runner.writer.spec.max_tokens} tokens: leaving a section out of these makes room "
            "for the others."
        )
    if sections > 1:
        sentences.append(
            f"{sections} sections are compared, and about one interval in twenty excludes 0 by "
            "chance."
        )
    return " ".join([*sentences, runner.calibration_note])
