"""The settings of fine-tuning. They need no torch, so reading a configuration is quick."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from llm4top.errors import ConfigError


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """How to fine-tune. All of it is data; ``ConfigError`` names every field out of range.

    tuning: "lora" trains low-rank adapters on all linear projections, "full" every weight
        (in float32: 16 bytes a parameter with gradients and AdamW's moments).
    lora_rank, lora_alpha, lora_dropout: the adapter's rank, its scale (alpha / rank) and the
        dropout before it. Ignored with tuning "full".
    learning_rate: the peak; warm-up over ``warmup_ratio`` of all steps, then ``schedule``.
    epochs: passes over the data; a fraction is a partial pass. ``max_steps`` bounds the optimiser
        steps as well, where set.
    batch_size, accumulation: rows on one device at a time, and how many such batches make one
        optimiser step. The loss is normalised over the rows of the whole step, over all devices:
        8 x 1 and 2 x 4 give the same weights.
    eval_batch_size: rows at a time in evaluation; None takes twice ``batch_size``.
    class_weights: weight of each label in the loss, in label order; "balanced" takes
        n / (labels x n of that label); None weighs all alike. The weighted losses of a step are
        divided by the sum of its weights. Weights shift the probabilities; calibration undoes it.
    patience: stop after so many evaluations without a better validation log-loss; None: never.
        The best weights are restored in either case.
    evals_per_epoch: evaluations spread over each epoch; the last step is always evaluated.
    checkpoint_steps: optimiser steps between checkpoints; None: at each evaluation.
    gradient_checkpointing: keep no activations inside layers; about a third slower, same result.
    precision: "bf16" computes in bfloat16 under autocast (CUDA and CPU), "fp32" in the weights'
        own type; "auto" is bf16 on CUDA devices that have it.
    by_length: batches of rows of like length, in random order.
    seed: of the adapter's start, the order of the rows and dropout.
    """

    tuning: Literal["lora", "full"] = "lora"
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    learning_rate: float = 2e-4
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup_ratio: float = 0.05
    epochs: float = 3.0
    max_steps: int | None = None
    batch_size: int = 8
    accumulation: int = 1
    eval_batch_size: int | None = None
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None
    patience: int | None = 2
    evals_per_epoch: int = 1
    checkpoint_steps: int | None = None
    keep_checkpoints: int = 2
    log_steps: int = 10
    gradient_checkpointing: bool = False
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    by_length: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        at_least_one = (
            "lora_rank",
            "lora_alpha",
            "batch_size",
            "accumulation",
            "evals_per_epoch",
            "keep_checkpoints",
            "log_steps",
        )
        optional = ("max_steps", "eval_batch_size", "patience", "checkpoint_steps")
        faults = [f"{name}: must be 1 or more" for name in at_least_one if getattr(self, name) < 1]
        faults += [
            f"{name}: must be 1 or more, or absent"
            for name in optional
            if getattr(self, name) is not None and getattr(self, name) < 1
        ]
        for name in ("learning_rate", "epochs", "max_grad_norm"):
            if not (0 < getattr(self, name) < math.inf):
                faults.append(f"{name}: must be above 0")
        for name in ("lora_dropout", "warmup_ratio", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                faults.append(f"{name}: must be 0 or more and below 1")
        if isinstance(self.class_weights, tuple) and min(self.class_weights, default=0.0) <= 0:
            faults.append("class_weights: must all be above 0")
        if faults:
            raise ConfigError("the fine-tuning settings are wrong.", faults)
