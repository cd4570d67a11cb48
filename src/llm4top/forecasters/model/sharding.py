"""A base model whose weights are spread over the processes of ``torchrun``: FSDP2, a shard each.

transformers loads each process's shards alone (``DistributedConfig``), so that a model never has to
fit on one device. The weights of a module are gathered for its own forward and backward pass and
given back after it. So whatever reads weights has to run inside a module's pass: the decoder does
by itself, the answer head through ``head(states, rows=...)``, and both inside the root's pass,
which orders what is gathered. An adapter that is added later is small, and whole in each process.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from llm4top.forecasters.model.device import Device
from llm4top.processes import process_count, process_rank

Shard = Literal["frozen", "trained"]
"""What sharded weights are for: "trained" ones are held in float32 whatever the number type."""


def why_not_sharded(device: Device, quantize: str | None) -> str:
    """A sentence that says why a model cannot be sharded here; empty where it can."""
    if process_count() == 1:
        return "there is one process, and nothing to spread the weights over."
    if device.kind == "mps":
        return "Apple GPUs (MPS) have no way to send weights to each other."
    if quantize is not None:
        return "weights in 4 bits cannot be sharded: bitsandbytes packs them with their scales."
    if device.kind == "cpu" and torch.cuda.is_available():
        return "shards would be put on this machine's GPUs, not on the CPU."
    return "" if _is_known() else "this version of transformers cannot load shards."


def _is_known() -> bool:
    try:
        from transformers.distributed import DistributedConfig
    except ImportError:
        return False
    return "fsdp_plan" in inspect.signature(DistributedConfig).parameters


def shard_options(architecture: Any, config: Any) -> dict[str, Any]:
    """What ``from_pretrained`` of transformers needs to load this process's shards alone."""
    from transformers.distributed import DistributedConfig

    plan = {
        **{
            f"{architecture.base_model_prefix}.{name}": style
            for name, style in (config.base_model_fsdp_plan or {}).items()
        },
        **(architecture._fsdp_plan or {}),
    }
    # The final norm and the head form a unit that waits for the head's own pass: we read a few rows
    # of the head, so each is a unit of its own.
    alone = {name: "free_full_weight" for name, style in plan.items() if style.startswith("keep")}
    return {"distributed_config": DistributedConfig(fsdp_size=process_count(), fsdp_plan=alone)}


def is_sharded(model: Any) -> bool:
    """Whether a causal LM, or a PEFT model around one, holds shards."""
    causal_lm = model.get_base_model() if hasattr(model, "get_base_model") else model
    return bool(getattr(causal_lm, "is_distributed_loading_by_transformers", False))


def read_inside(
    causal_lm: Any, read: Callable[..., Tensor], read_rows: Callable[..., Tensor]
) -> None:
    """Let ``read`` run in the root's pass of a sharded model, and ``read_rows`` in its head's.

    ``causal_lm.read_answers(...)`` is then ``read(causal_lm, ...)``, and ``head(states, rows=...)``
    of the output embedding is ``read_rows(head, states, ...)``.
    """
    from torch.distributed.fsdp import register_fsdp_forward_method

    head = causal_lm.get_output_embeddings()
    whole = head.forward

    def forward(states: Tensor, rows: Tensor | None = None) -> Tensor:
        out: Tensor = whole(states) if rows is None else read_rows(head, states, rows)
        return out

    head.forward = forward
    causal_lm.read_answers = partial(read, causal_lm)
    register_fsdp_forward_method(causal_lm, "read_answers")


def reshard(model: Any) -> None:
    """Let the parameters be the shards again: a pass may leave whole ones that are copies."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All of them whole, on the CPU of process 0; the other processes help and get none.

    Every process calls this with the same names in the same order.
    """
    whole = {}
    for name, tensor in tensors.items():
        value = tensor.detach()
        value = value.full_tensor() if hasattr(value, "full_tensor") else value
        if process_rank() == 0:
            whole[name] = value.cpu().contiguous()
    return whole


def shard_like(tensor: Tensor, whole: Tensor) -> Tensor:
    """This process's shard of ``whole``, as ``tensor`` has one; ``whole`` where it has none."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(tensor, DTensor):
        return whole
    place = whole.to(tensor.to_local().device)
    return distribute_tensor(place, tensor.device_mesh, tensor.placements, src_data_rank=None)


def release_shards(model: Any) -> None:
    """Free the memory of a sharded model that is needed no more, whoever still refers to it."""
    with torch.no_grad():
        for parameter in model.parameters():
            if hasattr(parameter, "to_local"):
                storage = parameter.to_local().untyped_storage()
                if storage.resizable():  # what is mapped from a file takes no memory of its own
                    storage.resize_(0)
