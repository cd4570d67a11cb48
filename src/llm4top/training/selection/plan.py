"""The plan of a selection and an estimate of its cost, before any weight is loaded."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from llm4top.data.dataset import Dataset
from llm4top.forecasters.model.base_model import load_tokenizer
from llm4top.forecasters.model.model_files import resolve_base
from llm4top.prompts.prompt import PromptSpec, PromptWriter
from llm4top.training.config import chosen_sections
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
"""Operations per parameter and token, training and reading (Kaplan et al. 2020, section 2.1)."""


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

    Costs are upper bounds: the most expensive candidates are assumed to survive and nothing stops
    early. Tokens are estimated from a sample of prompts; ``petaflop`` counts operations.
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


class _Cost(NamedTuple):
    flop: float
    steps: int
    learnt: int
    read: int


def plan_selection(settings: SelectSettings) -> SelectionPlan:
    """The plan of ``select``, which raises the same errors except faults of candidates."""
    candidates = make_candidates(settings)
    baselines = chosen_baselines(settings.baselines, settings.encoder)
    dataset = learning_part(settings.data)
    SelectionScorer.of(dataset.select("valid"), draws=settings.draws, split="valid")
    check_folder(settings.out)
    checks = check_candidates(settings, candidates, dataset)
    costs_of = [_costs(c, settings, dataset) for c in candidates if checks[c.name].ok]
    seeds, rungs = len(settings.seeds), []
    for rung in make_rungs(len(candidates), settings.eta):
        costs = sorted((cost(rung.share) for cost in costs_of), reverse=True)
        dearest = costs[: rung.candidates]
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


def _costs(
    candidate: Candidate, settings: SelectSettings, dataset: Dataset
) -> Callable[[float], _Cost]:
    """What one run of a candidate costs, as a function of the share of its steps."""
    config = candidate.config(settings, seed=settings.seeds[0], out=settings.out)
    folder, train = resolve_base(config.base), dataset.select("train")
    parameters, valid_rows = model_shape(folder).parameters, dataset.splits.count("valid")
    trials = train.take(sample_rows(len(train), _SAMPLE, 0)).trials
    spec = PromptSpec(config.max_tokens, chosen_sections(config, trials, dataset.task))
    writer = PromptWriter(load_tokenizer(folder), dataset.task, spec)
    tokens = sum(len(writer.write(trial).token_ids) for trial in trials) / max(len(trials), 1)
    rows_a_step = config.batch_size * config.accumulation
    every = max(math.ceil(len(train) / rows_a_step) // config.evals_per_epoch, 1)

    def cost(share: float) -> _Cost:
        steps = rung_steps(whole_steps(config, len(train)), share, settings.least_steps)
        learnt = steps * rows_a_step * tokens
        # Every evaluation reads the validation split, and so does the scoring at the end.
        read = (math.ceil(steps / every) + 1) * valid_rows * tokens
        flop = parameters * (_FLOPS_LEARNT * learnt + _FLOPS_READ * read)
        return _Cost(flop, steps, round(learnt), round(read))

    return cost
