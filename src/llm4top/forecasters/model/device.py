"""The device and the number type a model runs in, each chosen with its reason."""

import gc
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from llm4top.errors import ModelError

_DTYPES = {
    "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16,
    "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Device:
    """A device: ``kind`` is "cuda", "mps" or "cpu", ``torch`` its name for torch ("cuda:0").

    ``reason`` is one sentence for a person: why this device.
    """

    kind: str
    torch: str
    reason: str


@dataclass(frozen=True, slots=True)
class NumberType:
    """A floating-point type: ``name`` as torch spells it ("bfloat16"), with a reason."""

    name: str
    reason: str

    @property
    def torch(self) -> torch.dtype:
        """The torch type."""
        return _DTYPES[self.name]


def available_devices() -> tuple[str, ...]:
    """Names that ``choose_device`` accepts on this machine, best first."""
    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if names:
        names.insert(0, "cuda")
    if torch.backends.mps.is_available():
        names.append("mps")
    return (*names, "cpu")


def choose_device(request: str = "auto") -> Device:
    """The device for ``request``: "auto", "cuda", "cuda:N", "mps" or "cpu".

    "auto" prefers CUDA to MPS to the CPU. Raises ``ModelError`` naming the devices there are
    where the one asked for is none of them.
    """
    available = available_devices()
    if request == "auto":
        return _best_device(available)
    if request not in available:
        raise ModelError(
            f"this machine has no device {request!r}.",
            hint=f"Available: {', '.join(available)}; or 'auto'.",
        )
    kind = request.partition(":")[0]
    name = f"cuda:{_local_rank()}" if request == "cuda" else request
    return Device(kind, name, f"{request}, as asked for.")


def _best_device(available: Iterable[str]) -> Device:
    if "cuda" in available:
        index = _local_rank()
        what = torch.cuda.get_device_name(index)
        return Device("cuda", f"cuda:{index}", f"{what} (CUDA): the fastest device here.")
    if "mps" in available:
        return Device("mps", "mps", "Apple GPU (MPS): no CUDA device here.")
    return Device("cpu", "cpu", "CPU: no CUDA or Apple GPU that this build of torch can use.")


def _local_rank() -> int:
    # torchrun starts one process for each GPU and numbers them.
    return int(os.environ.get("LOCAL_RANK", "0")) % max(torch.cuda.device_count(), 1)


def choose_dtype(device: Device, request: str = "auto") -> NumberType:
    """The number type for ``request``: "auto", or "float32", "bfloat16", "float16" (or fp32...).

    "auto" takes bfloat16 where a CUDA device computes in it, else float32. Raises ``ModelError``
    for any other name.
    """
    if request != "auto":
        if request not in _DTYPES:
            raise ModelError(
                f"no number type {request!r}.",
                hint="Number types: auto, float32, bfloat16, float16.",
            )
        name = str(_DTYPES[request]).removeprefix("torch.")
        warning = f" {EMULATED_BF16}" if name == "bfloat16" and emulates_bf16(device) else ""
        return NumberType(name, f"{name}, as asked for.{warning}")
    if device.kind == "cuda":
        if computes_bf16(device):
            return NumberType("bfloat16", "bfloat16: this GPU computes in it; half the memory.")
        return NumberType("float32", "float32: this GPU does not compute in bfloat16.")
    # On a CPU with bfloat16 too: a forecast is to be the same on every machine.
    return NumberType("float32", f"float32: the exact and dependable type on {device.kind}.")


EMULATED_BF16 = (
    "This device has no instructions for bfloat16: it emulates them, up to 100 times slower than "
    "float32."
)
"""What to say where bfloat16 is asked for and ``emulates_bf16``."""


def computes_bf16(device: Device) -> bool:
    """Whether the device has instructions that multiply bfloat16 matrices."""
    if device.kind == "cuda":
        with torch.cuda.device(device.torch):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.kind == "cpu" and _cpu_computes_bf16()


def emulates_bf16(device: Device) -> bool:
    """Whether bfloat16 is slower than float32 on the device, for want of instructions."""
    return device.kind in ("cuda", "cpu") and not computes_bf16(device)


def trains_in_bf16(device: Device, precision: str) -> bool:
    """Whether training with ``precision`` ("auto", "fp32" or "bf16") computes in bfloat16.

    "auto" does where the device ``computes_bf16``. The weights that are trained stay in float32.
    """
    return precision == "bf16" or (precision == "auto" and computes_bf16(device))


def _cpu_computes_bf16() -> bool:
    # oneDNN's own answer is whether it takes bfloat16 at all: on x86 it says yes to a plain
    # AVX-512 CPU, whose products it then makes in float32. Only the CPU's flags tell them apart.
    if not _ask(torch.ops.mkldnn, "_is_mkldnn_bf16_supported"):
        return False
    if platform.machine().lower() not in ("x86_64", "amd64", "x86", "i686"):
        return True
    flags = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(_ask(torch.cpu, flag) for flag in flags)


def _ask(module: Any, question: str) -> bool:
    """Torch's answer to a private question, no where this version or build does not know it."""
    try:
        return bool(getattr(module, question)())
    except (AttributeError, RuntimeError):
        return False


def free_memory(device: Device) -> int:
    """Bytes that are free on the device now; on the CPU, what the system calls available."""
    if device.kind == "cuda":
        free, _total = torch.cuda.mem_get_info(device.torch)
        # What torch holds in its cache and does not use is free to us as well.
        cached = torch.cuda.memory_reserved(device.torch) - torch.cuda.memory_allocated(
            device.torch
        )
        return int(free) + int(cached)
    if device.kind == "mps":
        used = torch.mps.driver_allocated_memory()
        return max(int(torch.mps.recommended_max_memory()) - int(used), 0)
    return int(psutil.virtual_memory().available)


def empty_caches() -> None:
    """Give back the memory of GPUs that torch keeps and does not use."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
