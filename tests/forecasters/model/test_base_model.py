"""Loading base models: what loads, what is refused, and that nothing of the folder's runs."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.errors import MissingExtraError, ModelError, UnsafeModelError
from llm4top.forecasters.finetuning.lora import add_lora
from llm4top.forecasters.model import base_model
from llm4top.forecasters.model.answer_head import answer_logits
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.tokenizer import load_tokenizer
from llm4top.testing import make_tiny_model


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def change_json(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_loaded_model_says_what_it_is(tiny_model_folder):
    base = load_base(tiny_model_folder, device="cpu")
    assert not base.model.training
    assert (base.device.torch, base.dtype.name) == ("cpu", "float32")
    assert base.context_length == 4096
    assert base.identity.id == "tiny"
    assert base.folder == tiny_model_folder
    assert base.model.get_input_embeddings().weight.dtype is torch.float32


def test_the_number_type_is_the_one_asked_for(tiny_model_folder):
    base = load_base(tiny_model_folder, device="cpu", dtype="bf16")
    assert base.model.lm_head.weight.dtype is torch.bfloat16


def test_loading_keeps_the_process_off_the_network(tiny_model_folder, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    load_base(tiny_model_folder, device="cpu")
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert huggingface_hub.constants.HF_HUB_OFFLINE


def test_loading_prints_nothing(tiny_model_folder, capfd):
    load_base(tiny_model_folder, device="cpu")
    assert capfd.readouterr() == ("", "")


def test_tied_embeddings_load(tmp_path):
    base = load_base(make_tiny_model(tmp_path / "tied", tied=True), device="cpu")
    assert base.model.lm_head.weight is base.model.get_input_embeddings().weight


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_planted_code_never_runs(folder, tmp_path):
    canary = tmp_path / "canary"
    for name in ("pytorch_model.bin", "training_args.bin", "tokenizer.pkl", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    evil = f"import os; os.mkdir({str(canary)!r})"
    for name in ("modeling_qwen3.py", "configuration_qwen3.py", "tokenization_qwen3.py"):
        (folder / name).write_text(evil)
    template = "{{ cycler.__init__.__globals__.os.mkdir(" + repr(str(canary)) + ") }}"
    change_json(
        folder / "tokenizer_config.json",
        chat_template=template,
        auto_map={"AutoTokenizer": ["tokenization_qwen3.Evil", None]},
    )
    (folder / "chat_template.jinja").write_text(template)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(evil)
    base = load_base(folder, device="cpu")
    assert not hasattr(base.tokenizer, "chat_template")
    assert not canary.exists()


def test_a_config_that_names_code_is_refused_before_the_weights(folder):
    change_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_qwen3.Evil"})
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnsafeModelError, match="the field 'auto_map'"):
        load_base(folder)


@pytest.mark.parametrize("model_type", ["no-such-thing", "vit", None, 7])
def test_only_causal_language_models_that_transformers_knows(folder, model_type):
    change_json(folder / "config.json", model_type=model_type)
    with pytest.raises(ModelError, match=f"{model_type!r} is not a causal language model"):
        load_base(folder)


def test_nonsense_in_the_config_is_a_sentence(folder):
    change_json(folder / "config.json", num_hidden_layers="many")
    with pytest.raises(ModelError, match=r"makes no sense: .*num_hidden_layers.*Download"):
        load_base(folder)


@pytest.mark.parametrize("theta", [1e39, 1e-300, float("inf"), float("nan"), 0, -1e4, "1e6", True])
def test_rotations_that_float32_cannot_hold_are_refused(folder, theta):
    change_json(
        folder / "config.json", rope_parameters={"rope_type": "default", "rope_theta": theta}
    )
    with pytest.raises(ModelError) as refusal:
        load_base(folder)
    assert str(refusal.value) == (
        f"{folder}/config.json: the field 'rope_theta' is {theta!r}, and must be a number above 0 "
        "that float32 can hold. Download the model again."
    )


def test_weights_that_are_missing_are_not_made_up(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights are missing.*layers\.0\.mlp\.up_proj"):
        load_base(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: b"",
        lambda data: b"not a tensor file at all",
    ],
    ids=["cut", "oversize header", "empty", "text"],
)
def test_damaged_weights_are_a_sentence(folder, spoil):
    path = folder / "model.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ModelError, match="the weights cannot be loaded"):
        load_base(folder)


def test_weights_of_another_shape_are_refused(folder):
    change_json(folder / "config.json", intermediate_size=64)
    with pytest.raises(ModelError, match="their shapes are not those of config"):
        load_base(folder)


def test_the_tokenizer_must_be_there_and_whole(folder):
    path = folder / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: is not a tokenizer"):
        load_base(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing.*fast tokenizer"):
        load_base(folder)


def test_the_tokenizer_must_fit_the_model(folder):
    tokens = json.loads((folder / "tokenizer.json").read_text())
    last = max(token["id"] for token in tokens["added_tokens"])
    for extra in range(1, 30):
        token = {
            "id": last + extra,
            "content": f"<extra {extra}>",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        tokens["added_tokens"].append(token)
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(ModelError, match="the tokenizer has 541 tokens, the model 528"):
        load_base(folder)


def test_the_tokenizers_own_cutting_and_padding_are_switched_off(folder):
    tokens = json.loads((folder / "tokenizer.json").read_text())
    tokens["truncation"] = {
        "direction": "Right",
        "max_length": 3,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    assert len(load_tokenizer(folder)("one two three four five six")["input_ids"]) > 6


def test_unknown_quantisation_is_refused(tiny_model_folder):
    with pytest.raises(ModelError, match=r"no quantisation '2bit'\. Choose 4bit or 8bit, or none"):
        load_base(tiny_model_folder, quantize="2bit")  # type: ignore[arg-type]


@pytest.mark.parametrize(("quantize", "bits"), [("4bit", "4 bits"), ("8bit", "8 bits")])
def test_fewer_bits_without_bitsandbytes_name_the_command(
    tiny_model_folder, monkeypatch, quantize, bits
):
    monkeypatch.setattr(base_model.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        load_base(tiny_model_folder, quantize=quantize)
    assert str(caught.value) == (
        f"loading a model in {bits} needs bitsandbytes. "
        "Install it with: pip install 'llm4top[four-bit]'"
    )


def test_the_message_about_optional_kernels_is_filtered_and_no_other(caplog):
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    logger.filters.clear()
    # transformers' Trainer imports bitsandbytes before any model is loaded.
    CliRunner().invoke(app, ["doctor", "--help"])
    with caplog.at_level(logging.WARNING):
        logger.warning("Failed to load CPU gemm_4bit_forward from %s", "somewhere")
        logger.warning("something else")
    assert [record.message for record in caplog.records] == ["something else"]


PROMPT = (torch.arange(60).reshape(3, 20) % 500, torch.tensor([20, 11, 5]))


@pytest.fixture
def four_bit_pair(tmp_path):
    """A 4-bit model with LoRA, and the same in float32 over its dequantised weights."""
    bitsandbytes = pytest.importorskip("bitsandbytes")
    folder = make_tiny_model(tmp_path / "tiny64", hidden=64)
    small = load_base(folder, device="cpu", quantize="4bit")
    large = load_base(folder, device="cpu")
    for name, module in small.model.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            weight = bitsandbytes.functional.dequantize_4bit(
                module.weight.data, module.weight.quant_state
            )
            large.model.get_submodule(name).weight.data = weight.float()
    return small, large


def test_four_bits_compute_what_their_dequantised_weights_do(four_bit_pair):
    small, large = four_bit_pair
    kinds = {type(m).__name__ for m in small.model.modules()}
    assert "Linear4bit" in kinds
    assert type(small.model.lm_head).__name__ == "Linear"
    with torch.no_grad():
        ours = answer_logits(small.model, *PROMPT, (1, 2))
        reference = answer_logits(large.model, *PROMPT, (1, 2))
    torch.testing.assert_close(ours, reference, atol=1e-4, rtol=1e-4)


def test_four_bit_gradients_are_right_after_an_evaluation(four_bit_pair):
    """bitsandbytes repacks weights at the first evaluation on some CPUs; gradients then stop."""
    gradients = []
    for base in four_bit_pair:
        with torch.no_grad():
            answer_logits(base.model.eval(), *PROMPT, (1, 2))
        model = add_lora(base.model, rank=2, alpha=4, dropout=0.0).train()
        for number, (name, parameter) in enumerate(model.named_parameters()):
            if "lora_" in name:
                generator = torch.Generator().manual_seed(number)
                torch.nn.init.normal_(parameter, std=0.05, generator=generator)
        loss = torch.nn.functional.cross_entropy(
            answer_logits(model, *PROMPT, (1, 2)), torch.tensor([0, 1, 0])
        )
        loss.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert len(gradients[0]) == 2 * 2 * 7  # A and B of seven projections in two layers
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-5, rtol=1e-3)
