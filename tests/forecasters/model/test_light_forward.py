"""The small model in NumPy gives the states and logits that transformers gives."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import llm4top
from llm4top.errors import ModelError, UnsafeModelError
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.model import light_forward, light_scorer
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.light_forward import read_light_model
from llm4top.forecasters.model.light_scorer import LightScorer
from llm4top.forecasters.model.scoring import TrialScorer, prompt_states
from llm4top.progress import Progress
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record
from llm4top.testing import make_tiny_model
from tests.forecasters.bundle_kit import TRIALS, edit_json

LENGTHS = (1, 2, 3, 63, 64, 65, 130, 200)
EQUAL = 1e-6


def made_prompts(lengths: tuple[int, ...] = LENGTHS) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 500, n).tolist() for n in lengths]


def pooled(folder: Path, prompts: list[list[int]], layer: int) -> np.ndarray:
    """Both poolings, ``[n, 2, h]``, as ``prompt_states`` has them."""
    light = read_light_model(folder)
    assert light is not None
    means = [(states[-1].copy(), states[len(states) > 1 :].mean(axis=0, dtype=np.float64))
             for states in light.states(prompts, layer)]  # fmt: skip
    return np.array(means)


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"layers": 4, "hidden": 64}])
def test_states_are_those_of_transformers(options: dict[str, Any], tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "tiny", **options)
    # In float64: the random weights are wide, so that both in float32 differ by their rounding.
    model, prompts = load_base(folder, device="cpu").model.double(), made_prompts()
    for layer in range(1, options.get("layers", 2) + 1):
        expected = prompt_states(model, prompts, (layer,), budget=1)[:, 0].numpy()
        found = pooled(folder, prompts, layer)
        assert np.abs(found - expected).max() <= 2 * EQUAL * max(1.0, np.abs(expected).max())


def test_a_state_does_not_depend_on_the_other_prompts(tiny_model_folder: Path) -> None:
    prompts = made_prompts()
    together = pooled(tiny_model_folder, prompts, 2)
    assert np.array_equal(pooled(tiny_model_folder, prompts[::-1], 2)[::-1], together)
    alone = [pooled(tiny_model_folder, [prompt], 2)[0] for prompt in prompts]
    assert np.array_equal(np.array(alone), together)


def test_threads_and_progress_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    language = load_forecaster().language
    assert language is not None
    prompts = language.prompts([*TRIALS] * 9)
    seen: list[Progress] = []
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(light_scorer, "one_thread", lambda n=threads: nullcontext(n))
        found.append(language.logits_of(prompts, on_progress=seen.append))
        assert (seen[-1].done, seen[-1].total) == (len(prompts), len(prompts))
        assert seen[-1].figures["tokens"] == sum(len(prompt.token_ids) for prompt in prompts)
    assert len(prompts) > 2 * light_scorer._AT_ONCE
    assert np.array_equal(*found)
    assert language.logits_of([]).shape == (0, 2)


def whole_scorer(light: LightScorer) -> TrialScorer:
    """The scorer of transformers and torch for the same model, question and probe."""
    scorer = TrialScorer(light.base, light.task, light.writer.spec)
    scorer.probe = light.probe
    return scorer


def check_embedded(records: list[Record]) -> None:
    """The forecasts of the embedded model and its language model's part, both ways."""
    light, whole = load_forecaster(), load_forecaster()
    language, other = light.language, whole.language
    assert language is not None
    assert other is not None
    assert isinstance(language.scorer, LightScorer)
    other._scorer = whole_scorer(language.scorer)
    for one, two in zip(light.forecast(records), whole.forecast(records), strict=True):
        if isinstance(one, NotApplicable):
            assert one == two
            continue
        assert isinstance(two, Forecast)
        for name in ("probability", "lower", "upper", "score"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), abs=EQUAL)
        assert dict(one.parts) == pytest.approx(dict(two.parts), abs=EQUAL)
        assert one.prompt_sha256 == two.prompt_sha256


def test_the_embedded_model_forecasts_as_with_transformers() -> None:
    check_embedded(list(read_records(Path(llm4top.__file__).parent / "examples")))


@pytest.mark.slow
def test_it_forecasts_real_records_as_with_transformers(test_data: Path) -> None:
    sample = test_data / "registry" / "AllPublicXML-sample.zip"
    records = list(islice(read_records(sample), 200))
    assert len(records) == 200
    check_embedded(records)


OTHER_SETTINGS: dict[str, dict[str, Any]] = {
    "architecture": {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
    "an unknown setting": {"logit_scale": 2.0},
    "bias": {"attention_bias": True},
    "activation": {"hidden_act": "gelu"},
    "sliding window": {"use_sliding_window": True},
    "window of a layer": {"layer_types": ["full_attention", "sliding_attention"]},
    "stretched positions": {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
    "number type": {"dtype": "bfloat16"},
    "head size": {"head_dim": 7},
    "groups": {"num_key_value_heads": 3},
    "another width": {"intermediate_size": 95},
    "more layers": {"num_hidden_layers": 3},
    "text for a size": {"hidden_size": "32"},
    "lists for kinds of layers": {"layer_types": [["full_attention"], ["full_attention"]]},
    "a number for kinds of layers": {"layer_types": 2},
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_any_other_model_is_left_to_transformers(
    name: str, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    assert read_light_model(folder) is not None
    edit_json(folder / "config.json", **OTHER_SETTINGS[name])
    assert read_light_model(folder) is None


def test_other_weights_are_left_to_transformers(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({**weights, "model.more": np.ones(3, np.float32)}, file)
    assert read_light_model(folder) is None
    save_file({name: array.astype(np.float16) for name, array in weights.items()}, file)
    assert read_light_model(folder) is None
    file.write_bytes(b"no safetensors")
    assert read_light_model(folder) is None


def test_a_large_model_is_left_to_transformers(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light_forward, "MOST_BYTES", 1000)
    assert read_light_model(tiny_model_folder) is None


def test_a_model_that_brings_code_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    edit_json(folder / "config.json", auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(UnsafeModelError, match="'auto_map' would make the model bring code"):
        read_light_model(folder)


def test_broken_weights_are_told() -> None:
    light = load_forecaster().language
    assert light is not None
    assert isinstance(light.scorer, LightScorer)
    light.scorer.light.norm[:] = np.nan
    with pytest.raises(ModelError, match="the answer logits are not finite numbers"):
        light.answer_logits(TRIALS)
