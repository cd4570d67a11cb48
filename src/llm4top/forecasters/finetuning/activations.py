"""Activations: how much memory they take while training, and whether they are kept at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from llm4top.forecasters.finetuning.settings import FinetuneSettings
from llm4top.forecasters.model.base_model import BaseModel
from llm4top.forecasters.model.device import free_memory, trains_in_bf16
from llm4top.forecasters.model.sharding import is_sharded
from llm4top.processes import process_count

TRAINED_BYTES = 16
"""Of each parameter that is trained: float32 weight, gradient and AdamW's two moments."""
_BUCKET_BYTES = 4
"""Of the same where several processes train: DDP keeps the gradients once more, to send them."""
HEAD_ROOM = 1.1


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a base model: parameters in all and in its linear layers, and its widths."""

    parameters: int
    embedding: int
    """Parameters of the input embedding: the output one has as many, or is the same."""
    linear_parameters: int
    linear_widths: int
    """Inputs plus outputs of all linear layers but the head: LoRA has rank times as many."""
    layers: int
    hidden: int
    query: int
    key_value: int
    intermediate: int


def model_shape(folder: Path) -> ModelShape:
    """Measure the model described by ``config.json`` without loading any of it.

    Raises ``ModelError`` where transformers cannot build it.
    """
    from transformers import AutoModelForCausalLM

    from llm4top.forecasters.model.base_model import load_config

    config = load_config(folder)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM._model_mapping[type(config)](config)
    model.tie_weights()
    head = model.get_output_embeddings()
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return ModelShape(
        parameters=sum(p.numel() for p in model.parameters()),
        embedding=model.get_input_embeddings().weight.numel(),
        linear_parameters=sum(m.weight.numel() for m in linear),
        linear_widths=sum(m.in_features + m.out_features for m in linear),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        query=heads * width,
        key_value=(getattr(config, "num_key_value_heads", None) or heads) * width,
        intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
    )


def activation_bytes(
    shape: ModelShape,
    settings: FinetuneSettings,
    tokens: int,
    *,
    compute_bytes: int,
    checkpointing: bool,
) -> int:
    """What a pass over ``tokens`` keeps until the way back, as ``training.memory`` explains it."""
    lora = settings.tuning != "full"
    layer = layer_bytes(shape, compute_bytes, lora=lora, dropout=settings.lora_dropout > 0)
    if checkpointing:
        return tokens * (shape.layers * shape.hidden * compute_bytes + layer)
    return tokens * shape.layers * layer


def layer_bytes(shape: ModelShape, compute_bytes: int, *, lora: bool, dropout: bool = False) -> int:
    """Bytes that one layer in full keeps of each token."""
    h, q, v, i = shape.hidden, shape.query, shape.key_value, shape.intermediate
    total = (2 * h + 3 * q + 4 * i) * compute_bytes + (4 * h + 2 * q + 2 * v) * 4
    if lora and dropout:
        # Each of the seven projections drops out its own input and stores the rest.
        total += (5 * h + q + i) * (compute_bytes + 2)
    return total


def trained_parameters(shape: ModelShape, settings: FinetuneSettings) -> int:
    """How many parameters are trained."""
    if settings.tuning == "full":
        return shape.parameters
    return settings.lora_rank * shape.linear_widths


def trained_bytes(
    shape: ModelShape, settings: FinetuneSettings, *, processes: int = 1, shard: bool = False
) -> int:
    """What the parameters that are trained take on each device, gradients and moments included."""
    trained = trained_parameters(shape, settings)
    if shard:  # an adapter is whole in each process
        return trained * TRAINED_BYTES // (processes if settings.tuning == "full" else 1)
    return trained * (TRAINED_BYTES + (_BUCKET_BYTES if processes > 1 else 0))


def wants_checkpointing(base: BaseModel, settings: FinetuneSettings, longest: int) -> bool:
    """Whether activations are to be computed again on the way back, in place of being kept.

    As ``settings`` say; with "auto", where those of a batch of prompts of ``longest`` tokens would
    not fit into what is free on the device beside the loaded model.
    """
    if settings.gradient_checkpointing != "auto":
        return settings.gradient_checkpointing
    shape = model_shape(base.folder)
    low = trains_in_bf16(base.device, settings.precision) or base.dtype.name != "float32"
    kept = activation_bytes(
        shape,
        settings,
        settings.batch_size * longest,
        compute_bytes=2 if low else 4,
        checkpointing=False,
    )
    trained = trained_bytes(
        shape, settings, processes=process_count(), shard=is_sharded(base.model)
    )
    needed = (kept + trained) * HEAD_ROOM
    return needed > free_memory(base.device)
