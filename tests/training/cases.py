"""What ``test_processes`` computes in one process and in two: fine-tunings of a few rows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

CASES: dict[str, dict[str, Any]] = {
    "lora": {},
    "lora-sharded": {"shard": "frozen"},
    "full": {"tuning": "full"},
    "full-sharded": {"tuning": "full", "shard": "trained"},
    "4bit": {"quantize": "4bit"},
}


def rows(count: int, seed: int) -> tuple[list[list[int]], list[int]]:
    """Prompts of many lengths, and targets."""
    rng = random.Random(seed)
    prompts = [[rng.randrange(3, 300) for _ in range(rng.randint(1, 40))] for _ in range(count)]
    return prompts, [rng.randrange(2) for _ in range(count)]


def compute(name: str, model: Path, folder: Path, batch_size: int) -> None:
    """Fine-tune as the case says: gradients of the first step, trained weights and log-loss.

    With the share of the base model's weights that this process holds.
    """
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    from llm4top.forecasters.finetuning.finetune import finetune
    from llm4top.forecasters.finetuning.lora import AnswerScorer, trained_weights
    from llm4top.forecasters.finetuning.settings import finetune_settings
    from llm4top.forecasters.model.base_model import load_base
    from llm4top.forecasters.model.sharding import gathered
    from llm4top.processes import is_main_process

    case = dict(CASES[name])
    loading = {key: case.pop(key) for key in ("shard", "quantize") if key in case}
    base = load_base(model, device="cpu", **loading)
    held = [(p.to_local() if "shard" in loading else p).numel() for p in base.model.parameters()]
    share = sum(held) / sum(p.numel() for p in base.model.parameters())
    # Ten rows of 16 that make a step: the last batch is short, and one process has none of it.
    prompts, targets = rows(10, seed=0)
    # One process evaluates nine of them in two batches of at most eight, the other eight in one.
    eval_prompts, eval_targets = rows(17, seed=1)
    seen: list[dict[str, torch.Tensor]] = []

    def keep(optimiser: Any, *_: Any) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        seen.append(gathered({f"gradient.{i}": p.grad for i, p in enumerate(parameters)}))

    handle = register_optimizer_step_pre_hook(keep)
    settings = finetune_settings(
        **case,
        lora_rank=4,
        lora_dropout=0.0,
        learning_rate=1e-2,
        max_grad_norm=1e9,
        batch_size=batch_size,
        accumulation=2,
        epochs=3,
        precision="fp32",
        gradient_checkpointing=name.endswith("sharded"),
        class_weights=(1.0, 3.0),
    )
    done = finetune(
        base,
        prompts,
        targets,
        (5, 9),
        settings,
        sample_weight=[1 + i % 3 for i in range(len(prompts))],
        eval_prompts=eval_prompts,
        eval_targets=eval_targets,
        output_dir=folder / name,
    )
    handle.remove()
    weights = trained_weights(AnswerScorer(done.model, ()))
    if is_main_process():
        # A model that is whole came out of its wrapper, which the shards' names are without too.
        save_file({**seen[0], **weights}, folder / f"{name}.safetensors")
        losses = [line["eval_log_loss"] for line in done.history if "eval_log_loss" in line]
        found = {"losses": losses, "share": share}
        (folder / f"{name}.json").write_text(json.dumps(found))
