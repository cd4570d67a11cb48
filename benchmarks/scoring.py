"""Scoring through the answer head against the same model called the plain way.

The plain way: one prompt at a time, logits of the whole vocabulary at every position. The model is
a random Qwen3 (hidden 512, 8 layers) with the real vocabulary of 151,936 rows: the ratio is about
the mechanism, not about skill. Memory is compared at a batch of 8 x 1,024 tokens, each way in a
process of its own. Exits with 1 where a target is missed.

    python benchmarks/scoring.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import torch
from torch import Tensor

from llm4top.forecasters.model.answer_head import answer_logits
from llm4top.forecasters.model.device import choose_device
from llm4top.forecasters.model.packing import use_packing
from llm4top.forecasters.model.scoring import default_budget, score_prompts

ANSWERS = (2753, 9454)
"""Qwen3's tokens for No and Yes."""
LEAST_SPEED, LEAST_MEMORY = 3.5, 3.0
BATCH, LENGTH = 8, 1024


def main() -> int:
    options = parse()
    if options.memory_of:
        print(json.dumps(memory_of(options)))
        return 0
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, ", end=""
    )
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    speed = compare_speed(options)
    memory = compare_memory(options)
    return 0 if speed >= LEAST_SPEED and memory >= LEAST_MEMORY else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-of", choices=("plain", "ours"), help=argparse.SUPPRESS)
    return parser.parse_args()


def make_model(options: argparse.Namespace, vocabulary: int) -> Any:
    """A random Qwen3 of ``options.hidden`` and ``options.layers``, ready to score."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=options.hidden,
        intermediate_size=3 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=max(options.hidden // 64, 1),
        num_key_value_heads=max(options.hidden // 128, 1),
        head_dim=64,
        tie_word_embeddings=True,
        max_position_embeddings=4096,
    )
    return Qwen3ForCausalLM(config).eval()


def make_prompts(options: argparse.Namespace) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(500, 565, (options.prompts,), generator=generator).tolist()
    return [
        torch.randint(0, options.vocabulary, (n,), generator=generator).tolist() for n in lengths
    ]


@torch.inference_mode()
def plain(model: Any, prompts: list[list[int]]) -> Tensor:
    rows = [model(input_ids=torch.tensor([ids])).logits[0, -1, list(ANSWERS)] for ids in prompts]
    return torch.stack(rows)


def compare_speed(options: argparse.Namespace) -> float:
    model, prompts = make_model(options, options.vocabulary), make_prompts(options)
    packed = make_model(options, options.vocabulary)
    use_packing(packed)
    budget = default_budget(model, choose_device("cpu"))
    tokens = sum(map(len, prompts))
    ways: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain(model, prompts),
        "ours": lambda: score_prompts(packed, prompts, ANSWERS, budget=budget),
    }
    seconds = dict.fromkeys(ways, float("inf"))
    logits = {name: way() for name, way in ways.items()}  # the first calls warm up
    for _ in range(options.repeats):
        # In turn, so that both meet the same other load on the machine.
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    for name, best in seconds.items():
        print(f"{name:>6}: {tokens / best:8.0f} tokens/s")
    ratio = seconds["plain"] / seconds["ours"]
    difference = (logits["plain"] - logits["ours"]).abs().max()
    print(f" ratio: {ratio:8.2f} (at least {LEAST_SPEED})   logits differ by {difference:.0e}")
    return ratio


def compare_memory(options: argparse.Namespace) -> float:
    sizes = ["--hidden", options.hidden, "--layers", options.layers]
    sizes += ["--vocabulary", options.vocabulary]
    peaks = {}
    for way in ("plain", "ours"):
        command = [sys.executable, __file__, *map(str, sizes), "--memory-of", way]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[way] = json.loads(output.splitlines()[-1])["bytes"]
        print(f"{way:>6}: {peaks[way] / 1e6:8.0f} MB above the model, {BATCH} x {LENGTH} tokens")
    ratio: float = peaks["plain"] / peaks["ours"]
    print(f" ratio: {ratio:8.2f} (at least {LEAST_MEMORY})")
    return ratio


@torch.inference_mode()
def memory_of(options: argparse.Namespace) -> dict[str, int]:
    """Peak memory of one batch in this process, less what the process held before it."""
    model = make_model(options, options.vocabulary)
    ids = torch.randint(0, options.vocabulary, (BATCH, LENGTH))
    model(input_ids=ids[:1, :8], logits_to_keep=1)  # buffers that stay are not the batch's
    before = psutil.Process().memory_info().rss
    if options.memory_of == "plain":
        model(input_ids=ids, use_cache=False).logits[:, -1, list(ANSWERS)].tolist()
    else:
        use_packing(model)
        answer_logits(model, ids, torch.full((BATCH,), LENGTH), ANSWERS).tolist()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return {"bytes": peak * unit - before}


if __name__ == "__main__":
    sys.exit(main())
