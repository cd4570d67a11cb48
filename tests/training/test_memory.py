"""The memory estimate against what torch really keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llm4top.forecasters.finetuning import activations
from llm4top.forecasters.finetuning.activations import ModelShape, model_shape, wants_checkpointing
from llm4top.forecasters.finetuning.lora import AnswerScorer, add_lora
from llm4top.forecasters.finetuning.settings import finetune_settings
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.device import Device
from llm4top.testing import make_tiny_model
from llm4top.training.config import make_config
from llm4top.training.memory import Place, estimate_for, estimate_memory, in_gb

NEEDED = {"data": "d", "base": "b", "out": "o"}
QWEN3_8B = ModelShape(
    parameters=8_190_735_360,
    embedding=622_329_856,
    linear_parameters=6_945_767_424,
    linear_widths=36 * (8192 + 2 * 5120 + 8192 + 3 * 16384),
    layers=36,
    hidden=4096,
    query=4096,
    key_value=1024,
    intermediate=12288,
)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("wide") / "m", hidden=128, layers=6)


def test_the_shape_is_measured_without_weights(wide: Path) -> None:
    shape = model_shape(wide)
    model = load_base(wide, device="cpu").model
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    adapted = add_lora(model, rank=4, alpha=8, dropout=0.0)
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert 4 * shape.linear_widths == trained
    assert (shape.layers, shape.hidden, shape.query, shape.key_value) == (6, 128, 128, 64)


@pytest.mark.parametrize("dropout", [0.0, 0.05])
def test_activations_are_estimated_within_a_third(wide: Path, dropout: float) -> None:
    batch, tokens = 4, 256
    model = add_lora(load_base(wide, device="cpu").model, rank=4, alpha=8, dropout=dropout)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}
    kept = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)  # alive, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scorer = AnswerScorer(model.train(), (260, 261))
        scorer(torch.randint(0, 300, (batch, tokens)), torch.full((batch,), tokens))
    estimate = estimate_memory(
        model_shape(wide),
        make_config(
            None,
            {
                **NEEDED,
                "lora_rank": 4,
                "lora_dropout": dropout,
                "batch_size": batch,
                "max_tokens": tokens,
            },
        ),
        Place("cpu", 4, 4, free=0),
        checkpointing=False,
    )
    assert 0.75 < estimate.activations / sum(sizes.values()) < 1.33


def of_8b(*, checkpointing: bool = True, **chosen: object) -> float:
    config = make_config(None, {**NEEDED, **chosen})
    place = Place("cuda", 2, 2, free=0)
    return estimate_memory(QWEN3_8B, config, place, checkpointing=checkpointing).total / 1e9


def test_the_standard_preset_fits_the_gpus_it_promises() -> None:
    assert of_8b(quantize="4bit") < 24
    assert 24 < of_8b() < 40
    assert of_8b(tuning="full") > 100
    assert of_8b(checkpointing=False) > of_8b()


@pytest.mark.parametrize(
    ("setting", "free", "again"),
    [
        ("auto", 10**12, False),
        ("auto", 40 * 10**9, True),
        (True, 10**12, True),
        (False, 40 * 10**9, False),
    ],
)
def test_activations_are_computed_again_only_where_they_would_not_fit(
    setting: object, free: int, again: bool
) -> None:
    config = make_config(None, {**NEEDED, "gradient_checkpointing": setting})
    place = Place.here(Device("cpu", "cpu", ""), config, free)
    assert estimate_for(QWEN3_8B, config, place, trials=100)[1] is again


@pytest.mark.parametrize("free", [10**12, 10**6])
def test_a_loaded_model_decides_by_the_same_estimate(
    wide: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    monkeypatch.setattr(activations, "free_memory", lambda device: free)
    base = load_base(wide, device="cpu")
    assert wants_checkpointing(base, finetune_settings(), 300) is (free == 10**6)
    for chosen in (True, False):
        settings = finetune_settings(gradient_checkpointing=chosen)
        assert wants_checkpointing(base, settings, 300) is chosen


def test_sizes_in_words() -> None:
    assert in_gb(17_300_000_000) == "17.3 GB"
    assert in_gb(5_250_000) == "5.2 MB"
