"""The memory estimate against what torch really keeps."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from llm4top.errors import ConfigError
from llm4top.forecasters.finetuning import activations
from llm4top.forecasters.finetuning.activations import ModelShape, model_shape, wants_checkpointing
from llm4top.forecasters.finetuning.lora import AnswerScorer, add_lora
from llm4top.forecasters.finetuning.settings import finetune_settings
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.device import Device
from llm4top.testing import make_tiny_model
from llm4top.training.config import make_config
from llm4top.training.memory import (
    MemoryEstimate,
    Place,
    cheaper,
    estimate_for,
    estimate_memory,
    in_gb,
    judged,
)

ROOT = Path(__file__).parents[2]
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


def test_the_page_on_scale_has_the_table_of_these_estimates() -> None:
    table = runpy.run_path(str(ROOT / "scripts" / "gpu_table.py"))
    assert table["shape_of"]("Qwen3-8B") == QWEN3_8B
    page = (ROOT / "docs" / "scale.md").read_text()
    assert "\n".join(table["lines"]()) in page, "put in what scripts/gpu_table.py prints"


def needed(gpus: str, shape: ModelShape = QWEN3_8B, **chosen: object) -> MemoryEstimate:
    config = make_config(None, {**NEEDED, "gradient_checkpointing": True, **chosen})
    return estimate_for(shape, config, Place.of_gpus(gpus, config))[0]


def test_shards_divide_what_is_frozen_and_what_is_trained_in_full() -> None:
    one, two = (needed(gpus, shard=True) for gpus in ("1x80", "2x80"))
    gathered = (2 * QWEN3_8B.linear_parameters // QWEN3_8B.layers + QWEN3_8B.embedding) * 2
    assert two.weights == one.weights // 2 + gathered
    assert two.trained == one.trained  # an adapter is whole in each process
    assert one.whole == 0
    assert two.whole > one.weights
    full = [needed(gpus, shard=True, tuning="full").trained for gpus in ("1x80", "8x80")]
    assert full == [16 * QWEN3_8B.parameters, 2 * QWEN3_8B.parameters]


def test_without_shards_each_process_keeps_the_gradients_once_more() -> None:
    one, two = (needed(gpus, tuning="full") for gpus in ("1x80", "2x80"))
    assert two.trained - one.trained == 4 * QWEN3_8B.parameters
    assert (two.weights, two.activations) == (one.weights, one.activations)


@pytest.mark.parametrize("gpus", ["80", "x80", "8x", "0x80", "8x8.5", "eight"])
def test_gpus_that_are_not_understood_are_refused(gpus: str) -> None:
    with pytest.raises(ConfigError, match="write 8x80 for 8 of 80 GB"):
        needed(gpus)


def test_a_model_that_no_device_holds_by_itself_is_refused() -> None:
    config = make_config(None, {**NEEDED, "shard": True})
    place = Place.of_gpus("8x16", config)
    estimate, again = estimate_for(QWEN3_8B, config, place)
    text, fits, hint = judged(estimate, config, place, again=again, where="each")
    assert estimate.training < place.free < estimate.whole
    assert not fits
    assert "then 18.8 GB on one of them, for the model in one piece; 16.0 GB free on each." in text
    assert hint == "To calibrate the model, one device has to hold it: take larger ones."


def test_several_processes_are_advised_to_shard() -> None:
    config = make_config(None, {**NEEDED, "tuning": "full"})
    place = Place.of_gpus("8x80", config)
    assert "use shard: true; use tuning: lora" in cheaper(config, place)
