"""What a selection would do, and about what it would cost, before any weight is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm4top.data.dataset import Dataset
from llm4top.forecasters.model.base_model import load_tokenizer
from llm4top.forecasters.model.model_files import resolve_base
from llm4top.prompts.prompt import PromptSpec, PromptWriter
from llm4top.training.config import TrainingConfig, chosen_sections
from llm4top.training.memory import model_shape
from llm4top.training.preflight import PreflightReport, sample_rows
from llm4top.training.selection.baselines import chosen_baselines
from llm4top.training.selection.candidates import (
    Candidate,
    SelectSettings,
    make_candidates,
    make_rungs,
    rung_steps,
    whole_steps,
)
from llm4top.training.selection.losses import SelectionScorer
from llm4top.training.selection.select import check_candidates, check_folder, learning_part

_SAMPLE = 100
_FLOPS_LEARNT = 6
_FLOPS_READ = 2
"""Operations a parameter and token, learning and reading (Kaplan et al. 2020, section 2.1)."""


@dataclass(frozen=True, slots=True)
class PlannedRung:
    """A rung: so many candidates, each with every seed, for so many steps (least and most)."""

    number: int
    candidates: int
    keep: int
    runs: int
    share: float
    least_steps: int
    most_steps: int
    tokens_learnt: int
    tokens_read: int
    petaflop: float


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """All rungs, and the preflight of each candidate.

    Costs are upper bounds: the dearest candidates are taken to survive and nothing stops early.
    Tokens are those of a sample of prompts, times rows; ``petaflop`` counts operations.
    """

    candidates: tuple[Candidate, ...]
    baselines: tuple[str, ...]
    rungs: tuple[PlannedRung, ...]
    checks: Mapping[str, PreflightReport]

    @property
    def ok(self) -> bool:
        """Whether no candidate would fail."""
        return all(report.ok for report in self.checks.values())

    @property
    def runs(self) -> int:
        """Training runs, all seeds counted."""
        return sum(rung.runs for rung in self.rungs)


@dataclass(frozen=True, slots=True)
class _Cost:
    steps: int
    learnt: int
    read: int
    flop: float


def plan_selection(settings: SelectSettings) -> SelectionPlan:
    """The plan of ``select``; raises what it raises before it begins, but faults of candidates."""
    candidates = make_candidates(settings)
    baselines = chosen_baselines(settings.baselines, settings.encoder)
    dataset = learning_part(settings.data)
    SelectionScorer.of(dataset.select("valid"), draws=settings.draws, split="valid")
    check_folder(settings.out)
    checks = check_candidates(settings, candidates, dataset)
    able = [c for c in candidates if checks[c.name].ok]
    sizes = {c.name: _Size.of(c, settings, dataset) for c in able}
    rungs = []
    for rung in make_rungs(len(candidates), settings.eta):
        costs = [size.cost(rung.share, settings.least_steps) for size in sizes.values()]
        costs.sort(key=lambda cost: -cost.flop)
        dearest = costs[: rung.candidates]
        seeds = len(settings.seeds)
        rungs.append(
            PlannedRung(
                number=rung.number,
                candidates=rung.candidates,
                keep=rung.keep,
                runs=rung.candidates * seeds,
                share=rung.share,
                least_steps=min((cost.steps for cost in costs), default=0),
                most_steps=max((cost.steps for cost in costs), default=0),
                tokens_learnt=seeds * sum(cost.learnt for cost in dearest),
                tokens_read=seeds * sum(cost.read for cost in dearest),
                petaflop=seeds * sum(cost.flop for cost in dearest) / 1e15,
            )
        )
    return SelectionPlan(candidates, baselines, tuple(rungs), checks)


@dataclass(frozen=True, slots=True)
class _Size:
    """What a candidate's runs cost: prompts of about ``tokens``, a model of ``parameters``."""

    config: TrainingConfig
    tokens: float
    parameters: int
    train_rows: int
    valid_rows: int

    @classmethod
    def of(cls, candidate: Candidate, settings: SelectSettings, dataset: Dataset) -> _Size:
        config = candidate.config(settings, seed=settings.seeds[0], out=settings.out)
        folder = resolve_base(config.base)
        learn = dataset.select("train")
        return cls(
            config,
            _mean_tokens(config, dataset, learn),
            model_shape(folder).parameters,
            len(learn),
            dataset.splits.count("valid"),
        )

    def cost(self, share: float, least: int) -> _Cost:
        rows_a_step = self.config.batch_size * self.config.accumulation
        steps = rung_steps(whole_steps(self.config, self.train_rows), share, least)
        every = max(math.ceil(self.train_rows / rows_a_step) // self.config.evals_per_epoch, 1)
        learnt = steps * rows_a_step * self.tokens
        # Every evaluation reads the validation split, and so does the scoring at the end.
        read = (math.ceil(steps / every) + 1) * self.valid_rows * self.tokens
        flop = self.parameters * (_FLOPS_LEARNT * learnt + _FLOPS_READ * read)
        return _Cost(steps, round(learnt), round(read), flop)


def _mean_tokens(config: TrainingConfig, dataset: Dataset, learn: Dataset) -> float:
    trials: Sequence[object] = learn.take(sample_rows(len(learn), _SAMPLE, 0)).trials
    spec = PromptSpec(config.max_tokens, chosen_sections(config, trials, dataset.task))
    writer = PromptWriter(load_tokenizer(resolve_base(config.base)), dataset.task, spec)
    lengths = [len(writer.write(trial).token_ids) for trial in trials]  # type: ignore[arg-type]
    return sum(lengths) / max(len(lengths), 1)
