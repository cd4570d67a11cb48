"""How long a training takes and how much memory, from a few of its own steps."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl

from llm4top.data.dataset import Dataset
from llm4top.forecasters.finetuning.finetune import finetune
from llm4top.forecasters.finetuning.settings import FinetuneSettings
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.device import Device
from llm4top.forecasters.model.scoring import TrialScorer
from llm4top.text import about, counted, duration, file_size, thousands
from llm4top.training.config import TrainingConfig, prompt_spec
from llm4top.training.memory import SHARE_OF_TIME, sample_rows
from llm4top.training.selection.candidates import whole_steps

_STEPS = 5
"""At most; the first warms up and is not counted."""
_SECONDS = 60.0
"""After so long no further step is begun, once one has been counted."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a whole training takes, judging by some of its steps.

    Attributes:
        rates: Prompt tokens a second in each step that was counted.
        tokens: Of all steps of one training, at most.
        steps: Of one training, at most.
        trainings: How many the run makes: ``final_fit: all`` fits folds and all trials too.
        memory: Bytes at their peak: on a CUDA device what torch held there, else of the process.
        on_gpu: Whether it is the memory of a CUDA device.
    """

    rates: tuple[float, ...]
    tokens: float
    steps: int
    trainings: int
    memory: int
    on_gpu: bool = False

    @property
    def seconds(self) -> tuple[float, float, float]:
        """Of the whole run: as the steps took in the mean, as the fastest and as the slowest.

        The mean and the slowest have the evaluations in them. The mean is that of the time a token.
        """
        whole = self.tokens * self.trainings
        mean = whole * sum(1 / rate for rate in self.rates) / len(self.rates)
        evaluated = 1 + SHARE_OF_TIME
        return mean * evaluated, whole / max(self.rates), whole / min(self.rates) * evaluated

    @property
    def time_in_words(self) -> str:
        """For a person: "about 3 min (2 min to 4 min, ...) for at most 42 steps ..."."""
        mean, least, most = self.seconds
        times = f"{self.trainings} trainings of " if self.trainings > 1 else ""
        rate = round(len(self.rates) / sum(1 / rate for rate in self.rates))
        return (
            f"{about(mean)} ({duration(least)} to {duration(most)}, by the fastest and the slowest "
            f"of {counted(len(self.rates), 'measured step')}) for {times}at most "
            f"{thousands(self.steps)} steps and their evaluations: {thousands(rate)} tokens a "
            "second."
        )

    @property
    def memory_in_words(self) -> str:
        """For a person: "2.7 GB at the peak of these steps, ..."."""
        where = "on the GPU" if self.on_gpu else "the program and its libraries included"
        return f"{file_size(self.memory)} at the peak of these steps, {where}."


def measured_pace(config: TrainingConfig, data: Dataset) -> Pace:
    """Train for a few steps on some trials, and throw the result away.

    Loads the base model. Raises what ``load_base`` and ``finetune`` raise; not for tuning "probe",
    which has no steps.
    """
    rows = data.select(config.train_split)
    needed = _STEPS * config.batch_size * config.accumulation
    trials = rows.take(sample_rows(len(rows), needed, config.seed)).trials
    base = load_base(
        config.base, device=config.device, dtype=config.dtype, quantize=config.quantize
    )
    if base.device.kind == "cuda":
        torch.cuda.reset_peak_memory_stats(base.device.torch)
    scorer = TrialScorer(base, data.task, prompt_spec(config, trials, data.task))
    prompts = [prompt.token_ids for prompt in scorer.prompts(trials)]
    rates = _rates(config, base, list(islice(cycle(prompts), needed)), scorer.answer_ids)
    steps = whole_steps(config, len(rows))
    tokens = steps * (needed / _STEPS) * sum(map(len, prompts)) / len(prompts)
    on_gpu = base.device.kind == "cuda"
    return Pace(rates, tokens, steps, config.trainings, _peak_memory(base.device), on_gpu)


def _rates(
    config: TrainingConfig, base: Any, prompts: Sequence[Sequence[int]], answer_ids: Sequence[int]
) -> tuple[float, ...]:
    """Tokens a second in each step but the first, in one pass over the prompts."""
    values = {name: getattr(config, name) for name in FinetuneSettings.model_fields}
    # Neither evaluations nor checkpoints on the way: their share of the time is known.
    few = {"epochs": 1, "max_steps": None, "log_steps": 1, "evals_per_epoch": 1}
    none = {"checkpoint_steps": None, "class_weights": None, "section_dropout": 0.0}
    settings = FinetuneSettings(**{**values, **few, **none})
    # What the answers are makes no difference to the time.
    targets = [0] * len(prompts)
    done = finetune(base, prompts, targets, answer_ids, settings, callbacks=[_Stop()])
    logged = [line["tokens_per_second"] for line in done.history if "tokens_per_second" in line]
    return tuple(logged[1:])


class _Stop(TrainerCallback):  # type: ignore[misc]
    """Ends the training once it has taken long enough."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, _: Any, state: Any, control: TrainerControl, **__: Any) -> None:
        """Stop after the second step or later."""
        long = time.perf_counter() - self._began > _SECONDS
        if long and state.global_step > 1:
            control.should_training_stop = control.should_log = True


def _peak_memory(device: Device) -> int:
    if device.kind == "cuda":
        return int(torch.cuda.max_memory_allocated(device.torch))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In bytes on macOS alone.
    return peak if sys.platform == "darwin" else peak * 1024
