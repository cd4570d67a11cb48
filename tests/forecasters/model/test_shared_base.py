"""Bundles whose adapters lie over one base model that is in memory once."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm4top.errors import UnsafeModelError
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.model import shared_base
from llm4top.workspace.serving.scoring_child import ModelCache
from tests.forecasters.bundle_kit import TRIALS, make


@pytest.fixture(scope="module")
def adapted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two bundles with adapters over one base, their folders and the logits they were made with."""
    root = tmp_path_factory.mktemp("shared")
    made = make(tiny_model, "lora")
    found = {"base": tiny_model}
    for name in ("one", "two"):
        made.save(root / name, name=name, carry_base=False)
        found[name] = root / name, made.logits
        weights = made.forecaster.scorer.model.named_parameters()
        with torch.no_grad():
            for _, weight in ((n, w) for n, w in weights if "lora_B" in n):
                weight.mul_(-1.5)
        made.logits = made.forecaster.answer_logits(TRIALS)
        made.calibration = type(made.calibration)().fit(made.logits, [0, 1] * (len(TRIALS) // 2))
    return found


def load(adapted: dict[str, Any], name: str) -> Forecaster:
    return load_bundle(adapted[name][0], base=adapted["base"], device="cpu")


def model_of(forecaster: Forecaster) -> Any:
    scorer: Any = forecaster.language.scorer if forecaster.language else None
    return scorer.model


def adapters_of(forecaster: Forecaster) -> set[str]:
    return {n.split(".")[-2] for n, _ in model_of(forecaster).named_parameters() if ".lora_" in n}


def test_each_bundle_computes_with_its_own_adapter(adapted: dict[str, Any]) -> None:
    one, two = load(adapted, "one"), load(adapted, "two")
    assert model_of(one) is model_of(two)
    assert np.abs(adapted["one"][1] - adapted["two"][1]).max() > 0.01
    for _ in range(2):
        for forecaster, name in ((one, "one"), (two, "two")):
            np.testing.assert_allclose(
                forecaster.logits(TRIALS), adapted[name][1], rtol=0, atol=1e-6
            )


def test_the_base_counts_once_and_goes_with_its_last_adapter(adapted: dict[str, Any]) -> None:
    one, two = load(adapted, "one"), load(adapted, "two")
    first, second = one.memory, two.memory
    assert len(first.keys() | second.keys()) == 3
    assert len(first.keys() & second.keys()) == 1
    assert one.memory_bytes == two.memory_bytes
    cache = ModelCache(10**9, "cpu")
    cache._loaded["one"], cache._loaded["two"] = (one, first), (two, second)
    whole = sum(w.numel() * 4 for w in model_of(one).parameters())
    assert cache.bytes == whole
    del cache, one
    gc.collect()
    two.logits(TRIALS[:1])
    assert adapters_of(two) == {"adapter1"}
    np.testing.assert_allclose(two.logits(TRIALS), adapted["two"][1], rtol=0, atol=1e-6)
    del two
    gc.collect()
    assert not shared_base._LOADED


def test_an_adapter_that_does_not_fit_leaves_the_others(
    adapted: dict[str, Any], tmp_path: Path
) -> None:
    one = load(adapted, "one")
    shared: Any = one.language.scorer.adapter.shared if one.language else None
    broken = tmp_path / "broken"
    shutil.copytree(adapted["two"][0], broken)
    weights = broken / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file({name: t * float("nan") for name, t in tensors.items()}, weights)
    with pytest.raises(UnsafeModelError, match="finite"):
        shared.add(broken)
    assert adapters_of(one) == {"default"}
    np.testing.assert_allclose(one.logits(TRIALS), adapted["one"][1], rtol=0, atol=1e-6)


def test_the_second_of_two_is_saved_as_itself(adapted: dict[str, Any], tmp_path: Path) -> None:
    one, two = load(adapted, "one"), load(adapted, "two")
    two.save(tmp_path / "again", name="again")
    again = load_bundle(tmp_path / "again", device="cpu")
    np.testing.assert_allclose(again.logits(TRIALS), adapted["two"][1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(one.logits(TRIALS), adapted["one"][1], rtol=0, atol=1e-6)
