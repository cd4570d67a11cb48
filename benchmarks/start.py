"""Measure how long the command takes to start, relative to the interpreter alone.

    python benchmarks/start.py [--repeats N]

Each is a process of its own; its processor time is counted, the best of the repeats, the commands
in turn so that a busy machine slows all alike. Tab completion asks for a start at every key.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys

IMPORTS = "import torch, sklearn.base; from transformers import AutoModelForCausalLM"
QUICK = "from llm4top.lazy import quick_imports\nwith quick_imports():\n    {}"
COMMANDS = {
    "python alone": ["-c", "pass"],
    "llm4top --help": ["-m", "llm4top", "--help"],
    "llm4top train --help": ["-m", "llm4top", "train", "--help"],
    "llm4top --version": ["-m", "llm4top", "--version"],
    "import torch": ["-c", "import torch"],
    "what a forecast imports": ["-c", IMPORTS],
    "the same, without looking for garbage": ["-c", QUICK.format(IMPORTS)],
}


def seconds(arguments: list[str]) -> float:
    """Processor time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(repeats):
        for name, arguments in COMMANDS.items():
            best[name] = min(best[name], seconds(arguments))
    alone = best["python alone"]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name, took in best.items():
        print(f"  {took:.3f} s  {took / alone:6.1f} of python alone  {name}")


if __name__ == "__main__":
    main()
