"""The hidden states of a small Qwen3 in NumPy: nothing of torch or transformers is imported.

Importing the two takes two seconds of processor time, and a small model computes faster without
them: one prompt at a time, without padding, in buffers that stay where they are. So a state does
not depend on what else is computed, to the last bit. The states equal those of transformers in
float32 (tested): the model of Yang et al. 2025, Qwen3 technical report (RMSNorm, rotary positions,
grouped queries with normalised queries and keys, SwiGLU).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from llm4top.forecasters.model.model_files import safe_config, weight_files

Floats = NDArray[np.float32]

MOST_BYTES = 64 * 1024 * 1024
"""A model is small up to this size of its weights; beyond, torch's threads repay their start."""
_ROWS = 64
"""Queries whose attention is computed together; no key behind their last is touched."""
_SETTINGS: dict[str, tuple[Any, ...]] = {
    "model_type": ("qwen3",),
    "architectures": (["Qwen3ForCausalLM"],),
    "hidden_act": ("silu",),
    "dtype": ("float32",),
    "attention_bias": (False,),
    "sliding_window": (None,),
    "use_sliding_window": (False,),
}
_SIZES = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings",
)  # fmt: skip
_WITHOUT_EFFECT = {
    "attention_dropout", "bos_token_id", "eos_token_id", "initializer_range", "layer_types",
    "max_window_layers", "pad_token_id", "rms_norm_eps", "rope_parameters", "tie_word_embeddings",
    "transformers_version", "use_cache",
}  # fmt: skip
"""Settings that change no hidden state, and those that ``_supports`` looks at one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A block's weights; rows of the matrices are outputs, as files have them."""

    before: Floats
    query_key_value: Floats
    query_key_norm: Floats
    out: Floats
    after: Floats
    gate_up: Floats
    down: Floats


class _Room:
    """Buffers for prompts of up to ``n`` tokens: what is allocated anew costs page faults."""

    def __init__(self, model: LightModel, n: int):
        heads, width = model.heads + model.groups, model.head_size
        self.x, self.y, self.sum = (np.empty((n, model.hidden_size), np.float32) for _ in range(3))
        self.attended = np.empty((n, model.heads * width), np.float32)
        self.projected = np.empty((n, (heads + model.groups) * width), np.float32)
        self.query_key, self.turned = (np.empty((n, heads, width), np.float32) for _ in range(2))
        self.scores = np.empty(model.heads * min(_ROWS, n) * n, np.float32)
        self.gate_up = np.empty((n, 2 * model.inner), np.float32)
        self.gated = np.empty((n, model.inner), np.float32)
        angles = np.arange(n, dtype=np.float32)[:, None] * model.frequencies
        self.cos, self.sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        self.future = np.triu(np.full((_ROWS, _ROWS), -np.inf, np.float32), 1)


@dataclass(frozen=True, eq=False)
class LightModel:
    """A small Qwen3, ready to compute on the CPU in float32. Read one with ``read_light_model``.

    Attributes:
        hidden_size, inner, heads, groups, head_size: h; the width inside the MLP; the number of
            query heads, and of the key heads that they share; the width of a head.
        vocabulary, context_length: How many tokens it knows, and takes in one prompt.
        bytes: The size of its weights.
        frequencies: Turns of the rotary positions, in radians a token: ``[head_size / 2]``.
    """

    hidden_size: int
    inner: int
    heads: int
    groups: int
    head_size: int
    vocabulary: int
    context_length: int
    bytes: int
    epsilon: np.float32
    frequencies: Floats
    embedding: Floats
    layers: tuple[_Layer, ...]
    norm: Floats

    def states(self, prompts: Sequence[Sequence[int]], layer: int) -> Iterator[Floats]:
        """The states ``[tokens, h]`` of each prompt; of the last layer, after the final norm.

        What is yielded is a buffer: read it before you ask for the next.

        Args:
            prompts: Token ids of one or more tokens each.
            layer: From 1 to the number of layers; none behind it is computed.
        """
        if not prompts:
            return
        room = _Room(self, max(map(len, prompts)))
        for ids in prompts:
            yield self._prompt_states(ids, layer, room)

    def _prompt_states(self, ids: Sequence[int], layer: int, room: _Room) -> Floats:
        n = len(ids)
        x, y = room.x[:n], room.y[:n]
        np.take(self.embedding, np.asarray(ids), axis=0, out=x)
        # exp(-gate) of a large gate is infinite, its inverse 0; of broken weights the logits tell.
        with np.errstate(all="ignore"):
            for block in self.layers[:layer]:
                x += self._attention(block, self._norm(x, block.before, y), room)
                x += self._mlp(block, self._norm(x, block.after, y), room)
            return x if layer < len(self.layers) else self._norm(x, self.norm, y)

    def _norm(self, x: Floats, weight: Floats, out: Floats) -> Floats:
        """Root-mean-square norm of the last axis (Zhang & Sennrich 2019)."""
        size = np.einsum("...i,...i->...", x, x)[..., None]
        size /= np.float32(x.shape[-1])
        size += self.epsilon
        np.divide(x, np.sqrt(size, out=size), out=out)
        out *= weight
        return out

    def _attention(self, block: _Layer, y: Floats, room: _Room) -> Floats:
        n, width, both = len(y), self.head_size, self.heads + self.groups
        projected = np.matmul(y, block.query_key_value.T, out=room.projected[:n])
        query_key = self._rotated(projected[:, : both * width], block, room)
        query = np.ascontiguousarray(query_key[:, : self.heads].transpose(1, 0, 2))
        query = query.reshape(self.groups, -1, n, width)
        key = np.ascontiguousarray(query_key[:, self.heads :].transpose(1, 2, 0))[:, None]
        value = projected[:, both * width :].reshape(n, self.groups, width)
        value = np.ascontiguousarray(value.transpose(1, 0, 2))[:, None]
        attended = room.attended[:n].reshape(n, self.groups, -1, width)
        for start in range(0, n, _ROWS):
            end = min(start + _ROWS, n)
            rows = end - start
            scores = room.scores[: self.heads * rows * end].reshape(self.groups, -1, rows, end)
            np.matmul(query[:, :, start:end], key[..., :end], out=scores)
            scores[..., start:] += room.future[:rows, :rows]
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            found = scores @ value[:, :, :end]
            found /= scores.sum(axis=-1, keepdims=True)
            attended[start:end] = found.transpose(2, 0, 1, 3)
        return np.matmul(room.attended[:n], block.out.T, out=room.sum[:n])

    def _rotated(self, projected: Floats, block: _Layer, room: _Room) -> Floats:
        """Queries and keys, normalised and turned by their positions: ``[n, heads, head_size]``."""
        n, half = len(projected), self.head_size // 2
        found, turned = room.query_key[:n], room.turned[:n]
        self._norm(projected.reshape(found.shape), block.query_key_norm, found)
        cos, sin = room.cos[:n], room.sin[:n]
        np.multiply(found[..., half:], -sin, out=turned[..., :half])
        np.multiply(found[..., :half], sin, out=turned[..., half:])
        found[..., :half] *= cos
        found[..., half:] *= cos
        found += turned
        return found

    def _mlp(self, block: _Layer, y: Floats, room: _Room) -> Floats:
        n, inner = len(y), self.inner
        both = np.matmul(y, block.gate_up.T, out=room.gate_up[:n])
        gate, gated = both[:, :inner], room.gated[:n]
        np.exp(np.negative(gate, out=gated), out=gated)
        gated += 1
        np.divide(gate, gated, out=gated)
        gated *= both[:, inner:]
        return np.matmul(gated, block.down.T, out=room.sum[:n])

    @classmethod
    def of(cls, config: dict[str, Any], weights: dict[str, Floats]) -> Self:
        """The model of a configuration that ``_supports`` and of the weights ``_shapes`` names."""
        heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
        width, theta = config["head_dim"], config["rope_parameters"]["rope_theta"]
        exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
        return cls(
            hidden_size=config["hidden_size"],
            inner=config["intermediate_size"],
            heads=heads,
            groups=groups,
            head_size=width,
            vocabulary=config["vocab_size"],
            context_length=config["max_position_embeddings"],
            bytes=sum(array.nbytes for array in weights.values()),
            epsilon=np.float32(config["rms_norm_eps"]),
            frequencies=(1.0 / np.float32(theta) ** exponents).astype(np.float32),
            embedding=weights["model.embed_tokens.weight"],
            layers=tuple(
                _layer(weights, f"model.layers.{i}.", heads, groups)
                for i in range(config["num_hidden_layers"])
            ),
            norm=weights["model.norm.weight"],
        )


def read_light_model(folder: Path) -> LightModel | None:
    """The model in a folder, where it is small and exactly of the kind computed here; else None.

    Raises ``UnsafeModelError`` and ``ModelError`` as ``safe_config`` and ``weight_files`` do.
    """
    config, files = safe_config(folder), weight_files(folder)
    if not _supports(config) or len(files) != 1 or files[0].stat().st_size > MOST_BYTES:
        return None
    from safetensors.numpy import load_file

    try:
        weights = load_file(files[0])
    except Exception:
        # The library raises many kinds for a damaged file; transformers' way says what is wrong.
        return None
    if not config.get("tie_word_embeddings"):
        weights.pop("lm_head.weight", None)
    found = {name: array.shape for name, array in weights.items()}
    if found != _shapes(config) or any(a.dtype != np.float32 for a in weights.values()):
        return None
    return LightModel.of(config, weights)


def _supports(config: dict[str, Any]) -> bool:
    """Whether each setting is known and has a value that is computed here."""
    rope = config.get("rope_parameters")
    return (
        set(config) <= {*_SETTINGS, *_SIZES, *_WITHOUT_EFFECT}
        and all(config.get(name) in values for name, values in _SETTINGS.items())
        and all(type(config.get(name)) is int and config[name] > 0 for name in _SIZES)
        and config["num_attention_heads"] % config["num_key_value_heads"] == 0
        and config["head_dim"] % 2 == 0
        and isinstance(config.get("rms_norm_eps"), float)
        and config.get("layer_types") in (None, ["full_attention"] * config["num_hidden_layers"])
        and isinstance(rope, dict)
        and set(rope) == {"rope_type", "rope_theta"}
        and rope["rope_type"] == "default"
        and isinstance(rope["rope_theta"], int | float)
        and rope["rope_theta"] > 0
    )


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The weights that a model of that configuration has, but its output embedding."""
    h, inner, width = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, key = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    block: dict[str, tuple[int, ...]] = {
        "input_layernorm": (h,),
        "post_attention_layernorm": (h,),
        "self_attn.q_proj": (query, h),
        "self_attn.k_proj": (key, h),
        "self_attn.v_proj": (key, h),
        "self_attn.o_proj": (h, query),
        "self_attn.q_norm": (width,),
        "self_attn.k_norm": (width,),
        "mlp.gate_proj": (inner, h),
        "mlp.up_proj": (inner, h),
        "mlp.down_proj": (h, inner),
    }
    return {
        "model.embed_tokens.weight": (config["vocab_size"], h),
        "model.norm.weight": (h,),
        **{
            f"model.layers.{i}.{name}.weight": shape
            for i in range(config["num_hidden_layers"])
            for name, shape in block.items()
        },
    }


def _layer(weights: dict[str, Floats], place: str, heads: int, groups: int) -> _Layer:
    def of(name: str) -> Floats:
        return weights[f"{place}{name}.weight"]

    attention, width = [of(f"self_attn.{name}_proj") for name in "qkv"], len(of("self_attn.q_norm"))
    # Scores are divided by the root of the width: the queries' norm does it.
    query = of("self_attn.q_norm") * np.float32(width**-0.5)
    return _Layer(
        before=of("input_layernorm"),
        query_key_value=np.concatenate(attention),
        query_key_norm=np.concatenate(
            [np.tile(query, (heads, 1)), np.tile(of("self_attn.k_norm"), (groups, 1))]
        ),
        out=of("self_attn.o_proj"),
        after=of("post_attention_layernorm"),
        gate_up=np.concatenate([of("mlp.gate_proj"), of("mlp.up_proj")]),
        down=of("mlp.down_proj"),
    )
