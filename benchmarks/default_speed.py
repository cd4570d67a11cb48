"""Speed and size of the default forecaster, beside each of its parts, on the same records.

Records a second are warm, the best of the repeats, all in turn so that a busy machine slows all
alike. "one by one" is the time of a single record. Exits with 1 where a target is missed.

    python benchmarks/default_speed.py RECORDS [--model NAME] [--records 200]

RECORDS is anything that `llm4top forecast` reads.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

LEAST_RECORDS, MOST_SECONDS, MOST_MEGABYTES = 100, 2.0, 40


def main() -> int:
    options = parse()
    started = time.perf_counter()
    from llm4top.forecasters.load import load_forecaster
    from llm4top.registry.reader import read_records

    imported = time.perf_counter()
    default = load_forecaster(options.model)
    model: Any = default.forecaster
    loaded = time.perf_counter()
    records = list(islice(read_records(options.records_file), options.records))
    records = [record for record in records if hasattr(record, "trial")]
    trials = [record.trial for record in records]
    ways: dict[str, Callable[[list[Any]], Any]] = {
        "the default": lambda rows: default.logits(rows),
    }
    if default.kind == "blend":
        for name, part in zip(model.pool.sources, model.parts, strict=True):
            ways[f"  {name}"] = lambda rows, part=part: part.logits(rows)
    many, one = dict.fromkeys(ways, float("inf")), dict.fromkeys(ways, float("inf"))
    list(default.forecast(records))  # the first calls warm up
    whole = float("inf")
    for _ in range(options.repeats):
        for name, way in ways.items():
            many[name] = min(many[name], seconds(lambda: way(trials)) / len(trials))  # noqa: B023
            one[name] = min(one[name], seconds(lambda: way(trials[:1])))  # noqa: B023
        whole = min(whole, seconds(lambda: list(default.forecast(records))) / len(records))
    size = sum(f.stat().st_size for f in default.folder.rglob("*") if f.is_file()) / 1e6
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{len(records)} records, {default.identity}"
    )
    print(f"  imports {imported - started:.2f} s, load {loaded - imported:.2f} s, {size:.1f} MB")
    print(f"  {'':28}records a second   one by one")
    print(f"  {'forecast, with its text':28}{1 / whole:16.0f}")
    for name, took in many.items():
        print(f"  {name:28}{1 / took:16.0f}   {one[name] * 1000:7.1f} ms")
    missed = {
        f"{1 / whole:.0f} records a second": 1 / whole < LEAST_RECORDS,
        f"{loaded - imported:.2f} s to load": loaded - imported > MOST_SECONDS,
        f"{size:.1f} MB": size > MOST_MEGABYTES,
    }
    for text in (text for text, failed in missed.items() if failed):
        print(f"  missed: {text}")
    return int(any(missed.values()))


def seconds(work: Callable[[], Any]) -> float:
    """The time that some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records_file")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
