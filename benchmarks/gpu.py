"""Scoring and LoRA training of a large model on a GPU: tokens/s, share of the peak, memory.

Qwen3-8B's shape at random weights, in bfloat16: nothing is downloaded. Full batches of prompts of
1, 2 and 4 thousand tokens, and one of mixed lengths; beside LLM4TOP's pass the padded one that
transformers makes of the same prompts, and how far the probabilities of two answers differ. The
peak is that of a dense bfloat16 product, measured here. Takes under 12 minutes on a GPU with 80 GB
(`benchmarks/gpu.sh` runs it); exits with 1 where training stays under half of the peak.

    python benchmarks/gpu.py [--layers 36] [--lengths 1024 2048 4096]
    python benchmarks/gpu.py --dry    # all of it on a CPU, with a small model
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from torch.nn import functional

from llm4top.forecasters.finetuning.lora import (
    AnswerScorer,
    add_lora,
    set_activation_checkpointing,
)
from llm4top.forecasters.model import packing
from llm4top.forecasters.model.answer_head import answer_logits
from llm4top.forecasters.model.packing import drop_packing, use_packing

ANSWERS = (2753, 9454)
LEAST_SHARE = 0.5
VOCABULARY = 151_936


def main() -> int:
    options = parse()
    device = torch.device(options.device)
    model = make_model(options).to(device)
    body = sum(p.numel() for n, p in model.named_parameters() if ".layers." in n)
    peak = product_rate(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, transformers {transformers.__version__}, ", end="")
    print(f"{body / 1e9:.3g} G parameters in the layers")
    print(f"dense bfloat16 product: {peak / 1e12:.3g} TFLOP/s")
    print(f"attention of LLM4TOP's pass: {way_of_attention(model, device)}\n")
    print("| work | prompts | tokens/s | share of the product's rate | peak memory, GB |")
    print("|---|---:|---:|---:|---:|")
    measure = Measure(device, body, peak)
    differences = []
    for length in options.lengths:
        lengths = torch.full((max(options.batch_tokens // length, 1),), length)
        all_logits(model, length, device, measure)
        differences.append(padded_and_ours(model, lengths, device, measure))
    longest = options.lengths[1]
    mixed = torch.linspace(longest // 8, longest, max(options.batch_tokens // longest, 2)).long()
    differences.append(padded_and_ours(model, mixed, device, measure))
    shares = train(model, options, device, measure)
    print(f"\nProbabilities differ from the padded pass by at most {max(differences):.1e}.")
    return int(device.type == "cuda" and max(shares) < LEAST_SHARE)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    parser.add_argument("--train-tokens", type=int, default=8_192)
    parser.add_argument("--dry", action="store_true", help="small, on the CPU")
    small = {"device": "cpu", "layers": 2, "hidden": 256, "lengths": [64, 128, 256]}
    if parser.parse_known_args()[0].dry:
        parser.set_defaults(**small, batch_tokens=512, train_tokens=256)
    options = parser.parse_args()
    if len(options.lengths) < 2:
        parser.error("--lengths: two or more")
    return options


def way_of_attention(model: Any, device: torch.device) -> str:
    config = model.config
    heads = (config.num_attention_heads, config.num_key_value_heads)
    states = (
        torch.empty(1, n, 1, config.head_dim, device=device, dtype=torch.bfloat16) for n in heads
    )
    if device.type == "cuda" and packing._one_call_works(*states):
        return "one call of torch's variable-length attention"
    return "prompt by prompt"


def make_model(options: argparse.Namespace) -> Any:
    """Qwen3-8B as its config.json says, but for what the options change."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=options.hidden,
        intermediate_size=3 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=max(options.hidden // 128, 1),
        num_key_value_heads=max(options.hidden // 512, 1),
        head_dim=128,
        tie_word_embeddings=False,
        max_position_embeddings=40_960,
        dtype=torch.bfloat16,
    )
    torch.manual_seed(0)
    with torch.device(options.device):
        return Qwen3ForCausalLM(config).to(torch.bfloat16).eval()


def product_rate(device: torch.device) -> float:
    size = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds(lambda: a @ b, device, 10)


def seconds(work: Callable[[], Any], device: torch.device, tries: int = 3) -> float:
    """The best of some tries, after one that warms up."""
    work()
    took = []
    for _ in range(tries):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        took.append(time.perf_counter() - started)
    return min(took)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Measure:
    """Prints a line for a piece of work; gives its share of the product's rate."""

    def __init__(self, device: torch.device, body: int, peak: float):
        self.device, self.body, self.peak = device, body, peak

    def __call__(
        self, name: str, lengths: torch.Tensor, passes: int, work: Callable[[], Any]
    ) -> float:
        """``passes`` of two operations a parameter: one forward, and one on the way back."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        took = seconds(work, self.device)
        tokens = int(lengths.sum())
        share = 2 * self.body * tokens * passes / took / self.peak
        held = 0.0
        if self.device.type == "cuda":
            held = torch.cuda.max_memory_allocated(self.device) / 1e9
        least, most = int(lengths.min()), int(lengths.max())
        shape = f"{len(lengths)} x {most if least == most else f'{least} to {most}'}"
        print(f"| {name} | {shape} | {tokens / took:.0f} | {share:.2f} | {held:.1f} |", flush=True)
        return share


def all_logits(model: Any, length: int, device: torch.device, measure: Measure) -> None:
    # Those of a whole batch would not fit: one prompt is enough to compare by.
    ids = torch.randint(0, VOCABULARY, (1, length), device=device)
    with torch.inference_mode():
        measure(
            "scoring, all logits",
            torch.tensor([length]),
            1,
            lambda: model(input_ids=ids, use_cache=False).logits[:, -1, list(ANSWERS)],
        )


def padded_and_ours(
    model: Any, lengths: torch.Tensor, device: torch.device, measure: Measure
) -> float:
    """Prints both; gives how far the probabilities of two answers differ at most."""
    ids = torch.randint(0, VOCABULARY, (len(lengths), int(lengths.max())), device=device)
    found = []
    with torch.inference_mode():
        for name, switch in (("padded", drop_packing), ("LLM4TOP", use_packing)):
            switch(model)
            work = partial(answer_logits, model, ids, lengths, ANSWERS)
            measure(f"scoring, {name}", lengths, 1, work)
            found.append(work().double().softmax(1))
    return float((found[0] - found[1]).abs().max())


def train(
    model: Any, options: argparse.Namespace, device: torch.device, measure: Measure
) -> list[float]:
    adapted = add_lora(model, rank=16, alpha=32, dropout=0.05).train()
    scorer = AnswerScorer(adapted, ANSWERS, autocast=True)
    optimiser = torch.optim.AdamW(list(scorer.trainable().values()), lr=1e-4)
    shares = []
    for length in options.lengths:
        batch = max(options.train_tokens // length, 1)
        ids = torch.randint(0, VOCABULARY, (batch, length), device=device)
        lengths = torch.full((batch,), length)
        targets = torch.arange(batch, device=device) % 2

        def step(ids: Any = ids, lengths: Any = lengths, targets: Any = targets) -> None:
            functional.cross_entropy(scorer(ids, lengths), targets).backward()
            optimiser.step()
            optimiser.zero_grad()

        for name, switch, again in (
            ("padded", drop_packing, False),
            ("LLM4TOP", use_packing, False),
            ("LLM4TOP, activations computed again", use_packing, True),
        ):
            switch(model)
            set_activation_checkpointing(adapted, again)
            try:
                share = measure(f"training, {name}", lengths, 2, step)
            except torch.OutOfMemoryError:
                print(f"| training, {name} | {batch} x {length} | out of memory | | |", flush=True)
                optimiser.zero_grad()
                torch.cuda.empty_cache()
            else:
                shares += [share] if switch is use_packing else []
    return shares or [0.0]


if __name__ == "__main__":
    sys.exit(main())
