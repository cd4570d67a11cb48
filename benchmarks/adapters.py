"""Two bundles over one base model: memory and time together and apart; adapters live and merged.

Two LoRA adapters (rank 16) over a random Qwen3 of the hidden size and layers asked for. Apart: each
is loaded with a base of its own. Together: the base is loaded once and switched between the two, as
bundles are. Both in processes of their own; times are processor time. Live and merged are measured
in one process, in turn.

    python benchmarks/adapters.py [--hidden 1024] [--layers 8]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import torch

from llm4top.forecasters.finetuning.lora import add_lora
from llm4top.forecasters.model.adapter import load_adapter
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.scoring import score_prompts
from llm4top.forecasters.model.shared_base import shared_base
from llm4top.testing import make_tiny_model

ANSWERS, LENGTH, PROMPTS = (1, 2), 500, 8


def main() -> None:
    options = parse()
    if options.child:
        print(json.dumps(child(options.child, Path(options.folder))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(folder, options)
        rows = {}
        for way in ("apart", "together"):
            command = [sys.executable, __file__, "--child", way, "--folder", scratch]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows[way] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
            f"load {os.getloadavg()[0]:.1f}, hidden {options.hidden}, {options.layers} layers\n"
        )
        print("| two bundles | memory, MB | to load, s |\n|---|---:|---:|")
        for way, row in rows.items():
            print(f"| {way} | {row['mb']:.0f} | {row['load']:.2f} |")
        apart, together = (torch.tensor(rows[way]["logits"]) for way in rows)
        print(f"\nLogits differ by {(apart - together).abs().max():.0e}. ", end="")
        print(f"A switch takes {rows['together']['switch'] * 1e3:.1f} ms.\n")
        live_and_merged(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--child", choices=("apart", "together"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def make(folder: Path, options: argparse.Namespace) -> None:
    """The base model and two adapters of different random weights."""
    make_tiny_model(folder / "base", hidden=options.hidden, layers=options.layers)
    model = add_lora(load_base(folder / "base", device="cpu").model, rank=16, alpha=32, dropout=0.0)
    for name in ("one", "two"):
        for _, weight in ((n, w) for n, w in model.named_parameters() if "lora_B" in n):
            torch.nn.init.normal_(weight, std=0.02)
        model.save_pretrained(folder / name)


def child(way: str, folder: Path) -> dict[str, Any]:
    before = psutil.Process().memory_info().rss
    started = time.process_time()
    models: list[tuple[Any, Any]] = []
    for name in ("one", "two"):
        if way == "together":
            how: Any = {"device": "cpu", "dtype": "auto", "quantize": None}
            adapter = shared_base(folder / "base", "", **how).add(folder / name)
            models.append((adapter, adapter.shared))
        else:
            base = load_base(folder / "base", device="cpu")
            models.append((None, load_adapter(base, folder / name)))
    loaded = time.process_time() - started
    gc.collect()
    held = psutil.Process().memory_info().rss - before

    logits = []
    for adapter, model in models:
        with nullcontext() if adapter is None else adapter.at_work():
            shown = model if adapter is None else model.model
            logits.append(score_prompts(shown, prompts()[:1], ANSWERS, budget=2048).tolist())
    row = {"mb": held / 1e6, "load": loaded, "logits": logits}
    if way == "together":
        row["switch"] = least(lambda: [switch(adapter) for adapter, _ in models]) / len(models)
    return row


def switch(adapter: Any) -> None:
    with adapter.at_work():
        pass


def prompts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (PROMPTS, LENGTH), generator=generator).tolist()


def least(work: Callable[[], Any], tries: int = 3) -> float:
    took = []
    for _ in range(tries):
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return min(took)


def live_and_merged(folder: Path) -> None:
    live = load_adapter(load_base(folder / "base", device="cpu"), folder / "one")
    merged = load_adapter(load_base(folder / "base", device="cpu"), folder / "one")
    merged = merged.merge_and_unload()
    ways = {"live": live, "merged": merged}
    best, logits = dict.fromkeys(ways, float("inf")), {}
    for _ in range(3):
        for name, model in ways.items():
            started = time.process_time()
            logits[name] = score_prompts(model, prompts(), ANSWERS, budget=2048)
            best[name] = min(best[name], time.process_time() - started)
    print("| adapter | tokens/s | times live |\n|---|---:|---:|")
    for name, took in best.items():
        print(f"| {name} | {PROMPTS * LENGTH / took:.0f} | {best['live'] / took:.2f} |")
    print(f"\nLogits differ by {(logits['live'] - logits['merged']).abs().max():.0e}.")


if __name__ == "__main__":
    main()
