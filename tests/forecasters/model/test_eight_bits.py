"""Base models in 8 bits: what they give, beside the same model whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm4top.errors import ConfigError
from llm4top.forecasters.finetuning.lora import add_lora
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.answer_head import answer_logits
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.scoring import TrialScorer
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.builtin import get_task
from llm4top.testing import make_tiny_model
from tests.forecasters.conftest import invented_trials

IDS, LENGTHS = torch.arange(20)[None] * 7 % 500, torch.tensor([20])


def with_outliers(folder: Path) -> None:
    """Weights of the tiny model with one hidden column so large that LLM.int8 sets it apart."""
    weights = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith("layernorm.weight"):
            weight[3] = 40.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_eight_bits_change_little_and_never_by_the_prompts_beside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    folder = make_tiny_model(tmp_path / "tiny64", hidden=64)
    with_outliers(folder)
    small = load_base(folder, device="cpu", quantize="8bit")
    large = load_base(folder, device="cpu")
    layers = [m for m in small.model.modules() if isinstance(m, bitsandbytes.nn.Linear8bitLt)]
    assert len(layers) == 14
    assert all(layer.weight.dtype is torch.int8 for layer in layers)
    task, spec = get_task("outcome"), PromptSpec(max_tokens=256)
    scorers = [TrialScorer(base, task, spec, batch_tokens=2048) for base in (small, large)]
    trials = invented_trials(6)
    eight, whole = (s.logits(s.prompts(trials)) for s in scorers)
    ours, prompts = scorers[0], scorers[0].prompts(trials)
    alone = np.concatenate([ours.logits([prompt]) for prompt in prompts])
    np.testing.assert_array_equal(eight, alone)
    assert 1e-6 < np.abs(eight - whole).max() < 0.1
    assert ours.weight_bytes < scorers[1].weight_bytes
    assert not [r for r in caplog.records if "MatMul8bitLt" in r.getMessage()]


def test_an_adapter_lies_over_eight_bits_too(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    folder = make_tiny_model(tmp_path / "tiny64", hidden=64)
    logits = []
    for quantize in (None, "8bit"):
        base = load_base(folder, device="cpu", quantize=quantize)
        model = add_lora(base.model, rank=2, alpha=4, dropout=0.0).eval()
        for number, (name, parameter) in enumerate(model.named_parameters()):
            if "lora_" in name:
                generator = torch.Generator().manual_seed(number)
                torch.nn.init.normal_(parameter, std=0.1, generator=generator)
        with torch.no_grad():
            logits.append(answer_logits(model, IDS, LENGTHS, range(64)))
            with model.disable_adapter():
                without = answer_logits(model, IDS, LENGTHS, range(64))
    rounding = (logits[1] - logits[0]).square().mean()
    assert rounding < (logits[1] - without).square().mean() / 20


def test_nothing_is_trained_in_eight_bits(tiny_model_folder: Path) -> None:
    forecaster = LanguageForecaster(tiny_model_folder, quantize="8bit")
    with pytest.raises(ConfigError) as caught:
        forecaster.fit(invented_trials(1), ["success"])
    assert caught.value.faults == (
        "quantize: 8 bits are for forecasting; train in 4 bits or in none",
    )
