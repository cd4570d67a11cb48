"""Scoring and LoRA training of a large model on a GPU: tokens/s, share of the peak, memory.

Qwen3-8B's shape at random weights, in bfloat16: nothing is downloaded. Each length is measured on
full batches of prompts of 1, 2 and 4 thousand tokens. The peak is that of a dense bfloat16 product,
measured here. Takes under 12 minutes on one GPU with 80 GB (`benchmarks/gpu.sh` installs and runs
it); exits with 1 where training stays under half of the peak.

    python benchmarks/gpu.py [--layers 36] [--lengths 1024 2048 4096]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from llm4top.forecasters.finetuning.lora import (
    AnswerScorer,
    add_lora,
    set_activation_checkpointing,
)
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
    print(f"{name}, torch {torch.__version__}, {body / 1e9:.2f} G parameters in the layers")
    print(f"dense bfloat16 product: {peak / 1e12:.3g} TFLOP/s\n")
    print("| work | tokens | tokens/s | share of the product's rate | peak memory, GB |")
    print("|---|---:|---:|---:|---:|")
    measure = Measure(device, body, peak)
    for length in options.lengths:
        batch = max(options.batch_tokens // length, 1)
        ids = torch.randint(0, VOCABULARY, (batch, length), device=device)
        lengths = torch.full((batch,), length)
        plain_and_ours(model, ids, lengths, measure)
    shares = train(model, options, device, measure)
    return int(device.type == "cuda" and max(shares) < LEAST_SHARE)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    parser.add_argument("--train-tokens", type=int, default=8_192)
    return parser.parse_args()


def make_model(options: argparse.Namespace) -> Any:
    """Qwen3-8B as its config.json says, but for what the options change."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=options.hidden,
        intermediate_size=3 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 128,
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
        self, name: str, tokens: int, length: int, passes: int, work: Callable[[], Any]
    ) -> float:
        """``passes`` of two operations a parameter: one forward, and one on the way back."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        took = seconds(work, self.device)
        share = 2 * self.body * tokens * passes / took / self.peak
        held = 0.0
        if self.device.type == "cuda":
            held = torch.cuda.max_memory_allocated(self.device) / 1e9
        shape = f"{tokens // length} x {length}"
        print(f"| {name} | {shape} | {tokens / took:.0f} | {share:.2f} | {held:.1f} |", flush=True)
        return share


def plain_and_ours(model: Any, ids: Any, lengths: Any, measure: Measure) -> None:
    batch, length = ids.shape
    with torch.inference_mode():
        # All logits of a whole batch would not fit: one prompt is enough to compare by.
        measure(
            "scoring, all logits",
            length,
            length,
            1,
            lambda: model(input_ids=ids[:1], use_cache=False).logits[:, -1, list(ANSWERS)],
        )
        for name, switch in (("padded", drop_packing), ("LLM4TOP", use_packing)):
            switch(model)
            measure(
                f"scoring, {name}",
                batch * length,
                length,
                1,
                lambda: answer_logits(model, ids, lengths, ANSWERS),
            )


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

        for again in (False, True):
            set_activation_checkpointing(adapted, again)
            name = "training, computed again" if again else "training"
            try:
                shares.append(measure(name, batch * length, length, 2, step))
            except torch.OutOfMemoryError:
                print(f"| {name} | {batch} x {length} | out of memory | | |", flush=True)
                torch.cuda.empty_cache()
    return shares or [0.0]


if __name__ == "__main__":
    sys.exit(main())
