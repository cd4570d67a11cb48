"""A stranger's model folder: what is refused before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from llm4top.errors import ModelError, ModelNotFoundError, UnsafeModelError
from llm4top.forecasters.model.model_files import (
    identify,
    read_json,
    resolve_base,
    safe_config,
    weight_files,
)


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to spoil."""
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def change_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_folder_is_its_own_name(folder):
    assert resolve_base(folder) == folder
    assert resolve_base(str(folder)) == folder


def test_a_name_is_looked_up_among_the_downloaded_models(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path))
    there = tmp_path / "models" / "Acme--Small-1B"
    there.mkdir(parents=True)
    assert resolve_base("Acme/Small-1B") == there


def test_a_model_that_is_not_here_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path))
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_base("Qwen/Qwen3-8B")
    assert str(caught.value) == (
        "the base model Qwen/Qwen3-8B is not on this machine (looked in "
        f"{tmp_path}/models/Qwen--Qwen3-8B), and there is no folder of this name. "
        "Download it once with: llm4top download Qwen/Qwen3-8B"
    )


@pytest.mark.parametrize("name", ["/no/such/folder", "../models", "a/b/c", "x/../y", "a b"])
def test_what_is_neither_folder_nor_name(name):
    words = "there is no model 'a b' here" if name == "a b" else "there is no such folder"
    with pytest.raises(ModelNotFoundError, match=words):
        resolve_base(name)


def test_a_file_is_no_model(folder):
    with pytest.raises(ModelNotFoundError, match="there is no model folder here"):
        resolve_base(folder / "config.json")


def test_a_plain_config_passes_without_its_private_fields(folder):
    change_config(folder, _name_or_path="somebody/else", _attn_implementation_autoset=True)
    config = safe_config(folder)
    assert config["model_type"] == "qwen3"
    assert not [name for name in config if name.startswith("_")]


@pytest.mark.parametrize(
    "field",
    [
        {"auto_map": {"AutoModelForCausalLM": "modeling_evil.Evil"}},
        {"text_config": {"auto_map": {"AutoConfig": "evil.Config"}}},
        {"layers": [{"automap": "evil.Layer"}]},
        {"_attn_implementation": "evil/kernel"},
        {"_attn_implementation_internal": "evil/kernel"},
        {"attn_implementation": "flash_attention_2"},
        {"_experts_implementation_internal": "evil/experts"},
        {"kernel_config": {"RMSNorm": "evil/kernel:RMSNorm"}},
        {"use_kernels_from": "evil/kernels"},
        {"trust_remote_code": ["yes"]},
        {"custom_pipelines": {"text": {"impl": "evil.Pipe"}}},
        {"custom_generate": "evil/generate"},
    ],
    ids=lambda field: next(iter(field)),
)
def test_a_field_that_names_code_is_refused(folder, field):
    change_config(folder, **field)
    with pytest.raises(UnsafeModelError, match=r"config\.json: the field .* code of its own") as e:
        safe_config(folder)
    assert "LLM4TOP runs no model's code." in str(e.value)


def test_native_attention_and_plain_numbers_are_no_code(folder):
    change_config(folder, attn_implementation="sdpa", conv_kernel=4, trust_remote_code=False)
    assert safe_config(folder)["conv_kernel"] == 4


def test_weights_quantised_beforehand_are_refused(folder):
    change_config(folder, quantization_config={"quant_method": "gptq"})
    with pytest.raises(ModelError, match="these weights are quantised already"):
        safe_config(folder)


def test_an_adapter_is_no_base_model(folder):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="this folder holds an adapter, not a base model"):
        safe_config(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "cannot be read as JSON"),
        (b"[1]", "holds no JSON object"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b'{"a":' * 100_000, "cannot be read as JSON"),
    ],
    ids=["cut", "list", "bytes", "deep"],
)
def test_broken_json_is_named(folder, content, message):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_json(folder / "config.json")
    assert caught.value.where == str(folder / "config.json")


def test_a_missing_config_is_named(folder):
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json is missing\. Is this a model's folder\?"):
        safe_config(folder)


def test_an_absurdly_large_config_is_not_read(folder):
    with (folder / "config.json").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(ModelError, match="far larger than a model's settings"):
        safe_config(folder)


def test_weights_are_safetensors_and_nothing_else(folder):
    # A planted pickle beside them is left alone.
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert weight_files(folder) == (folder / "model.safetensors",)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt", "w.pkl"])
def test_only_pickled_weights_are_refused(folder, name):
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(UnsafeModelError, match="a format that can run code when loaded") as caught:
        weight_files(folder)
    assert caught.value.where == str(folder / name)


def test_no_weights_at_all(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors in this folder"):
        weight_files(folder)


def shard(folder: Path, *names: str) -> None:
    weights = {f"weight.{i}": name for i, name in enumerate(names)}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weights}))
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")


def test_shards_are_found_by_the_index(folder):
    shard(folder, "model-1.safetensors", "model-1.safetensors")
    assert weight_files(folder) == (folder / "model-1.safetensors",)


def test_a_missing_shard_is_named(folder):
    shard(folder, "model-1.safetensors", "model-2.safetensors")
    with pytest.raises(ModelError, match=r"model-2\.safetensors is missing\. Download"):
        weight_files(folder)


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "model.bin", "a\\b.safetensors"]
)
def test_an_index_cannot_lead_elsewhere(folder, name):
    shard(folder, name)
    with pytest.raises(UnsafeModelError, match="is not a safetensors file of it"):
        weight_files(folder)


def test_an_empty_index_is_refused(folder):
    shard(folder)
    with pytest.raises(ModelError, match="names no weights"):
        weight_files(folder)


def test_identity_without_a_note_is_the_folders_name_and_the_files_hashes(folder):
    identity = identify(folder)
    assert (identity.id, identity.revision) == ("model", None)
    names = ("config.json", "tokenizer.json", "model.safetensors")
    lines = [f"{n} {hashlib.sha256((folder / n).read_bytes()).hexdigest()}\n" for n in names]
    assert identity.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert identify(folder).sha256 != identity.sha256


def test_identity_follows_the_downloads_note(folder):
    before = identify(folder)
    names = ("config.json", "tokenizer.json", "model.safetensors")
    note = {
        "name": "mine",
        "kind": "hub",
        "origin": "Acme/Small-1B",
        "revision": "main",
        "commit": "0123abcd",
        "fetched": "2026-01-01T00:00:00+00:00",
        "files": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
    }
    (folder / "llm4top-source.json").write_text(json.dumps(note))
    identity = identify(folder)
    assert (identity.id, identity.revision) == ("Acme/Small-1B", "0123abcd")
    assert identity.sha256 == before.sha256
