"""Scoring and training beside the peers: one command, one table.

    python -m benchmarks --peers FOLDER      (make bench)

The model is a random Qwen3 (hidden 512, 8 layers) with the real vocabulary of 151,936 rows: the
ratios are about the mechanisms, not about skill. Every way reads the same tokens with the same
weights, in a process of its own, warm, and all take turns, so that a busy machine slows all alike.
The peers live in an environment in FOLDER, which the first run makes (about fifteen minutes; a
peer that does not install is listed with its reason). Exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).resolve().parent / "peers"
sys.path.insert(0, str(WORKERS))

from environment import make_environment, python_of  # noqa: E402

VOCABULARY = 151_936
ANSWERS = [2753, 9454]
"""Qwen3's tokens for No and Yes."""
OURS = "LLM4TOP"
SCORING = {
    OURS: ("ours", "score_ours.py"),
    "transformers, all logits, one prompt at a time": ("peers", "score_transformers.py", "plain"),
    "transformers, last logits, batches of 8": ("peers", "score_transformers.py", "kept"),
    "AutoModelForSequenceClassification, batches of 8": (
        "peers", "score_transformers.py", "sequence",
    ),
    "llama.cpp, answers' logits": ("peers", "score_llama_cpp.py"),
    "transformers, generate and parse": ("peers", "score_transformers.py", "generate"),
}  # fmt: skip
TRAINING = {
    OURS: ("ours", "train_ours.py"),
    "TRL SFTTrainer": ("peers", "train_peft.py", "trl"),
    "AutoModelForSequenceClassification + PEFT": ("peers", "train_peft.py", "sequence"),
}
TARGETS = {
    "transformers, all logits, one prompt at a time": 3.5,
    "transformers, generate and parse": 10.0,
    "llama.cpp, answers' logits": 1.0,
    "TRL SFTTrainer": 7.0,
}
"""How many times as fast as a peer ours is to be."""
MOST_MEMORY = {"TRL SFTTrainer": 0.5}
"""Which share of a peer's peak memory ours may take."""
SAME_LOGITS = 1e-3


@dataclass
class Way:
    """A way of doing the work: its rounds, and the process that does them."""

    name: str
    process: Any = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = 0.0
    logits: Any = None
    failure: str = ""

    def start(self, command: list[str]) -> None:
        """Start the process and wait until it is warm."""
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment.pop("OMP_NUM_THREADS", None)
        if command[0] != sys.executable:
            environment.pop("PYTHONPATH", None)
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self.log, text=True, env=environment
        )
        self._read()

    def round(self) -> None:
        """One round of the work."""
        if self.failure:
            return
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        values = self._read()
        if values:
            self.wall.append(values["wall"])
            self.cpu.append(values["cpu"])
            self.peak, self.logits = values["peak"], values["logits"]

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()

    def _read(self) -> dict[str, Any]:
        for line in self.process.stdout:
            if line.startswith("@"):
                values: dict[str, Any] = json.loads(line[1:])
                return values
        self.log.seek(0)
        lines = [line.strip() for line in self.log.readlines() if line.strip()]
        self.failure = lines[-1][:200] if lines else "ended without a word"
        return {}


def main() -> int:
    options = parse()
    missing = make_environment(options.peers) if options.peers else {"all": "give --peers FOLDER"}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="llm4top-bench-") as folder:
        plan, file = make_plan(options, Path(folder))
        limits = [limit(options.threads)]
        scoring = measure(SCORING, options, file, options.repeats)
        limits.append(limit(options.threads))
        training = measure(TRAINING, options, file, options.repeats)
        limits.append(limit(options.threads))
    tokens = sum(map(len, plan["prompts"]))
    report = [headline(options, time.perf_counter() - started), "", *limit_lines(limits)]
    faults: list[str] = []
    generated = sum(map(len, plan["prompts"][: plan["generated"]]))
    counts = {name: generated if "generate" in name else tokens for name in SCORING}
    report += ["", f"Scoring: {len(plan['prompts'])} prompts, {tokens} tokens.", ""]
    report += table(scoring, counts, faults)
    report += [
        f"Of generate and parse, {plan['generated']} prompts and {plan['new_tokens']} new tokens.",
    ]
    rows = sum(map(len, plan["rows"]))
    report += ["", f"LoRA training: {len(plan['rows'])} rows, {rows} tokens, batches of 4.", ""]
    report += table(training, dict.fromkeys(TRAINING, rows), faults)
    report += ["", *(f"{name}: {why}." for name, why in missing.items())]
    report += [f"Missed: {fault}." for fault in faults]
    print("\n".join(report))
    return int(bool(faults))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--peers", type=lambda text: Path(text).absolute(), metavar="FOLDER")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--rows", type=int, default=8, help="rows of a training")
    parser.add_argument("--new-tokens", type=int, default=128, help="of generate and parse")
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    return parser.parse_args()


def make_plan(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], Path]:
    """The work as a file that every process reads; the model beside it."""
    chance = random.Random(1)

    def rows(count: int, low: int, high: int) -> list[list[int]]:
        lengths = [chance.randint(low, high) for _ in range(count)]
        return [[chance.randrange(3, VOCABULARY) for _ in range(n)] for n in lengths]

    plan: dict[str, Any] = {
        "model": str(folder / "model"),
        "gguf": str(folder / "model.gguf"),
        "dtype": options.dtype,
        "threads": options.threads,
        "answers": ANSWERS,
        "prompts": rows(options.prompts, 500, 564),
        "longest": 1024,
        "generated": min(4, options.prompts),
        "new_tokens": options.new_tokens,
        "rows": rows(options.rows, 300, 640),
        "targets": [i % 2 for i in range(options.rows)],
        "batch": 4,
        "lora": {"lora_rank": 16, "lora_alpha": 32, "lora_dropout": 0.05},
    }
    file = folder / "plan.json"
    file.write_text(json.dumps(plan))
    from benchmarks.scoring import make_model
    from transformers.utils import logging

    logging.disable_progress_bar()
    make_model(options, VOCABULARY).save_pretrained(plan["model"])
    if options.peers:
        subprocess.run(
            [str(python_of(options.peers)), str(WORKERS / "make_gguf.py"), str(file)], check=False
        )
    return plan, file


def measure(
    ways: dict[str, tuple[str, ...]], options: argparse.Namespace, plan: Path, repeats: int
) -> list[Way]:
    """All ways in turn, so many rounds."""
    found = []
    for name, (where, script, *words) in ways.items():
        way = Way(name)
        if where == "ours" or options.peers:
            python = sys.executable if where == "ours" else str(python_of(options.peers))
            print(f"  starting {name}", file=sys.stderr, flush=True)
            way.start([python, str(WORKERS / script), str(plan), *words])
            found.append(way)
    for n in range(repeats):
        print(f"  round {n + 1} of {repeats}", file=sys.stderr, flush=True)
        for way in found:
            way.round()
    for way in found:
        way.stop()
    return found


def limit(threads: int) -> tuple[float, float]:
    """What the machine gives at best: GFLOP/s of a float32 product, GB/s of a copy."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    source, target = torch.empty(2**26), torch.empty(2**26)

    def best(work: Any) -> float:
        took = []
        for _ in range(5):
            started = time.perf_counter()
            work()
            took.append(time.perf_counter() - started)
        return min(took)

    return 2 * 2048**3 / best(lambda: a @ b) / 1e9, 2**29 / best(lambda: target.copy_(source)) / 1e9


def headline(options: argparse.Namespace, seconds: float) -> str:
    import torch
    import transformers

    return (
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {processor()}, {options.threads} "
        f"threads, load {os.getloadavg()[0]:.1f}; torch {torch.__version__}, "
        f"transformers {transformers.__version__}; hidden {options.hidden}, {options.layers} "
        f"layers, {options.dtype}; {options.repeats} rounds, {seconds / 60:.1f} minutes."
    )


def processor() -> str:
    """What the CPU can compute with, as torch sees it."""
    import torch

    return f"CPU with {torch.backends.cpu.get_cpu_capability()}"


def limit_lines(limits: list[tuple[float, float]]) -> list[str]:
    rate, copy = (max(values) for values in zip(*limits, strict=True))
    return [
        f"The machine's own limits: {rate:.0f} GFLOP/s (float32 product), {copy:.0f} GB/s (copy)."
    ]


def spread(values: list[float]) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def table(ways: list[Way], tokens: dict[str, int], faults: list[str]) -> list[str]:
    """A line for each way; targets that are missed go to ``faults``."""
    ours = ways[0]
    lines = [
        "| way | tokens/s | LLM4TOP is so many times as fast | by processor time "
        "| peak memory, GB | logits differ by |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for way in ways:
        if not way.wall or not ours.wall:
            lines.append(f"| {way.name} | {way.failure or 'not run'} | | | | |")
            continue
        pace = tokens[way.name] / statistics.median(way.wall)
        scale = tokens[ours.name] / tokens[way.name]
        wall, cpu = (
            [scale * theirs / mine for theirs, mine in zip(of_way, of_ours, strict=True)]
            for of_way, of_ours in ((way.wall, ours.wall), (way.cpu, ours.cpu))
        )
        lines.append(
            f"| {way.name} | {pace:.0f} | {spread(wall)} | {spread(cpu)} | {way.peak / 1e9:.2f} "
            f"| {difference(way, ours)} |"
        )
        faults += misses(way, ours, statistics.median(wall))
    return lines


def difference(way: Way, ours: Way) -> str:
    """Between the answers' logits, where the way has any that mean the same."""
    if way is ours or not way.logits or "Sequence" in way.name:
        return ""
    return f"{largest(way.logits, ours.logits):.0e}"


def largest(theirs: list[list[float]], mine: list[list[float]]) -> float:
    pairs = zip(theirs, mine, strict=True)
    return max(abs(x - y) for row, other in pairs for x, y in zip(row, other, strict=True))


def misses(way: Way, ours: Way, ratio: float) -> list[str]:
    found = []
    if ratio < TARGETS.get(way.name, 0.0):
        found.append(f"{ratio:.2f} times {way.name}, not {TARGETS[way.name]:.1f}")
    share = ours.peak / way.peak
    if share > MOST_MEMORY.get(way.name, float("inf")):
        found.append(f"{share:.2f} of the memory of {way.name}, not {MOST_MEMORY[way.name]}")
    return found


if __name__ == "__main__":
    sys.exit(main())
