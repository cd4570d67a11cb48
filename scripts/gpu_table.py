"""The table of GPU memory in docs/scale.md: ``python scripts/gpu_table.py`` prints it.

Every figure is what ``llm4top train --dry-run --gpus NxGB`` says, for the preset standard.
"""

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from llm4top.forecasters.finetuning.activations import ModelShape, model_shape
from llm4top.training.config import make_config
from llm4top.training.memory import Place, estimate_for

SIZES = (24, 48, 80, 141)
"""GB of the GPUs."""
COUNTS = (1, 2, 8)
MODELS: dict[str, dict[str, int]] = {
    "Qwen3-8B": {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
    },
    "Qwen3-32B": {
        "hidden_size": 5120,
        "intermediate_size": 25600,
        "num_hidden_layers": 64,
        "num_attention_heads": 64,
    },
}
"""What their ``config.json`` say; 8 key-value heads of 128, 151 936 tokens, nothing tied."""
WAYS: dict[str, dict[str, Any]] = {
    "LoRA, 4-bit base": {"quantize": "4bit"},
    "LoRA": {},
    "LoRA, `--shard`": {"shard": True},
    "full": {"tuning": "full"},
    "full, `--shard`": {"tuning": "full", "shard": True},
}


@cache
def shape_of(model: str) -> ModelShape:
    """The sizes of a model of ``MODELS``, measured without weights."""
    from transformers import Qwen3Config

    with tempfile.TemporaryDirectory() as folder:
        config = Qwen3Config(
            **MODELS[model],
            num_key_value_heads=8,
            head_dim=128,
            vocab_size=151936,
            tie_word_embeddings=False,
        )
        config.save_pretrained(folder)
        return model_shape(Path(folder))


def rows(model: str, chosen: dict[str, Any]) -> Iterator[tuple[list[int], str]]:
    """Numbers of GPUs, and the figures that hold for each of them."""
    shape = shape_of(model)
    settings = {"data": "-", "base": "-", "out": "-", "gradient_checkpointing": True}
    config = make_config(None, {**settings, **chosen})
    found: dict[str, list[int]] = {}
    for count in COUNTS[1:] if config.shard else COUNTS:
        places = [Place.of_gpus(f"{count}x{size}", config) for size in SIZES]
        estimate, _ = estimate_for(shape, config, places[0])
        parts = [estimate.weights, estimate.trained, estimate.activations, estimate.head_room]
        figures = [f"{size / 1e9:.1f}" for size in (*parts, estimate.training)]
        figures.append(f"{estimate.whole / 1e9:.1f}" if estimate.whole else "")
        fits = [str(p.free // 10**9) for p in places if estimate.total <= p.free]
        found.setdefault(" | ".join([*figures, ", ".join(fits) or "none"]), []).append(count)
    yield from ((counts, figures) for figures, counts in found.items())


def lines() -> Iterator[str]:
    """The lines of the table, in Markdown."""
    columns = "weights | trained | activations | reserve | training | afterwards | fits"
    yield f"| model | what is trained | GPUs | {columns} |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for model in MODELS:
        for way, chosen in WAYS.items():
            for counts, figures in rows(model, chosen):
                yield f"| {model} | {way} | {', '.join(map(str, counts))} | {figures} |"


if __name__ == "__main__":
    print("\n".join(lines()))
