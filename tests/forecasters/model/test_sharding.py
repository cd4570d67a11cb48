"""Where a model can be sharded, in words. That shards train the same: tests/training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llm4top.errors import ModelError
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.device import Device
from llm4top.forecasters.model.sharding import why_not_sharded

CPU, CUDA, MPS = (Device(kind, kind, "") for kind in ("cpu", "cuda", "mps"))


@pytest.mark.parametrize(
    ("device", "quantize", "reason"),
    [
        (CPU, None, ""),
        (CUDA, None, ""),
        (MPS, None, "Apple GPUs (MPS) have no way to send weights to each other."),
        (
            CUDA,
            "4bit",
            "weights in 4 bits cannot be sharded: bitsandbytes packs them with their scales.",
        ),
    ],
)
def test_a_reason_is_given(
    device: Device, quantize: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.cuda.is_available", lambda: device is CUDA)
    assert why_not_sharded(device, quantize) == reason


def test_shards_would_be_put_on_gpus_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert why_not_sharded(CPU, None) == (
        "shards would be put on this machine's GPUs, not on the CPU."
    )


def test_an_old_transformers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "transformers.distributed", None)
    assert why_not_sharded(CPU, None) == "this version of transformers cannot load shards."


def test_a_model_is_not_sharded_over_one_process(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="there is one process, and nothing to spread") as caught:
        load_base(tiny_model, device="cpu", shard="frozen")
    assert caught.value.hint == "Load it whole."
