"""A tiny GGUF file, written by llama.cpp's own package from the test kit's random Qwen3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NORMAL, CONTROL, ADDED = 1, 3, 4


def needs_gguf() -> Any:
    """The package ``gguf``; skips the test where it is not installed."""
    return pytest.importorskip(
        "gguf", reason="the extra gguf, which writes and reads GGUF files, is not installed"
    )


def write_tiny_gguf(path: Path, model: Path, *, kind: str = "F32", **fields: Any) -> Path:
    """Write the model in the folder ``model``, its matrices as ``kind``, with fields on top.

    A field that is None is left out.
    """
    gguf = needs_gguf()
    from safetensors.numpy import load_file

    config = json.loads((model / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "qwen3")
    layers = config["num_hidden_layers"]
    stated = {
        "general.name": "Tiny",
        "general.license": "apache-2.0",
        "qwen3.block_count": layers,
        "qwen3.context_length": config["max_position_embeddings"],
        "qwen3.embedding_length": config["hidden_size"],
        "qwen3.feed_forward_length": config["intermediate_size"],
        "qwen3.attention.head_count": config["num_attention_heads"],
        "qwen3.attention.head_count_kv": config["num_key_value_heads"],
        "qwen3.attention.key_length": config["head_dim"],
        "qwen3.attention.value_length": config["head_dim"],
        "qwen3.rope.freq_base": float(config["rope_parameters"]["rope_theta"]),
        "qwen3.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "qwen3.vocab_size": config["vocab_size"],
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.chat_template": "{{ messages }}",
    } | {name.replace("__", "."): value for name, value in fields.items()}
    for name, value in stated.items():
        if isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        elif value is not None:
            writer.add_uint32(name, value)
    _add_tokens(writer, model, config["vocab_size"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, layers)
    quantised = gguf.GGMLQuantizationType[kind]
    for name, weights in load_file(model / "model.safetensors").items():
        stored = names.get_name(name, try_suffixes=(".weight",))
        matrix = weights.astype(np.float32)
        if matrix.ndim == 1 or kind == "F32":
            writer.add_tensor(stored, matrix)
        elif kind == "F16":
            writer.add_tensor(stored, matrix.astype(np.float16))
        else:
            writer.add_tensor(stored, gguf.quantize(matrix, quantised), raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokens(writer: Any, model: Path, rows: int) -> None:
    stored = json.loads((model / "tokenizer.json").read_text())
    tokens = {index: (text, NORMAL) for text, index in stored["model"]["vocab"].items()}
    for added in stored["added_tokens"]:
        tokens[added["id"]] = (added["content"], CONTROL if added["special"] else ADDED)
    ordered = [tokens.get(index, (f"[PAD{index}]", 5)) for index in range(rows)]
    writer.add_token_list([text for text, _ in ordered])
    writer.add_token_types([kind for _, kind in ordered])
    writer.add_token_merges([" ".join(pair) for pair in stored["model"]["merges"]])
