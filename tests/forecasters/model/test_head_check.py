"""Architectures whose logits are not the answer head's are refused, in every number type."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import transformers

from llm4top.errors import ModelError
from llm4top.forecasters.model.base_model import load_base

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
}
NO_GROUPS = {k: v for k, v in SMALL.items() if k not in ("num_key_value_heads", "head_dim")}


def make(folder: Path, tokenizer: Path, name: str, head: str, **options: object) -> Path:
    """A tiny random model of another architecture with the tiny tokenizer."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = getattr(transformers, f"{name}Config")(vocab_size=528, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        getattr(transformers, f"{name}{head}")(config).save_pretrained(folder)
    shutil.copy(tokenizer / "tokenizer.json", folder)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "head", "options"),
    [
        ("Llama", "ForCausalLM", SMALL),
        ("GPT2", "LMHeadModel", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
        ("Mamba", "ForCausalLM", {"hidden_size": 32, "num_hidden_layers": 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_families_load(tmp_path, tiny_model_folder, name, head, options, dtype):
    folder = make(tmp_path / name, tiny_model_folder, name, head, **options)
    assert load_base(folder, device="cpu", dtype=dtype).dtype.name == dtype


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "head", "options", "reason"),
    [
        ("Gemma2", "ForCausalLM", SMALL, "it scales or caps its logits"),
        ("Granite", "ForCausalLM", NO_GROUPS | {"logits_scaling": 8.0}, "it scales or caps"),
        ("Bert", "LMHeadModel", NO_GROUPS, "its tokens see what follows them"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_head_cannot_read_is_refused(
    tmp_path, tiny_model_folder, name, head, options, reason, dtype
):
    folder = make(tmp_path / name, tiny_model_folder, name, head, **options)
    with pytest.raises(ModelError, match=reason) as caught:
        load_base(folder, device="cpu", dtype=dtype)
    assert "Choose another base model; Qwen3 is the tested family." in str(caught.value)
