"""The device and number type that are chosen, and how the choice is explained."""

from __future__ import annotations

import platform
from types import SimpleNamespace

import pytest
import torch

from llm4top.errors import ModelError
from llm4top.forecasters.model.device import (
    Device,
    available_devices,
    choose_device,
    choose_dtype,
    computes_bf16,
    emulates_bf16,
    free_memory,
    trains_in_bf16,
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """A machine with that many GPUs, and perhaps an Apple one, as torch would report it."""

    def make(cuda: int = 0, mps: bool = False, bf16: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"Accelerator {i}")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        monkeypatch.setattr(torch.cuda, "device", lambda name: Nothing())
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.delenv("LOCAL_RANK", raising=False)

    return make


class Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def test_auto_prefers_cuda_to_mps_to_cpu_and_says_why(machine):
    machine(cuda=2, mps=True)
    assert choose_device() == Device(
        "cuda", "cuda:0", "Accelerator 0 (CUDA): the fastest device here."
    )
    machine(mps=True)
    assert choose_device() == Device("mps", "mps", "Apple GPU (MPS): no CUDA device here.")
    machine()
    chosen = choose_device()
    assert (chosen.kind, chosen.torch) == ("cpu", "cpu")
    assert chosen.reason == "CPU: no CUDA or Apple GPU that this build of torch can use."


def test_each_process_of_torchrun_takes_its_own_gpu(machine, monkeypatch):
    machine(cuda=2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device().torch == "cuda:1"
    assert choose_device("cuda").torch == "cuda:1"
    assert choose_device("cuda:0").torch == "cuda:0"


def test_a_request_overrides_the_choice(machine):
    machine(cuda=1)
    assert choose_device("cpu") == Device("cpu", "cpu", "cpu, as asked for.")


@pytest.mark.parametrize("request_", ["cuda", "cuda:3", "mps", "tpu", ""])
def test_a_refusal_names_what_is_available(machine, request_):
    machine()
    with pytest.raises(ModelError) as caught:
        choose_device(request_)
    assert str(caught.value) == (
        f"this machine has no device {request_!r}. Available: cpu; or 'auto'."
    )


def test_available_devices_lists_every_gpu(machine):
    machine(cuda=2, mps=True)
    assert available_devices() == ("cuda", "cuda:0", "cuda:1", "mps", "cpu")


def test_dtype_is_bfloat16_only_where_a_gpu_computes_in_it(machine):
    machine(cuda=1)
    gpu = choose_device()
    assert choose_dtype(gpu).name == "bfloat16"
    machine(cuda=1, bf16=False)
    old = choose_dtype(gpu)
    assert (old.name, old.reason) == (
        "float32",
        "float32: this GPU does not compute in bfloat16.",
    )
    for kind in ("cpu", "mps"):
        chosen = choose_dtype(Device(kind, kind, ""))
        assert chosen.torch is torch.float32
        assert chosen.reason == f"float32: the exact and dependable type on {kind}."


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch):
    """A CPU as torch would report it: its architecture, oneDNN's answer, the flags it knows."""

    def make(machine: str, onednn: bool | None, **flags: bool) -> Device:
        answers = {} if onednn is None else {"_is_mkldnn_bf16_supported": lambda: onednn}
        monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(**answers))
        known = {f"_is_{flag}_supported": lambda answer=has: answer for flag, has in flags.items()}
        monkeypatch.setattr(torch, "cpu", SimpleNamespace(**known))
        monkeypatch.setattr(platform, "machine", lambda: machine)
        return Device("cpu", "cpu", "")

    return make


@pytest.mark.parametrize(
    ("machine", "onednn", "flags", "computes"),
    [
        ("x86_64", True, {"avx512_bf16": True, "amx_tile": False}, True),
        ("AMD64", True, {"avx512_bf16": False, "amx_tile": True}, True),
        # oneDNN says yes to any AVX-512 CPU, and then makes the products in float32.
        ("x86_64", True, {"avx512_bf16": False, "amx_tile": False}, False),
        ("x86_64", False, {"avx512_bf16": True, "amx_tile": False}, False),
        ("x86_64", True, {}, False),
        ("aarch64", True, {}, True),
        ("arm64", False, {}, False),
        ("arm64", None, {}, False),
    ],
)
def test_bfloat16_counts_only_where_the_cpu_has_instructions_for_it(
    cpu, machine, onednn, flags, computes
):
    device = cpu(machine, onednn, **flags)
    assert computes_bf16(device) is computes
    assert emulates_bf16(device) is not computes
    assert trains_in_bf16(device, "auto") is computes
    assert trains_in_bf16(device, "bf16")
    assert not trains_in_bf16(device, "fp32")
    # A forecast is the same on every machine, whatever its CPU can do.
    assert choose_dtype(device).name == "float32"


def test_bfloat16_that_a_cpu_only_emulates_is_warned_of(cpu):
    asked = choose_dtype(cpu("x86_64", False), "bf16")
    assert (asked.name, asked.reason) == (
        "bfloat16",
        "bfloat16, as asked for. This device has no instructions for bfloat16: it emulates them, "
        "up to 100 times slower than float32.",
    )
    assert choose_dtype(cpu("x86_64", False), "float16").reason == "float16, as asked for."


def test_training_in_bfloat16_follows_the_gpu(machine):
    machine(cuda=1)
    assert trains_in_bf16(choose_device(), "auto")
    machine(cuda=1, bf16=False)
    assert not trains_in_bf16(choose_device(), "auto")
    assert emulates_bf16(choose_device())
    apple = Device("mps", "mps", "")
    assert (trains_in_bf16(apple, "auto"), emulates_bf16(apple)) == (False, False)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [("bf16", "bfloat16"), ("float16", "float16"), ("fp32", "float32")],
)
def test_dtype_request(cpu, request_, expected):
    chosen = choose_dtype(cpu("x86_64", True, avx512_bf16=True), request_)
    assert (chosen.name, chosen.reason) == (expected, f"{expected}, as asked for.")


def test_unknown_dtype_is_refused():
    with pytest.raises(ModelError, match=r"no number type 'int8'\. Number types: auto, float32"):
        choose_dtype(Device("cpu", "cpu", ""), "int8")


def test_free_memory_of_each_kind_of_device(monkeypatch):
    assert 0 < free_memory(Device("cpu", "cpu", "")) < 1 << 50
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda d: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda d: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda d: 30)
    assert free_memory(Device("cuda", "cuda:0", "")) == 120
    fake = SimpleNamespace(driver_allocated_memory=lambda: 30, recommended_max_memory=lambda: 100)
    monkeypatch.setattr(torch, "mps", fake)
    assert free_memory(Device("mps", "mps", "")) == 70
