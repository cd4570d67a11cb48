"""Adapters: plain LoRA that fits loads and gives the same numbers; everything else is refused."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm4top.errors import ModelError, ModelNotFoundError, UnsafeModelError
from llm4top.forecasters.finetuning.lora import add_lora
from llm4top.forecasters.model.adapter import load_adapter
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.scoring import score_prompts

PROMPTS = [[1, 2, 3, 4, 5], [6, 7], [8]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with an adapter as PEFT saves it, over the tiny model, and its logits."""
    from llm4top.testing import make_tiny_model

    root = tmp_path_factory.mktemp("adapter")
    base = load_base(make_tiny_model(root / "base"), device="cpu")
    model = add_lora(base.model, rank=4, alpha=8, dropout=0.1)
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.eval().save_pretrained(root / "adapter")
    return root, score_prompts(model, PROMPTS, (257, 258), budget=64)


@pytest.fixture
def adapter(saved, tmp_path) -> Path:
    """A copy of the adapter to spoil."""
    return Path(shutil.copytree(saved[0] / "adapter", tmp_path / "adapter"))


@pytest.fixture
def base(saved):
    return load_base(saved[0] / "base", device="cpu")


@pytest.fixture(scope="module")
def untouched(saved):
    """For refusals that come before the base model is changed."""
    return load_base(saved[0] / "base", device="cpu")


def change_config(folder: Path, **fields: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_reloaded_adapter_gives_the_same_logits(saved, base):
    model = load_adapter(base, saved[0] / "adapter")
    assert torch.equal(score_prompts(model, PROMPTS, (257, 258), budget=64), saved[1])
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_what_is_no_adapter_folder(untouched, tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"there is no adapter_config\.json here"):
        load_adapter(untouched, tmp_path)


def test_pickled_adapters_are_not_read(untouched, adapter, tmp_path):
    class Canary:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "canary"),))

    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Canary()))
    with pytest.raises(UnsafeModelError, match="adapters in other formats are not read"):
        load_adapter(untouched, adapter)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "field",
    [
        {"auto_mapping": {"base_model_class": "x", "parent_library": "os"}},
        {"modules_to_save": ["lm_head"]},
        {"use_dora": True},
        {"megatron_config": {"a": 1}},
        {"init_lora_weights": "pissa"},
        {"bias": "all"},
        {"trainable_token_indices": [1, 2]},
        {"layer_replication": [[0, 2]]},
        {"rank_pattern": {"q_proj": 100_000}},
        {"something_new": "x"},
    ],
    ids=lambda field: next(iter(field)),
)
def test_anything_but_plain_lora_is_refused(untouched, adapter, field):
    change_config(adapter, **field)
    name = next(iter(field))
    with pytest.raises(UnsafeModelError, match=f"asks for {name} = .* not plain LoRA"):
        load_adapter(untouched, adapter)


def test_other_kinds_of_adapter_are_refused(untouched, adapter):
    change_config(adapter, peft_type="PROMPT_TUNING")
    with pytest.raises(UnsafeModelError, match="'PROMPT_TUNING' is not an adapter that LLM4TOP"):
        load_adapter(untouched, adapter)


@pytest.mark.parametrize("rank", [0, -1, 513, 10**9, "16", None, 2.5])
def test_the_rank_is_bounded(untouched, adapter, rank):
    change_config(adapter, r=rank)
    with pytest.raises(UnsafeModelError, match=r"its rank .* is not in 1 to 512"):
        load_adapter(untouched, adapter)


@pytest.mark.parametrize("targets", ["(a+)+$", [], None, [1], {"q_proj": 1}])
def test_targets_are_a_list_of_names(untouched, adapter, targets):
    change_config(adapter, target_modules=targets)
    with pytest.raises(UnsafeModelError, match="its target_modules are not a list of names"):
        load_adapter(untouched, adapter)


def test_the_output_head_may_not_be_changed(untouched, adapter):
    change_config(adapter, target_modules=["q_proj", "lm_head"])
    with pytest.raises(UnsafeModelError, match="it changes the output head"):
        load_adapter(untouched, adapter)


@pytest.mark.parametrize("name", ["lora_alpha", "lora_dropout"])
def test_numbers_are_numbers(untouched, adapter, name):
    change_config(adapter, **{name: "os.system"})
    with pytest.raises(UnsafeModelError, match=f"its {name} is not a number"):
        load_adapter(untouched, adapter)


def test_an_adapter_of_another_architecture(base, adapter):
    change_config(adapter, target_modules=["query_key_value"])
    with pytest.raises(ModelError, match="the adapter does not fit this base model"):
        load_adapter(base, adapter)


SPOILT = {
    "more": lambda tensors: tensors | {"base_model.model.lm_head.weight": torch.zeros(2, 2)},
    "fewer": lambda tensors: dict(list(tensors.items())[1:]),
    "shape": lambda tensors: {n: t[:, :-1].contiguous() for n, t in tensors.items()},
    "rank": lambda tensors: {n: torch.cat([t, t]) for n, t in tensors.items()},
}


@pytest.mark.parametrize("how", SPOILT)
def test_tensors_are_exactly_those_of_the_base_model(base, adapter, how):
    path = adapter / "adapter_model.safetensors"
    save_file(SPOILT[how](load_file(path)), path)
    with pytest.raises(UnsafeModelError, match="these are not this base model's adapter weights"):
        load_adapter(base, adapter)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t.index_fill(0, torch.tensor([0]), float("nan")),
        lambda t: torch.full_like(t, float("inf")),
        lambda t: torch.zeros(t.shape, dtype=torch.int64),
    ],
    ids=["nan", "inf", "integers"],
)
def test_tensors_hold_finite_numbers(base, adapter, spoil):
    path = adapter / "adapter_model.safetensors"
    save_file({n: spoil(t) for n, t in load_file(path).items()}, path)
    with pytest.raises(UnsafeModelError, match="does not hold finite numbers"):
        load_adapter(base, adapter)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"{}"], ids=["empty", "header", "text"])
def test_a_damaged_file_is_a_sentence(base, adapter, content):
    (adapter / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors: cannot be read"):
        load_adapter(base, adapter)
