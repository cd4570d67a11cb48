"""Matrix products on the CPU by the quicker of the two libraries that torch carries.

torch multiplies float32 matrices with MKL, and MKL keeps its widest instructions for Intel's
processors. On AMD's with AVX-512, oneDNN, which the same torch carries, is twice as fast (measured
on an EPYC of the family 26: 222 against 105 GFLOP/s on a core). Which one is used follows from the
processor, never from a clock: a run that is repeated or resumed computes the same.
"""

import platform
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_LEAST_ROWS = 32
"""Fewer rows are over before the choice has paid."""


def quick_products(device_kind: str) -> AbstractContextManager[Any]:
    """Inside it, linear layers in float32 are computed by the quicker library.

    Results differ by float32's rounding; gradients flow. It holds for this thread alone, and does
    nothing on a device other than "cpu".
    """
    return _Products() if device_kind == "cpu" and _onednn_is_quicker() else nullcontext()


class _Products(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is functional.linear and not kwargs and _takes(*args[:2]):
            states, weight, *bias = args
            if torch.is_grad_enabled() and states.requires_grad:
                return _Linear.apply(states, weight, *bias)  # type: ignore[no-untyped-call]
            return _onednn(states, weight, *bias)
        return func(*args, **(kwargs or {}))


def _takes(states: Tensor, weight: Tensor) -> bool:
    return (
        states.dtype is torch.float32
        and weight.dtype is torch.float32
        and states.layout is torch.strided
        and states.numel() >= _LEAST_ROWS * states.shape[-1]
        # What is trained needs a gradient of its own, which torch's way gives.
        and not (torch.is_grad_enabled() and weight.requires_grad)
        and not torch.is_autocast_enabled("cpu")
    )


def _onednn(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return out


class _Linear(torch.autograd.Function):
    """A linear layer whose weights are frozen: only its input has a gradient."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        ctx.save_for_backward(weight)
        return _onednn(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _onednn(gradient.contiguous(), weight.t()), None, None


@cache
def _onednn_is_quicker() -> bool:
    """Whether this is a processor of AMD with AVX-512, and a torch with both libraries."""
    return (
        torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and "AuthenticAMD" in _processor()
    )


def _processor() -> str:
    """What the system says of the processor's maker, as far as it says it."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
