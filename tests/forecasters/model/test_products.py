"""Linear layers by the other library: the same numbers and gradients, and only where they pay."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from llm4top.forecasters.model import products
from llm4top.forecasters.model.products import quick_products


@pytest.fixture
def taken(monkeypatch):
    """Has the other library used on whatever machine, and counts its products."""
    monkeypatch.setattr(products, "_onednn_is_quicker", lambda: True)
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    seen = []
    real = products._onednn

    def watched(states, weight, bias=None):
        seen.append(tuple(states.shape))
        return real(states, weight, bias)

    monkeypatch.setattr(products, "_onednn", watched)
    return seen


def made(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("bias", [None, made(24)], ids=["plain", "bias"])
def test_products_and_gradients_are_the_same(taken, bias):
    weight, states = made(24, 48), made(2, 40, 48).requires_grad_()
    expected = functional.linear(states, weight, bias)
    (theirs,) = torch.autograd.grad(expected.square().sum(), states)
    with quick_products("cpu"):
        ours = functional.linear(states, weight, bias)
        (gradient,) = torch.autograd.grad(ours.square().sum(), states)
        with torch.inference_mode():
            quick = torch.nn.Linear.forward(_Layer(weight, bias), states)
    assert len(taken) == 3
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(quick, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(gradient, theirs, atol=1e-3, rtol=1e-5)


class _Layer(torch.nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = weight, bias


def test_what_it_has_no_use_for_goes_the_usual_way(taken):
    states, weight = made(64, 48), made(24, 48)
    with quick_products("cpu"):
        functional.linear(states[:8], weight)
        functional.linear(states.bfloat16(), weight.bfloat16())
        functional.linear(states.double(), weight.double())
        trained = weight.clone().requires_grad_()
        functional.linear(states, trained).sum().backward()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert functional.linear(states, weight).dtype is torch.bfloat16
    functional.linear(states, weight)
    with quick_products("cuda"):
        functional.linear(states, weight)
    assert not taken
    assert trained.grad is not None


@pytest.mark.parametrize(
    ("capability", "processor", "expected"),
    [
        ("AVX512", "vendor_id\t: AuthenticAMD", True),
        ("AVX512", "vendor_id\t: GenuineIntel", False),
        ("AVX2", "vendor_id\t: AuthenticAMD", False),
    ],
)
def test_the_processor_decides(monkeypatch, capability, processor, expected):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(products, "_processor", lambda: processor)
    assert products._onednn_is_quicker.__wrapped__() is expected
