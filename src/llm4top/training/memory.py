"""How much a fine-tuning run takes: memory, disk, and the time of its evaluations.

All of it is estimated before any weight is loaded.

The model is built without memory (torch's meta device) from its ``config.json``, which gives the
exact number of parameters of any architecture. With N parameters, L layers, hidden size h, query
width q, key-value width v, intermediate size i, T = batch x max_tokens tokens at a time and b
bytes a number (2 in bfloat16 on a GPU, else 4):

    base weights     N b; with 4 bits 0.52 bytes for each parameter of a linear layer
    what is trained  16 bytes a parameter: float32 weight, gradient and AdamW's two moments
    activations      with checkpointing T h b for each layer, and one layer in full;
                     without, every layer in full
    a layer in full  T times (2 h + 3 q + 4 i) b for its projections, (4 h + 2 q + 2 v) 4 for its
                     norms and rotations, which are in float32, and with LoRA (5 h + q + i) (b + 2)
                     for the inputs of its adapters and their dropout masks
    headroom        a tenth of all that, and 0.8 GB for the CUDA context

Under ``torchrun`` these are on each device. Without shards, 4 more bytes a trained parameter: DDP
keeps the gradients once more. With shards over P processes, the base weights and what is trained in
full are divided by P (an adapter is not); to the weights come the modules that are whole for their
pass, two layers and an embedding, with their gradients in float32 where they are trained. After the
training process 0 loads the model whole, to calibrate it.

A probe has nothing that is trained on the device: one layer at a time, in full, for one prompt or
more. Its fit takes the states of one layer (two vectors of float32 a trial) and three copies in
float64 in main memory; on disk are the states of ``MOST_LAYERS`` layers at most.

Attention is estimated without its score matrix, as torch's fused kernels compute it. There are no
full-vocabulary logits. Double quantisation of NF4: 4 bits + 8/64 + 32/(64 x 256) bits a number
(Dettmers et al. 2023, QLoRA, section 3).
"""

import math
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llm4top.errors import ConfigError
from llm4top.forecasters.finetuning.activations import (
    HEAD_ROOM,
    ModelShape,
    activation_bytes,
    layer_bytes,
    trained_bytes,
    trained_parameters,
)
from llm4top.forecasters.finetuning.settings import KEEP_CHECKPOINTS, MOST_LAYERS
from llm4top.forecasters.model.device import Device, choose_dtype, trains_in_bf16
from llm4top.processes import process_count
from llm4top.training.config import TrainingConfig
from llm4top.training.selection.candidates import whole_steps

SHARE_OF_TIME = 0.1
"""What all evaluations of a training together may take of its time."""

_FEWEST = 32
"""Fewer trials are never looked at (where there are as many): they would decide by chance."""


def evaluation_count(config: TrainingConfig, train_trials: int) -> int:
    """How many evaluations a training without early stopping makes."""
    mine = math.ceil(train_trials / process_count())
    per_epoch = math.ceil(mine / (config.batch_size * config.accumulation))
    steps = whole_steps(config, mine)
    every = max(per_epoch // config.evals_per_epoch, 1)
    return steps // every + (steps % every > 0)


def evaluation_size(config: TrainingConfig, train_trials: int, valid_trials: int) -> int:
    """How many validation trials each evaluation looks at.

    With ``eval_trials: auto`` the count follows from the counts alone, never from a clock, so that
    a run can be repeated and resumed. A training trial costs its forward pass once, the way back
    once (twice where every weight has a gradient), and another forward pass where activations are
    always recomputed; a validation trial costs one forward pass.
    """
    if config.eval_trials == "all" or config.tuning == "probe":
        return valid_trials
    if config.eval_trials != "auto":
        return min(config.eval_trials, valid_trials)
    processes = process_count()
    steps = whole_steps(config, math.ceil(train_trials / processes))
    trained = steps * config.batch_size * config.accumulation * processes
    passes = (3 if config.tuning == "full" else 2) + (config.gradient_checkpointing is True)
    affordable = SHARE_OF_TIME * passes * trained / evaluation_count(config, train_trials)
    return min(max(int(affordable), _FEWEST), valid_trials)


def evaluation_rows(labels: Sequence[int], size: int, seed: int) -> list[int]:
    """``size`` row numbers in order, drawn by ``seed``; labels keep their shares.

    Every label that is there is among them, where ``size`` allows it.
    """
    if size >= len(labels):
        return list(range(len(labels)))
    by_label: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        by_label[label].append(row)
    chance = random.Random(seed)
    queue: list[tuple[float, int]] = []
    for _, rows in sorted(by_label.items()):
        chance.shuffle(rows)
        # A row comes when its label's share of all rows has been taken; each label's first at once.
        shares = (0.0, *((place + 0.5) / len(rows) for place in range(1, len(rows))))
        queue += zip(shares, rows, strict=True)
    return sorted(row for _, row in sorted(queue)[:size])


def sample_rows(count: int, most: int, seed: int) -> list[int]:
    """At most ``most`` of ``count`` row numbers, in order."""
    if count <= most:
        return list(range(count))
    return sorted(random.Random(seed).sample(range(count), most))


_NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
_CUDA_CONTEXT = 800_000_000


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes of a run's parts on its device, and of what it writes to disk."""

    weights: int
    trained: int
    activations: int
    head_room: int
    disk: int
    trained_parameters: int
    whole: int = 0
    """With shards: process 0 after the training, with the model in one piece."""

    @property
    def training(self) -> int:
        """All that has to fit on the device at once while training."""
        return self.weights + self.trained + self.activations + self.head_room

    @property
    def total(self) -> int:
        """The most that has to fit on a device at once."""
        return max(self.training, self.whole)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run trains: each of ``processes`` on a device with ``free`` bytes.

    ``weight_bytes`` is the size of a stored weight, ``compute_bytes`` that of an activation.
    """

    kind: str
    weight_bytes: int
    compute_bytes: int
    free: int
    processes: int = 1

    def __str__(self) -> str:
        """For a person: "8 x 80.0 GB, bfloat16"."""
        number = "bfloat16" if self.weight_bytes == 2 else "float32"
        return f"{self.processes} x {in_gb(self.free)}, {number}"

    @classmethod
    def here(cls, device: Device, config: TrainingConfig, free: int) -> "Place":
        """This machine's device, under as many processes as ``torchrun`` has started."""
        dtype = choose_dtype(device, config.dtype)
        low = trains_in_bf16(device, config.precision) or dtype.name != "float32"
        weight = 4 if dtype.name == "float32" else 2
        return cls(device.kind, weight, 2 if low else 4, free, process_count())

    @classmethod
    def of_gpus(cls, gpus: str, config: TrainingConfig) -> "Place":
        """GPUs that this machine need not have: "8x80" are 8 with 80 GB, which compute in bfloat16.

        Raises ``ConfigError`` for anything else.
        """
        count, _, size = gpus.partition("x")
        if not (count.isdecimal() and size.isdecimal() and int(count) and int(size)):
            raise ConfigError("the GPUs are wrong.", [f"{gpus!r:.40}: write 8x80 for 8 of 80 GB"])
        whole = config.dtype == "float32"
        compute = 4 if whole and config.precision == "fp32" else 2
        return cls("cuda", 4 if whole else 2, compute, int(size) * 10**9, int(count))


def estimate_memory(
    shape: ModelShape,
    config: TrainingConfig,
    place: Place,
    *,
    checkpointing: bool,
    trials: int = 0,
) -> MemoryEstimate:
    """The estimate of this module's docstring, of one device.

    ``checkpointing`` says whether activations are computed again; ``trials`` are those of both
    splits, which a probe reads.
    """
    cuda = place.kind == "cuda"
    weights = shape.parameters * place.weight_bytes
    if config.quantize is not None:
        saved = place.weight_bytes - _NF4_BYTES
        weights -= round(shape.linear_parameters * saved)
    if config.tuning == "probe":
        states = trials * shape.hidden * 2 * 4
        copies = 0 if cuda else states + trials * shape.hidden * 3 * 8
        activations = config.max_tokens * layer_bytes(shape, place.compute_bytes, lora=False)
        head_room = _head_room(weights + copies + activations, cuda)
        disk = states * min(shape.layers, MOST_LAYERS)
        return MemoryEstimate(weights, copies, activations, head_room, disk, shape.hidden)
    shard = config.shard and place.processes > 1
    whole = weights + _head_room(weights, cuda) if shard else 0
    if config.tuning == "full":
        weights = 0
    if shard:
        weights = weights // place.processes + _gathered(shape, config, place)
    trained = trained_bytes(shape, config, processes=place.processes, shard=shard)
    activations = activation_bytes(
        shape,
        config,
        config.batch_size * config.max_tokens,
        compute_bytes=place.compute_bytes,
        checkpointing=checkpointing,
    )
    head_room = _head_room(weights + trained + activations, cuda)
    parameters = trained_parameters(shape, config)
    # A checkpoint holds the weights and two moments in float32; one more is being written, and
    # the best weights and the bundle come on top.
    disk = parameters * 4 * (3 * (KEEP_CHECKPOINTS + 1) + 2)
    return MemoryEstimate(weights, trained, activations, head_room, disk, parameters, whole)


def _head_room(exact: int, cuda: bool) -> int:
    return round(exact * (HEAD_ROOM - 1)) + (_CUDA_CONTEXT if cuda else 0)


def _gathered(shape: ModelShape, config: TrainingConfig, place: Place) -> int:
    """The modules that are whole at a time: a layer, the next one, and an embedding."""
    once = 2 * shape.linear_parameters // shape.layers + shape.embedding
    return once * (4 + 4 if config.tuning == "full" else place.weight_bytes)


def estimate_for(
    shape: ModelShape, config: TrainingConfig, place: Place, *, trials: int = 0
) -> tuple[MemoryEstimate, bool]:
    """The estimate of one device, and whether activations are computed again.

    With ``gradient_checkpointing: auto`` they are where they would not fit.
    """
    again = config.gradient_checkpointing is True and config.tuning != "probe"
    estimate = estimate_memory(shape, config, place, checkpointing=again, trials=trials)
    if config.gradient_checkpointing == "auto" and config.tuning != "probe":
        again = estimate.training > place.free
        estimate = estimate_memory(shape, config, place, checkpointing=again, trials=trials)
    return estimate, again


_PRODUCTS = 3
_SHARE_OF_RATE = 0.5


def seconds_of_pass(
    shape: ModelShape, tokens: float, device: Device, config: TrainingConfig
) -> float:
    """About how long the model takes to read so many tokens, in seconds.

    Two operations a parameter and token (Kaplan et al. 2020, section 2.1), at half the rate of a
    matrix product, which is measured in a moment.
    """
    number = choose_dtype(device, config.dtype).torch
    if trains_in_bf16(device, config.precision):
        number = torch.bfloat16
    size = 4096 if device.kind == "cuda" else 512
    one = torch.ones(size, size, dtype=number, device=device.torch)
    best = math.inf
    for _ in range(_PRODUCTS):
        started = time.perf_counter()
        float((one @ one)[0, 0])  # waits for a GPU
        best = min(best, time.perf_counter() - started)
    rate = 2 * size**3 / best
    return 2 * shape.linear_parameters * tokens / (rate * _SHARE_OF_RATE)


def judged(
    estimate: MemoryEstimate, config: TrainingConfig, place: Place, *, again: bool, where: str
) -> tuple[str, bool, str]:
    """The estimate in words, whether there is as much on ``where``, and what to do if not.

    ``again`` says whether activations are computed again.
    """
    how = " computed again" if again else ""
    parts = (
        f"weights {in_gb(estimate.weights)}, trained {in_gb(estimate.trained)}, "
        f"activations{how} {in_gb(estimate.activations)}, reserve {in_gb(estimate.head_room)}"
    )
    each = " on each device" if place.processes > 1 else ""
    found = f"needs about {in_gb(estimate.training)}{each} ({parts})"
    if estimate.whole:
        found += f", then {in_gb(estimate.whole)} on one of them, for the model in one piece"
    hint = ""
    if estimate.total > place.free:
        hint = cheaper(config, place)
        if estimate.whole > place.free:
            hint = "To calibrate the model, one device has to hold it: take larger ones."
    return f"{found}; {in_gb(place.free)} free on {where}.", not hint, hint


def cheaper(config: TrainingConfig, place: Place) -> str:
    """What would make the run smaller, the least costly thing first."""
    advice = []
    # A probe keeps no activations, and its batches fit themselves to the memory.
    trains = config.tuning != "probe"
    if trains and config.gradient_checkpointing is False:
        advice.append("turn gradient_checkpointing on")
    if trains and config.batch_size > 1:
        advice.append("halve batch_size and double accumulation (the result stays the same)")
    whole = trains and not config.shard and config.quantize is None
    if whole and place.processes > 1 and place.kind != "mps":
        advice.append("use shard: true")
    if config.tuning == "full":
        advice.append("use tuning: lora")
    elif config.quantize is None and not config.shard and place.kind == "cuda":
        advice.append("use quantize: 4bit")
    advice.append("lower max_tokens")
    return f"To need less: {'; '.join(advice)}."


def in_gb(size: float) -> str:
    """Bytes for people: "17.3 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
