"""Measure two processes of Ray Data against one, and both against this process alone.

    python benchmarks/ray_data.py [PATH] [--records N] [--shard N] [--rounds N] [--model MODEL]

Without PATH it makes a zip of invented records. Ray is started once with two cores; one and two
processes take turns. Time counts from a tenth of the shards to nine tenths, when all processes are
warm and busy: starting Ray takes 5 to 10 seconds on free cores and is printed apart. Processor time
of the processes that forecast, and of all others of Ray's with this one, is counted too, so that
other work on the machine does not decide: with W and R seconds a record, two cores allow
W1 / ((W2 + R2) / 2) times the speed of one process. Ends with 1 below 1.7 of these, or if a row
differs from those of this process.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ingestion import synthetic

TARGET = 1.7


@dataclass
class Pace:
    """Seconds a record: by the clock, of the processes that forecast, and of all others."""

    clock: float
    working: float
    rest: float


def processor_time() -> tuple[float, float]:
    """Processor seconds so far of Ray's processes that forecast, and of all others with this."""
    working = rest = 0.0
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        try:
            used = sum(process.cpu_times()[:2])
            if "MapWorker" in " ".join(process.cmdline()):
                working += used
            else:
                rest += used
        except psutil.NoSuchProcess:
            continue
    return working, rest


def paced(made: Iterator[tuple[Any, Any]], shards: int) -> Pace:
    """The pace between a tenth and nine tenths of the shards."""
    first, last = max(1, shards // 10), shards - max(1, shards // 10)
    marks: list[tuple[float, float, float]] = []
    records = 0
    for number, (_, facts) in enumerate(made, 1):
        if first < number <= last:
            records += facts.records
        if number in (first, last):
            marks.append((time.perf_counter(), *processor_time()))
    start, end = marks
    return Pace(*((b - a) / records for a, b in zip(start, end, strict=True)))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder in their order."""
    return [row for f in sorted(folder.glob("part-*")) for row in pq.read_table(f).to_pylist()]


def here(shards: Any, work: Any, options: dict[str, Any]) -> tuple[str, float]:
    """Forecast in this process; the forecaster's identity and processor seconds a record."""
    from llm4top.forecasters.bulk.work import ShardForecaster
    from llm4top.forecasters.load import load_forecaster

    forecaster = load_forecaster(**options)
    forecast = ShardForecaster(forecaster, work)
    start = time.process_time()
    records = sum(forecast(shard).records for shard in shards)
    forecast.close()
    return forecaster.identity, (time.process_time() - start) / records


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("path", nargs="?", type=Path)
    arguments.add_argument("--records", type=int, default=1200)
    arguments.add_argument("--shard", type=int, default=32)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--model", default="embedded")
    given = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from llm4top.forecasters.bulk.folder import job_of, opened_folder
    from llm4top.forecasters.bulk.plan import plan
    from llm4top.forecasters.bulk.ray_cluster import started
    from llm4top.forecasters.bulk.ray_engine import Asked, forecast_on_ray
    from llm4top.forecasters.bulk.work import Work

    options = {"model": given.model, "device": "cpu"}
    with tempfile.TemporaryDirectory() as scratch:
        path = given.path or Path(scratch) / "registry.zip"
        if given.path is None:
            synthetic(path, given.records)
        shards = plan([path], given.shard)
        asked = {"model": "", "question": "", "base_rate": None, "quantize": None}
        job = job_of(shards, [path], shard_records=given.shard, **asked)
        out = Path(scratch) / "here"
        with opened_folder(out, job):
            identity, alone = here(shards, Work(str(out)), options)
        wanted = rows_of(out)
        count, shard = len(wanted), given.shard
        load = f"load {os.getloadavg()[0]:.1f}, {platform.machine()}"
        print(f"{count} forecasts by {identity}, shards of {shard}, {load}", file=sys.stderr)
        found: dict[int, list[Pace]] = {1: [], 2: []}
        begin = time.perf_counter()
        with started(None, 2, gpus=False):
            print(f"Ray started in {time.perf_counter() - begin:.1f} s", file=sys.stderr)
            for turn in range(2 * given.rounds):
                workers = 1 + turn % 2
                out = Path(scratch) / f"out-{turn}"
                with opened_folder(out, job):
                    to = Asked(options, Work(str(out)), identity, uses_device=False)
                    made = forecast_on_ray(shards, to, workers=workers)
                    found[workers].append(paced(made, len(shards)))
                if rows_of(out) != wanted:
                    print("rows differ from those of this process", file=sys.stderr)
                    return 1
    return report(found, alone, count)


def report(found: dict[int, list[Pace]], alone: float, count: int) -> int:
    def median(workers: int, name: str) -> float:
        return 1000 * statistics.median(getattr(pace, name) for pace in found[workers])

    clock = [one.clock / two.clock for one, two in zip(found[1], found[2], strict=True)]
    cores = [
        one.working / ((two.working + two.rest) / 2)
        for one, two in zip(found[1], found[2], strict=True)
    ]
    print(f"this process alone: {1000 * alone:.2f} ms of processor time a record")
    for workers in found:
        print(
            f"{workers} of Ray's: {median(workers, 'clock'):.2f} ms a record by the clock; "
            f"processor time {median(workers, 'working'):.2f} ms where forecasts are made, "
            f"{median(workers, 'rest'):.2f} ms elsewhere"
        )
    for words, ratios in (("by the clock", clock), ("by processor time on two cores", cores)):
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"two against one, {words}: {statistics.median(ratios):.2f} ({spread})")
    print(f"all {count} rows are equal to those of this process, in every run")
    return 0 if statistics.median(cores) >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
