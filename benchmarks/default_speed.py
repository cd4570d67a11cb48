"""Speed and size of the default forecaster, beside each of its parts, on the same records.

Records a second are warm, the best of the repeats, all in turn so that a busy machine slows all
alike: of processor time, which is what one thread does, and by the clock. "one by one" is the
processor time of a single record. Exits with 1 where a target is missed.

    python benchmarks/default_speed.py RECORDS [--model NAME] [--records 200]
    OMP_NUM_THREADS=1 python benchmarks/default_speed.py RECORDS

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
    started = time.process_time()
    from llm4top.forecasters.forecast_format import Forecast
    from llm4top.forecasters.load import load_forecaster
    from llm4top.registry.reader import read_records

    imported = time.process_time()
    default = load_forecaster(options.model)
    model: Any = default.forecaster
    loaded = time.process_time()
    records = list(islice(read_records(options.records_file), options.records))
    made = list(default.forecast(records))
    # Records that the question does not apply to would count for nothing.
    records = [r for r, one in zip(records, made, strict=True) if isinstance(one, Forecast)]
    trials = [record.trial for record in records]
    ways: dict[str, Callable[[list[Any]], Any]] = {
        "the default": lambda rows: default.logits(rows),
    }
    if default.kind == "blend":
        for name, part in zip(model.pool.sources, model.parts, strict=True):
            ways[f"  {name}"] = lambda rows, part=part: part.logits(rows)
    if default.language is not None:
        ways["  language, with torch"] = with_torch(default.language.scorer)
    ways["forecast, with its text"] = lambda rows: list(
        default.forecast(records if rows is trials else records[:1])
    )
    never = (float("inf"), float("inf"))
    many, one = dict.fromkeys(ways, never), dict.fromkeys(ways, never)
    for _ in range(options.repeats):
        for name, way in ways.items():
            way(trials[:4])  # warms up
            many[name] = least(many[name], seconds(lambda: way(trials)))  # noqa: B023
            one[name] = least(one[name], seconds(lambda: way(trials[:1])))  # noqa: B023
    size = sum(f.stat().st_size for f in default.folder.rglob("*") if f.is_file()) / 1e6
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{len(records)} records, {default.identity}"
    )
    print(f"  imports {imported - started:.2f} s, load {loaded - imported:.2f} s, {size:.1f} MB")
    print(f"  {'records a second':28}of processor time   by the clock   one by one")
    for name in ways:
        processor, clock = (len(trials) / took for took in many[name])
        print(f"  {name:28}{processor:17.0f}{clock:15.0f}{one[name][0] * 1000:10.1f} ms")
    whole = many["forecast, with its text"][0] / len(trials)
    missed = {
        f"{1 / whole:.0f} records a second": 1 / whole < LEAST_RECORDS,
        f"{loaded - imported:.2f} s to load": loaded - imported > MOST_SECONDS,
        f"{size:.1f} MB": size > MOST_MEGABYTES,
    }
    for text in (text for text, failed in missed.items() if failed):
        print(f"  missed: {text}")
    return int(any(missed.values()))


def with_torch(scorer: Any) -> Callable[[list[Any]], Any]:
    """The language model's logits as transformers and torch compute them."""
    from llm4top.forecasters.model.scoring import TrialScorer

    whole = TrialScorer(scorer.base, scorer.task, scorer.writer.spec)
    whole.probe = scorer.probe
    return lambda rows: whole.logits(whole.prompts(rows))


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """The processor time and the time by the clock that some work takes."""
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - clock


def least(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The lesser of each."""
    return min(one[0], other[0]), min(one[1], other[1])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records_file")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
