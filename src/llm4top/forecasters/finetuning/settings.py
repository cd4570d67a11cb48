"""The settings of fine-tuning: the one home of their names, defaults, limits and descriptions.

``TrainingConfig`` (YAML files, ``--set``, the Studio's form, docs/cli.md), the presets,
``LanguageForecaster`` and ``finetune`` all take them from ``FinetuneSettings``. Nothing here needs
torch, so reading a configuration is quick.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from llm4top.errors import ConfigError
from llm4top.schema import Strict, validate_settings

KEEP_CHECKPOINTS = 2
"""How many of the newest checkpoints stay on disk during a run."""

MOST_LAYERS = 9
"""Layers whose states a probe looks at: all of a small model, else a spread with the last one."""
_PROBE_TAKES = {"tuning", "class_weights", "precision", "seed"}

FORMER_NAMES = {"gradient_accumulation": "accumulation", "class_weight": "class_weights"}
"""Former names of settings, which files and stored runs may still use, with today's."""


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by today's names; a former name next to its successor stays, and is refused."""
    names = {old: new for old, new in FORMER_NAMES.items() if new not in values}
    return {names.get(name, name): value for name, value in values.items()}


class FinetuneSettings(Strict):
    """How to fine-tune. The defaults are those of the preset "standard".

    Make one with ``finetune_settings``, which raises ``ConfigError``; the constructor raises
    pydantic's ``ValidationError``.
    """

    tuning: Literal["lora", "full", "probe"] = Field(
        "lora",
        description="what is trained: a low-rank adapter (lora), every weight (full, which takes "
        "16 bytes of memory a parameter), or a logistic regression over the hidden states of the "
        "base model, which stays as it is (probe: one pass over the trials, minutes instead of "
        "hours; of the settings of training it takes class_weights, section_dropout, precision and "
        "seed alone)",
    )
    lora_rank: int = Field(16, ge=1, le=512, description="rank of the adapter: what it can hold")
    lora_alpha: int = Field(
        32,
        ge=1,
        le=4096,
        description="scale of the adapter: its output is multiplied by alpha/rank",
    )
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="dropout before the adapter")
    learning_rate: float = Field(
        2e-4,
        gt=0,
        le=1,
        description="peak learning rate; a tenth of the preset's where every weight is trained",
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="weight decay of AdamW")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    schedule: Literal["cosine", "linear"] = Field(
        "cosine", description="how the learning rate falls after the warm-up"
    )
    warmup_ratio: float = Field(
        0.05, ge=0, lt=1, description="share of the steps in which the learning rate rises"
    )
    section_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="chance with which each section of a training prompt is left out, drawn anew "
        "in each epoch: it prepares the model for thin records. A probe reads each prompt "
        "whole, and once with half the weight without those sections",
    )
    epochs: float = Field(
        3.0, gt=0, le=1000, description="maximum passes over the training trials; may be a fraction"
    )
    max_steps: int | None = Field(
        None, ge=1, description="maximum optimiser steps; the smaller of this and epochs holds"
    )
    batch_size: int = Field(
        4, ge=1, le=4096, description="trials held in memory at once on each device"
    )
    accumulation: int = Field(
        4,
        ge=1,
        le=4096,
        description="batches that make one optimiser step; 8 x 1 and 2 x 4 give the same weights",
    )
    evals_per_epoch: int = Field(
        2, ge=1, le=1000, description="evaluations in each epoch; there is one at the last step too"
    )
    patience: int | None = Field(
        3,
        ge=1,
        description="stop after this many evaluations in a row without a better validation "
        "log-loss; none never stops early. The best weights are kept in either case",
    )
    class_weights: Literal["balanced"] | dict[str, float] | tuple[float, ...] | None = Field(
        None,
        description="weight of each label in the loss; balanced weighs labels by their rarity. "
        "It shifts the probabilities, which calibration undoes",
        json_schema_extra={"takes": "balanced, none, or a number for each label"},
    )
    gradient_checkpointing: Literal["auto"] | bool = Field(
        "auto",
        description="keep no activations inside layers: much less memory, about a third slower, "
        "the same result; auto does so where they would not fit into the free memory",
        json_schema_extra={"takes": "auto, true, false"},
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="number type of the computation while training; auto is bf16 on GPUs and CPUs "
        "that have instructions for it, else fp32",
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="steps between checkpoints; none saves one at each evaluation"
    )
    log_steps: int = Field(10, ge=1, description="steps between two lines of the training loss")
    seed: int = Field(
        0, ge=0, lt=2**32, description="seed of the first weights, the order of trials and dropout"
    )

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, values: Any) -> Any:
        return current_names(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _weights_are_positive(self) -> "FinetuneSettings":
        weights = self.class_weights
        if isinstance(weights, dict):
            weights = tuple(weights.values())
        if isinstance(weights, tuple) and min(weights, default=0.0) <= 0:
            raise ValueError("class_weights: must all be above 0")
        return self

    def for_labels(self, labels: tuple[str, ...]) -> "FinetuneSettings":
        """These settings for a task's labels: weights that name labels become numbers in order.

        Raises ``ConfigError`` where ``class_weights`` does not fit the labels.
        """
        weights = self.class_weights
        if isinstance(weights, dict):
            if set(weights) != set(labels):
                raise ConfigError(
                    "the settings do not go with the task.",
                    [
                        f"class_weights: names {', '.join(sorted(weights))}; "
                        f"the labels are {', '.join(labels)}"
                    ],
                )
            weights = tuple(weights[label] for label in labels)
        elif isinstance(weights, tuple) and len(weights) != len(labels):
            raise ConfigError(
                "the settings do not go with the task.",
                [f"class_weights: {len(weights)} numbers; the task has {len(labels)} labels"],
            )
        values = {name: getattr(self, name) for name in FinetuneSettings.model_fields}
        return FinetuneSettings(**{**values, "class_weights": weights})


def unused_settings(tuning: str) -> set[str]:
    """The settings of fine-tuning that this tuning has no use for: most of them, for a probe."""
    return set(FinetuneSettings.model_fields) - _PROBE_TAKES if tuning == "probe" else set()


def finetune_settings(**values: Any) -> FinetuneSettings:
    """Settings of fine-tuning, the defaults where none are given.

    Raises ``ConfigError`` that names every setting that is unknown or out of range.
    """
    return validate_settings(
        FinetuneSettings, values, message="the fine-tuning settings are wrong."
    )
