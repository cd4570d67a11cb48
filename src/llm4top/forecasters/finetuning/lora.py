"""What is trained: the answer head's scorer around a base model, with LoRA or in full."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llm4top.errors import TrainingError
from llm4top.forecasters.model.adapter import with_lora
from llm4top.forecasters.model.answer_head import answer_logits
from llm4top.forecasters.model.products import quick_products
from llm4top.forecasters.model.sharding import gathered, is_sharded, reshard, shard_like
from llm4top.lazy import quick_imports


class AnswerScorer(nn.Module):
    """A causal LM whose forward pass is ``answer_logits``.

    Distributed training hooks into a module's own forward pass, so the scoring function has to be
    one. With ``autocast`` the pass runs in bfloat16 over weights of whatever type.
    """

    def __init__(self, model: nn.Module, answer_ids: Sequence[int], *, autocast: bool = False):
        super().__init__()
        self.model = model
        self.answer_ids = tuple(answer_ids)
        self.autocast = autocast

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits ``[batch, labels]`` in float32 for ids ``[batch, longest]``, padded right."""
        context = (
            torch.autocast(input_ids.device.type, dtype=torch.bfloat16)
            if self.autocast
            else nullcontext()
        )
        with context:
            return answer_logits(self.model, input_ids, lengths, self.answer_ids)

    @property
    def is_distributed_loading_by_transformers(self) -> bool:
        """Whether the weights are shards already: transformers' Trainer asks under this name."""
        return is_sharded(self.model)

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        if is_sharded(self.model):
            reshard(self.model)
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}


def add_lora(model: nn.Module, *, rank: int, alpha: int, dropout: float) -> Any:
    """A PEFT model with LoRA on every linear projection; the output head stays as it is.

    The adapter's weights are float32 whatever the base model's type (PEFT's default).
    """
    with quick_imports():
        from peft import LoraConfig, TaskType

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules="all-linear",
        bias="none",
        task_type=TaskType.CAUSAL_LM,
    )
    return with_lora(model, config)


def make_fully_trainable(model: nn.Module) -> None:
    """Every weight trainable and in float32, in place: bfloat16 would round small steps away."""
    if getattr(model, "is_quantized", False):
        raise TrainingError(
            "a quantised base model cannot be trained in full.",
            hint="Use LoRA, or load the base model without quantisation.",
        )
    if not is_sharded(model):  # shards to be trained are loaded in float32
        model.float()
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def set_activation_checkpointing(model: Any, on: bool) -> None:
    """Keep no activations inside the layers and compute them again backwards, or stop doing so.

    The variant without re-entry needs no input that requires a gradient, so frozen embeddings
    under LoRA are no special case.
    """
    causal_lm = model.get_base_model() if hasattr(model, "get_base_model") else model
    # transformers names it after activations from 5.10 on, and after gradients before.
    name = (
        "activation_checkpointing"
        if hasattr(causal_lm, "activation_checkpointing_enable")
        else "gradient_checkpointing"
    )
    if on:
        # What is computed again has to be computed the same way.
        kind = causal_lm.get_input_embeddings().weight.device.type
        options = {
            "use_reentrant": False,
            "context_fn": lambda: (nullcontext(), quick_products(kind)),
        }
        getattr(causal_lm, f"{name}_enable")(**{f"{name}_kwargs": options})
    else:
        getattr(causal_lm, f"{name}_disable")()


def trained_weights(scorer: AnswerScorer) -> dict[str, Tensor]:
    """The trained parameters whole, on the CPU; empty but in process 0. All processes call this."""
    return gathered(scorer.trainable())


def save_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    """Write the trained parameters to one safetensors file."""
    save_file(dict(weights), file)


def load_weights(scorer: AnswerScorer, file: Path) -> None:
    """Copy the parameters in ``file`` into the model; ``TrainingError`` where names differ."""
    put_weights(scorer, load_file(file), where=str(file))


def put_weights(scorer: AnswerScorer, weights: Mapping[str, Tensor], *, where: str = "") -> None:
    """Copy these parameters, whole, into the model; ``TrainingError`` where names differ."""
    parameters = scorer.trainable()
    if weights.keys() != parameters.keys():
        raise TrainingError(
            "the checkpoint holds other weights than the model trains.",
            where=where or None,
            hint="Train into a new folder.",
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(shard_like(parameter, weights[name]))
