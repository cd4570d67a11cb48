#!/usr/bin/env python
"""One adapter for several questions against one each.

    scripts/one_adapter.py --model FOLDER --data DATA --out OUT

DATA is described in question_rows.py, FOLDER is a small language model, OUT keeps each adapter's
logits, so that an interrupted run goes on. Every question has as many learning rows, registered
before one date that all questions share, and as many later rows, of trials that no adapter has
learned from. An adapter of its own learns from a question's rows. The joint one learns from the
rows of all questions, mixed; the prompt states the question. All have the same settings. The
loss of a row is over the answers of its own question alone.

The joint adapter thus sees each row as often, and takes as many steps as the others together. Half
an hour of one CPU core for SmolLM2-135M with the defaults.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from embedded_questions import SEED, learning_rows
from question_rows import read_source, rows_of
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.nn import functional
from transformers import get_cosine_schedule_with_warmup, set_seed

from llm4top.evaluation.metrics.bootstrap import interval
from llm4top.evaluation.metrics.metrics import measure_probabilities
from llm4top.evaluation.metrics.ordinal import ordinal_losses, ordinal_means
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.calibration.calibrated import MIN_ROWS_OF_A_LABEL, softmax
from llm4top.forecasters.calibration.methods import cross_calibrate, make_calibrator
from llm4top.forecasters.cross_fit import LearningRows
from llm4top.forecasters.distribution import Bins
from llm4top.forecasters.finetuning.batches import Collate, EpochBatches, PromptRows
from llm4top.forecasters.finetuning.lora import AnswerScorer, add_lora
from llm4top.forecasters.finetuning.settings import FinetuneSettings, finetune_settings
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.device import trains_in_bf16
from llm4top.forecasters.model.scoring import score_prompts
from llm4top.forecasters.model.tokenizer import answer_token_ids
from llm4top.prompts.prompt import PromptSpec, PromptWriter
from llm4top.tasks.builtin import TASKS

QUESTIONS = ("completion", "duration", "why-it-fails")
JOINT = "joint"
LATER = 0.2
BUDGET = 2048
"""Padded tokens that are scored at a time."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A question's rows to learn from and later ones, with the quantities of these."""

    task: str
    learned: LearningRows
    later: LearningRows
    values: np.ndarray


def draw(data: Path, questions: Sequence[str], learn: int, later: int) -> list[Asked]:
    """The rows of every question, drawn by SEED."""
    source = read_source(data)
    found = {name: learning_rows(rows_of(source, TASKS[name]))[:2] for name in questions}
    cut = min(sorted(rows.groups)[round((1 - LATER) * len(rows))] for rows, _ in found.values())
    rng = np.random.default_rng(SEED)
    old = {
        name: rng.permutation([i for i, group in enumerate(rows.groups) if group < cut])[:learn]
        for name, (rows, _) in found.items()
    }
    asked = []
    for name, (rows, values) in found.items():
        new = rng.permutation([i for i, group in enumerate(rows.groups) if group >= cut])[:later]
        print(f"{name}: {len(old[name])} learned, {len(new)} later, from {cut} on", flush=True)
        asked.append(Asked(name, rows.take(old[name]), rows.take(new), values[new]))
    return asked


class Questions:
    """The prompts and answers of several questions for one model.

    ``ids`` are all answers' tokens, ``allowed`` ``[question, answer]`` those of each question.
    """

    def __init__(self, base: Any, questions: Sequence[str], tokens: int):
        tasks = [TASKS[name] for name in questions]
        self.writers = [PromptWriter(base.tokenizer, task, PromptSpec(tokens)) for task in tasks]
        self.answers = [answer_token_ids(base.tokenizer, task) for task in tasks]
        self.ids = sorted({token for ids in self.answers for token in ids})
        self.allowed = torch.tensor([[one in ids for one in self.ids] for ids in self.answers])

    def prompts(self, question: int, rows: LearningRows) -> list[Sequence[int]]:
        """The prompts of a question about the rows' trials."""
        return [self.writers[question].write(trial).token_ids for trial in rows.trials]

    def targets(self, question: int, rows: LearningRows) -> list[int]:
        """The place of each row's answer in ``ids``."""
        return [self.ids.index(self.answers[question][label]) for label in rows.labels]


def trained(
    base: Any, questions: Questions, learned: Sequence[tuple[int, LearningRows]], how: Any
) -> Any:
    """An adapter for rows of one question or several: ``(question, rows)``."""
    set_seed(how.seed)
    model = add_lora(base.model, rank=how.lora_rank, alpha=how.lora_alpha, dropout=how.lora_dropout)
    scorer = AnswerScorer(model, questions.ids, autocast=trains_in_bf16(base.device, how.precision))
    rows = PromptRows(
        [prompt for q, own in learned for prompt in questions.prompts(q, own)],
        [target for q, own in learned for target in questions.targets(q, own)],
    )
    question = torch.tensor([q for q, own in learned for _ in range(len(own))])
    batches = EpochBatches(rows.lengths, batch_size=how.batch_size, seed=how.seed)
    steps = round(len(batches) * how.epochs)
    optimiser = torch.optim.AdamW(
        scorer.trainable().values(), how.learning_rate, weight_decay=how.weight_decay
    )
    schedule = get_cosine_schedule_with_warmup(optimiser, round(how.warmup_ratio * steps), steps)
    collate, losses = Collate(base.pad_id), []
    scorer.train()
    for batches.epoch in range(round(how.epochs)):
        for indices in batches:
            batch = collate([rows[i] for i in indices])
            loss = own_loss(scorer, batch, questions.allowed[question[indices]])
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(scorer.trainable().values(), how.max_grad_norm)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            losses.append(float(loss.detach()))
            if len(losses) % 20 == 0:
                print(f"  {len(losses)}/{steps} loss {np.mean(losses[-20:]):.3f}", flush=True)
    return scorer.eval().model


def own_loss(scorer: AnswerScorer, batch: dict[str, Tensor], allowed: Tensor) -> Tensor:
    """Cross-entropy over the answers ``allowed`` ``[batch, answer]`` of each row's question."""
    logits = scorer(batch["input_ids"], batch["lengths"])
    return functional.cross_entropy(logits.masked_fill(~allowed, -torch.inf), batch["labels"])


def adapter_logits(
    folder: Path, asked: Sequence[Asked], about: Sequence[int], tokens: int, how: FinetuneSettings
) -> dict[str, np.ndarray]:
    """Logits of the later rows of the questions ``about``, by an adapter for these."""
    base = load_base(folder, device="cpu", dtype="bfloat16")
    questions = Questions(base, [one.task for one in asked], tokens)
    started = time.process_time()
    model = trained(base, questions, [(q, asked[q].learned) for q in about], how)
    print(f"  trained in {time.process_time() - started:.0f} s of CPU", flush=True)
    return {
        asked[q].task: score_prompts(
            model, questions.prompts(q, asked[q].later), questions.answers[q], budget=BUDGET
        )
        .double()
        .numpy()
        for q in about
    }


def kept_logits(
    arguments: argparse.Namespace, asked: Sequence[Asked], about: Sequence[int], name: str
) -> dict[str, np.ndarray]:
    """As ``adapter_logits``; what an earlier run has finished is read."""
    file = arguments.out / f"{name}.safetensors"
    if not file.exists():
        print(name, flush=True)
        how = finetune_settings(
            learning_rate=arguments.learning_rate, batch_size=arguments.batch, epochs=1
        )
        found = adapter_logits(arguments.model, asked, about, arguments.tokens, how)
        save_file(found, file)
    return dict(load_file(file))


def report(one: Asked, own: np.ndarray, joint: np.ndarray) -> None:
    """Print the figures of one question and the paired differences, joint less own."""
    y, phases = one.later.labels, one.later.phases
    found = {"one each": softmax(own), "joint": softmax(joint)}
    if np.bincount(y, minlength=own.shape[1]).min() >= MIN_ROWS_OF_A_LABEL:
        for name, logits in (("one each", own), ("joint", joint)):
            done = cross_calibrate(make_calibrator("platt"), logits, y, phases)
            found[f"{name}, calibrated"] = done.probabilities
    for name, model in (("TF-IDF", TfidfForecaster), ("base rate", BaseRateForecaster)):
        fitted = model(one.task).fit(one.learned.trials, one.learned.labels)
        found[name] = fitted.predict_proba(one.later.trials)
    values = {name: measured(p, y, one) for name, p in found.items()}
    print(f"\n{one.task}, {len(one.learned)} learned, {len(y)} later")
    for name, metrics in values.items():
        print(f"  {name:22}", "  ".join(f"{m} {shown(*v)}" for m, v in metrics.items()))
    for suffix in ("", ", calibrated"):
        if f"joint{suffix}" not in values:
            continue
        first, second = values[f"joint{suffix}"], values[f"one each{suffix}"]
        cells = (
            f"{m} {shown(first[m][0] - second[m][0], first[m][1] - second[m][1])}" for m in first
        )
        print(f"  joint - one each{suffix:12}", "  ".join(cells))


def measured(p: np.ndarray, y: np.ndarray, one: Asked) -> dict[str, tuple[float, np.ndarray]]:
    """Value and paired draws of each metric."""
    figures, drawn = measure_probabilities(p, y, seed=SEED)
    found = {m: (figures[m].value or np.nan, drawn[m]) for m in ("log_loss", "roc_auc")}
    if TASKS[one.task].kind == "ordinal":
        losses = ordinal_losses(p, y, Bins.of(TASKS[one.task]), one.values)
        means, draws = ordinal_means(losses, y, seed=SEED)
        found["crps"] = (means["crps"], draws["crps"])
    return found


def shown(value: float, drawn: np.ndarray) -> str:
    """A value with its 95 % interval."""
    low, high = interval(drawn)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing in OUT, then compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--questions", nargs="+", choices=TASKS, default=QUESTIONS)
    parser.add_argument("--learn", type=int, default=200, help="learning rows of each question")
    parser.add_argument("--later", type=int, default=200, help="later rows of each question")
    parser.add_argument("--tokens", type=int, default=192, help="budget of the prompt")
    parser.add_argument("--batch", type=int, default=4, help="rows of one step")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--only", help="stop after this adapter: a question, or joint")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    asked = draw(given.data, given.questions, given.learn, given.later)
    adapters = {one.task: [q] for q, one in enumerate(asked)} | {JOINT: [*range(len(asked))]}
    wanted = adapters if given.only is None else {given.only: adapters[given.only]}
    found = {name: kept_logits(given, asked, about, name) for name, about in wanted.items()}
    if given.only is None:
        for one in asked:
            report(one, found[one.task][one.task], found[JOINT][one.task])


if __name__ == "__main__":
    main()
