"""What number types and fewer bits do to a language model's forecasts, speed and memory.

The same labelled trials, forecast by the same model loaded in each way, against float32: how far
the probability of each trial's first label moves, what becomes of Brier score and log-loss (with
the 95 % interval of the difference in Brier score over 2 000 paired bootstrap samples of trials),
and how many tokens a second of processor time it reads (by the clock on a GPU). Models are loaded
one after the other, in as many rounds as asked for; the best round counts.

    python benchmarks/number_types.py DATASET MODEL [--ways float32 bfloat16 8bit 4bit]

DATASET is a folder that `llm4top ingest` made, whose validation rows are forecast; MODEL is a
bundle or a base model, as for `llm4top forecast --model`. 8bit and 4bit need bitsandbytes.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from typing import Any

import numpy as np
import torch

from llm4top.data.dataset import load_dataset
from llm4top.evaluation.metrics.counts import log_losses, squared_errors
from llm4top.forecasters.forecaster import release_memory
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.model.device import choose_device

WAYS: dict[str, dict[str, Any]] = {
    "float32": {"dtype": "float32", "quantize": None},
    "bfloat16": {"dtype": "bfloat16", "quantize": None},
    "8bit": {"quantize": "8bit"},
    "4bit": {"quantize": "4bit"},
}
DRAWS = 2000


def main() -> None:
    options = parse()
    device = choose_device(options.device)
    data = load_dataset(options.dataset).select("valid")
    rows = np.random.default_rng(0).permutation(len(data))[: options.trials]
    data = data.take(sorted(int(row) for row in rows))
    y = np.array([data.task.labels.index(label) for label in data.labels])
    found = {}
    for _ in range(options.rounds):
        for way in dict.fromkeys(["float32", *options.ways]):
            found[way] = best(found.get(way), forecast(options, way, device.torch, data.trials))
    print(
        f"{platform.machine()}, {device.reason} {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, load {os.getloadavg()[0]:.1f}, {len(y)} trials, {options.model}\n"
    )
    shares = np.full((len(y), len(data.task.labels)), np.bincount(y, minlength=2) / len(y))
    print(f"Brier score of the shares of these labels, for all alike: {brier(shares, y):.4f}\n")
    print("| numbers | weights, MB | tokens/s | times float32 | ", end="")
    print("a probability moves by at most | in the mean | Brier score | its change | log-loss |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for way, one in found.items():
        print(line(way, one, found["float32"], y))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("model")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args()


def forecast(options: argparse.Namespace, way: str, device: str, trials: Any) -> dict[str, Any]:
    """Probabilities of the trials, the speed and the size of the weights."""
    forecaster = load_forecaster(options.model, device=device, **WAYS[way])
    language = forecaster.language
    if language is None:
        raise SystemExit(f"{options.model} has no language model")
    scorer = language.scorer
    prompts = scorer.prompts(trials)
    scorer.logits(prompts[:2])
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    started = clock()
    logits = scorer.logits(prompts)
    speed = sum(len(prompt.token_ids) for prompt in prompts) / (clock() - started)
    # A blend's other parts are the same in every way: the language model alone is compared.
    alone = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = alone / alone.sum(axis=1, keepdims=True)
    if forecaster.kind == "language":
        p = forecaster.probabilities(logits, trials)
    out = {"p": p, "speed": speed, "bytes": scorer.weight_bytes}
    del forecaster, language, scorer
    release_memory()
    return out


def best(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    return now if before is None or now["speed"] > before["speed"] else before


def brier(p: Any, y: Any) -> float:
    return float(squared_errors(p, y).mean())


def line(way: str, one: dict[str, Any], whole: dict[str, Any], y: Any) -> str:
    moved = np.abs(one["p"] - whole["p"])[:, 0]
    change = squared_errors(one["p"], y) - squared_errors(whole["p"], y)
    drawn = np.random.default_rng(0).integers(0, len(y), (DRAWS, len(y)))
    low, high = np.quantile(change[drawn].mean(axis=1), (0.025, 0.975))
    return (
        f"| {way} | {one['bytes'] / 1e6:.1f} | {one['speed']:.0f} "
        f"| {one['speed'] / whole['speed']:.2f} | {moved.max():.1e} | {moved.mean():.1e} "
        f"| {brier(one['p'], y):.4f} | {change.mean():+.1e} ({low:+.1e} to {high:+.1e}) "
        f"| {log_losses(one['p'], y).mean():.4f} |"
    )


if __name__ == "__main__":
    main()
