"""Measure how long a large data set takes to build, save and load, relative to plain JSON.

    python benchmarks/large_datasets.py [--rows N] [--repeats N]

Invented trials with criteria of a thousand characters. The baseline writes and reads one JSON line
a trial, with no check; ours also checks every row, writes Parquet and confirms the hash on loading.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from llm4top.data.dataset import Dataset, load_dataset, make_dataset
from llm4top.registry.trial import Trial


def built(rows: int) -> Dataset:
    text = "Adults who have given written informed consent. " * 20
    return make_dataset(
        [Trial(phase="Phase 2", brief_title=str(n), criteria=text) for n in range(rows)],
        ["success", "failure"] * (rows // 2),
        [f"NCT{n:08d}" for n in range(rows)],
        ["train"] * (rows * 4 // 5) + ["valid"] * (rows - rows * 4 // 5),
        task="outcome",
    )


def write_lines(dataset: Dataset, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for trial in dataset.trials:
            fields = {name: getattr(trial, name) for name in ("phase", "brief_title", "criteria")}
            file.write(json.dumps(fields) + "\n")


def read_lines(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        fields = json.loads(line)
        Trial(**fields)


def best(repeats: int, work: Callable[[int], object]) -> float:
    took = []
    for number in range(repeats):
        begun = time.process_time()
        work(number)
        took.append(time.process_time() - begun)
    return min(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    rows = options.rows // 2 * 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = built(rows)
        plain = best(options.repeats, lambda _: write_lines(dataset, folder / "lines"))
        plain += best(options.repeats, lambda _: read_lines(folder / "lines"))
        parts = {
            "build": best(options.repeats, lambda _: built(rows)),
            "save": best(options.repeats, lambda n: dataset.save(folder / f"set-{n}")),
            "load": best(options.repeats, lambda _: load_dataset(folder / "set-0")),
        }
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{rows:,} trials; JSON lines written and read: {plain:.2f} s")
    for what, took in parts.items():
        print(f"  {took:6.2f} s  {took / plain:5.2f} of JSON lines  {what}")


if __name__ == "__main__":
    main()
