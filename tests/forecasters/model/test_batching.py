"""Batches: alike in length, within the budget, in the right order, smaller out of memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import ModelError
from llm4top.forecasters.model import scoring
from llm4top.forecasters.model.device import Device
from llm4top.forecasters.model.scoring import (
    MAX_BATCH_TOKENS,
    MAX_BATCH_TOKENS_CPU,
    default_budget,
    is_out_of_memory,
    plan_batches,
    run_batches,
)
from llm4top.progress import Progress

pytestmark = pytest.mark.slow

LENGTHS = st.lists(st.integers(1, 300), max_size=60)
CPU = Device("cpu", "cpu", "")


@given(LENGTHS, st.integers(1, 1000))
def test_every_prompt_is_in_one_batch_and_batches_keep_the_budget(lengths, budget):
    batches = plan_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
    firsts = [lengths[batch[0]] for batch in batches]
    assert firsts == sorted(firsts, reverse=True)


def numbered(batch):
    """A row for each prompt that tells its length and its first token."""
    return torch.tensor([[float(len(ids)), float(ids[0])] for ids in batch])


def prompts_of(lengths):
    return [[number] * length for number, length in enumerate(lengths)]


@given(LENGTHS.filter(bool), st.integers(1, 1000))
def test_rows_come_back_in_the_order_of_the_prompts(lengths, budget):
    rows = run_batches(prompts_of(lengths), budget, numbered)
    assert rows.tolist() == [[float(n), float(i)] for i, n in enumerate(lengths)]


@given(LENGTHS.filter(bool), st.integers(1, 1000), st.integers(300, 1200))
def test_out_of_memory_halves_the_budget_until_it_fits(lengths, budget, memory):
    sizes = []

    def score(batch):
        padded = max(map(len, batch)) * len(batch)
        if padded > memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(padded)
        return numbered(batch)

    rows = run_batches(prompts_of(lengths), budget, score)
    assert rows.tolist() == [[float(n), float(i)] for i, n in enumerate(lengths)]
    assert max(sizes) <= max(memory, max(lengths))


def test_a_smaller_budget_is_kept_for_the_rest():
    failures = 0

    def score(batch):
        nonlocal failures
        if len(batch) > 2:
            failures += 1
            raise torch.OutOfMemoryError
        return numbered(batch)

    run_batches(prompts_of([10] * 64), 80, score)
    assert failures == 2  # 8 prompts, then 4, and never again


def test_a_prompt_that_alone_does_not_fit_is_an_error_with_advice():
    def score(batch):
        raise torch.OutOfMemoryError

    with pytest.raises(ModelError) as caught:
        run_batches(prompts_of([500, 3]), 4000, score)
    assert str(caught.value) == (
        "memory runs out on a single prompt of 500 tokens. Lower the prompt's token budget "
        "(--max-tokens), load the model in 4 bits (--quantize 4bit), or choose another device "
        "(--device)."
    )


def test_other_errors_pass():
    def score(batch):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_batches(prompts_of([5]), 100, score)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (MemoryError(), True),
        (RuntimeError("expected scalar type Float"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_how_running_out_of_memory_is_recognised(error, expected):
    assert is_out_of_memory(error) is expected


def test_the_cpu_allocator_really_says_so():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)


def test_progress_counts_prompts_and_tokens_up_to_all():
    heard: list[Progress] = []
    run_batches(prompts_of([4, 2, 4]), 8, numbered, on_progress=heard.append)
    assert [(p.done, p.total) for p in heard] == [(2, 3), (3, 3)]
    assert [p.figures["tokens"] for p in heard] == [8, 10]
    assert heard[0].figures["total_tokens"] == 10


def test_no_prompts():
    assert run_batches([], 10, numbered).numel() == 0


def model_of(hidden: int, inner: int, heads: int = 1, head_dim: int = 0):
    config = SimpleNamespace(
        hidden_size=hidden, intermediate_size=inner, num_attention_heads=heads, head_dim=head_dim
    )
    return SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: config))


def test_default_budget_is_half_of_the_free_memory(monkeypatch):
    monkeypatch.setattr(scoring, "free_memory", lambda device: 16_000_000)
    # 4 x 300 + 12 x 100 rows of float32 for each token: 9 600 bytes.
    assert default_budget(model_of(100, 300), CPU) == 8_000_000 // 9_600
    # Qwen3's heads are wider together than its hidden state.
    assert default_budget(model_of(100, 300, heads=4, head_dim=50), CPU) == 8_000_000 // 14_400


def test_default_budget_has_two_ends(monkeypatch):
    monkeypatch.setattr(scoring, "free_memory", lambda device: 1)
    assert default_budget(model_of(4096, 12288), CPU) == 1
    monkeypatch.setattr(scoring, "free_memory", lambda device: 1 << 40)
    assert default_budget(model_of(8, 8), CPU) == MAX_BATCH_TOKENS_CPU
    assert default_budget(model_of(8, 8), Device("cuda", "cuda:0", "")) == MAX_BATCH_TOKENS
