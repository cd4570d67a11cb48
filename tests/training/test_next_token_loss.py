"""The loss of pre-training in chunks, against torch's own."""

from __future__ import annotations

import pytest
import torch

from llm4top.training import next_token_loss as module


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_loss_and_gradients_are_those_of_plain_cross_entropy(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(module, "_CHUNK", chunk)
    torch.manual_seed(0)
    ids = torch.randint(0, 11, (3, 7))
    hidden, head = torch.randn(3, 7, 4, requires_grad=True), torch.randn(11, 4, requires_grad=True)
    plain = torch.nn.functional.cross_entropy(
        (hidden @ head.T)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
    )
    wanted = torch.autograd.grad(2 * plain, (hidden, head))
    loss = module.next_token_loss(hidden, head, ids, torch.float32)
    got = torch.autograd.grad(2 * loss, (hidden, head))
    assert torch.allclose(loss, plain, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(got, wanted, strict=True))


def test_products_in_bfloat16_keep_the_loss_in_float32() -> None:
    torch.manual_seed(0)
    ids, hidden = torch.randint(0, 11, (2, 9)), torch.randn(2, 9, 8, requires_grad=True)
    head = torch.randn(11, 8, requires_grad=True)
    exact = module.next_token_loss(hidden, head, ids, torch.float32)
    rough = module.next_token_loss(hidden, head, ids, torch.bfloat16)
    rough.backward()
    assert rough.dtype is torch.float32
    assert 0 < abs(rough.item() - exact.item()) < 0.02
    assert hidden.grad is not None
    assert hidden.grad.dtype is torch.float32
