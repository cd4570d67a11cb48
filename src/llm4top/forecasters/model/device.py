"""The device and the number type a model runs in, each chosen with its reason."""

import gc
import os
from collections.abc import Iterable
from dataclasses import dataclass

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
        return NumberType(name, f"{name}, as asked for.")
    if device.kind == "cuda":
        with torch.cuda.device(device.torch):
            if torch.cuda.is_bf16_supported(including_emulation=False):
                return NumberType("bfloat16", "bfloat16: this GPU computes in it; half the memory.")
        return NumberType("float32", "float32: this GPU does not compute in bfloat16.")
    return NumberType("float32", f"float32: the exact and dependable type on {device.kind}.")


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
