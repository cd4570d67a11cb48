"""Measure the speed and memory of reading records, relative to parsing the same bytes alone.

    python benchmarks/ingestion.py [ZIP] [--records N] [--times N]

Without a zip it makes one of invented records. Each slice of the archive is timed for both sides in
turn, so that a busy machine slows both alike; processor time of one thread is counted, not waiting.
Then the whole way to a data set is timed, with one process and with two. ``--records`` reads the
first N records only, for a short run.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib import import_module
from pathlib import Path

SLICES = 40
REGISTRY = 570_000
"""About how many records the whole registry has."""


def synthetic(path: Path, records: int = 3000) -> None:
    """A zip of invented records with the proportions of real ones."""
    text = "Patients take the invented medicine once a day with food and a glass of water.&#xD;\n"
    block = "\n".join("      " + text + ("      &#xD;\n" if n % 6 == 5 else "") for n in range(24))
    place = (
        "  <location>\n    <facility>\n      <name>Hospital {n}</name>\n      <address>\n"
        "        <city>Town</city>\n        <country>Nowhere</country>\n      </address>\n"
        "    </facility>\n    <status>Completed</status>\n  </location>\n"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(records):
            body = [
                f"<clinical_study>\n  <id_info>\n    <nct_id>NCT{90000000 + n}</nct_id>\n"
                f"  </id_info>\n  <brief_title>Invented trial {n}</brief_title>\n",
                f"  <brief_summary>\n    <textblock>\n{block}",
                "    </textblock>\n  </brief_summary>\n",
                "  <overall_status>Completed</overall_status>\n"
                f"  <start_date>May {1990 + n % 30}</start_date>\n  <phase>Phase 2</phase>\n",
                "  <study_type>Interventional</study_type>\n",
                "".join(f"  <condition>Condition {k}</condition>\n" for k in range(3)),
                "  <eligibility>\n    <criteria>\n      <textblock>\n"
                f"{block}      </textblock>\n    </criteria>\n    <gender>All</gender>\n"
                "  </eligibility>\n",
                "".join(place.format(n=k) for k in range(11)),
                "".join(f"  <keyword>Keyword {k}</keyword>\n" for k in range(6)),
                "</clinical_study>\n",
            ]
            archive.writestr(f"NCT{9000 + n // 10000}xxxx/{n}.xml", "".join(body))


def throughput(path: Path, repeats: int) -> tuple[int, int, list[float]]:
    """Records, bytes, and seconds, the best of each slice.

    They are those of bare parsing, of reading the same unzipped bytes, of reading the zip, and of
    reading the zip with a look at what was withheld.
    """
    from lxml import etree

    from llm4top.registry.limits import Limits
    from llm4top.registry.reader import read_records
    from llm4top.registry.xml_record import read_xml

    limits = Limits()

    with zipfile.ZipFile(path) as archive:
        blobs = [archive.read(name) for name in archive.namelist() if name.endswith(".xml")]
    bounds = [len(blobs) * k // SLICES for k in range(SLICES + 1)]
    best = [[float("inf")] * SLICES for _ in range(4)]
    for _ in range(repeats):
        plain, looked = read_records(path), read_records(path)
        for k in range(SLICES):
            part = blobs[bounds[k] : bounds[k + 1]]
            times = [time.thread_time()]
            for data in part:
                etree.fromstring(data)
            times.append(time.thread_time())
            for data in part:
                read_xml(data, "zip", "member", limits)
            times.append(time.thread_time())
            for _ in part:
                next(plain)
            times.append(time.thread_time())
            for _ in part:
                _ = next(looked).withheld
            times.append(time.thread_time())
            for n, seconds in enumerate(best):
                seconds[k] = min(seconds[k], times[n + 1] - times[n])
    return len(blobs), sum(map(len, blobs)), [sum(seconds) for seconds in best]


def first_records(path: Path, target: Path, records: int) -> None:
    """The first ``records`` records of ``path`` in a zip of their own."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        names = [name for name in source.namelist() if name.endswith(".xml")]
        for name in names[:records]:
            archive.writestr(name, source.read(name), zipfile.ZIP_DEFLATED)


def many_times(path: Path, target: Path, times: int) -> None:
    """The members of ``path``, ``times`` over, in one zip."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.infolist():
            data = source.read(member)
            for n in range(times):
                archive.writestr(f"{n}/{member.filename}", data, zipfile.ZIP_DEFLATED, 1)


def peak(path: str) -> None:
    """Read all of ``path`` in this process and print its records and peak memory."""
    from llm4top.registry.reader import read_records

    reader = read_records(path)
    for _ in reader:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    print(reader.summary.read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20)


def to_dataset(path: str, workers: int) -> None:
    """Make a data set of ``path`` in this process and print what it took.

    That is the seconds by the clock, those of processor time in this process and in its workers,
    and how long this process was busy while the records were read.
    """
    from llm4top.data.ingest import ingest
    from llm4top.progress import READING, Progress

    reading = [0.0]

    def watch(progress: Progress) -> None:
        if progress.stage == READING:
            reading[0] = time.process_time() - busy

    start, busy = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        ingest(path, Path(folder) / "set", task="completion", workers=workers, on_progress=watch)
    wall, own = time.monotonic() - start, time.process_time() - busy
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(wall, own, children.ru_utime + children.ru_stime, reading[0])


def run(*arguments: object) -> list[float]:
    """The numbers that this script prints with other arguments, in a process of its own."""
    command = [sys.executable, __file__, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(number) for number in result.stdout.split()]


def compare_workers(path: Path, records: int) -> None:
    """Print what it takes to make a data set, alone and with two processes that read.

    What it takes to start the two is told apart: for the whole registry it is next to nothing.
    """
    unit = 1e6 / records
    start = run("--start")[0]
    wall, own, _, _ = run(path, "--workers", 1)
    print(f"one      process, the zip to a data set {own * unit:15.0f} us a record "
          f"(by the clock {wall * unit:.0f})")  # fmt: skip
    wall2, own2, both, meanwhile = run(path, "--workers", 2)
    each = both / 2 - start
    print(f"two      processes that read, each {each * unit:20.0f} us a record, {start:.1f} s to "
          f"start; {own2 * unit:.0f} in the one that collects, {meanwhile * unit:.0f} of it "
          f"meanwhile (by the clock {wall2 * unit:.0f})")  # fmt: skip
    print(
        f"two      in processor time {own / (each + own2 - meanwhile):.2f} times as fast as one, "
        f"{(own - own2 + meanwhile) / each:.2f} times for reading alone"
    )
    for name, seconds in (("one process", own), ("two", each + own2 - meanwhile)):
        print(f"registry {REGISTRY:,} records to a data set, {name}: "
              f"about {seconds / records * REGISTRY / 60:.1f} min")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("zip", nargs="?", type=Path)
    parser.add_argument("--times", type=int, default=10, help="size of the archive read for memory")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--records", type=int, help="read the first records only")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak(options.peak)
        return
    if options.start:
        import_module("llm4top.data.reading_child")
        print(time.process_time())
        return
    if options.workers:
        to_dataset(options.zip, options.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.zip or Path(folder) / "synthetic.zip"
        if options.zip is None:
            synthetic(path)
        if options.records:
            first_records(path, Path(folder) / "first.zip", options.records)
            path = Path(folder) / "first.zip"
        print(f"machine  {platform.platform()}, {os.cpu_count()} cores, "
              f"Python {platform.python_version()}")  # fmt: skip
        records, size, seconds = throughput(path, options.repeats)
        print(f"records  {records:,} in {path.name}, {size / 1e6:.0f} MB of XML")
        lanes = (
            "bare     lxml.etree.fromstring, unzipped bytes",
            "ours     the same unzipped bytes to records",
            "ours     the zip to records (read_records)",
            "ours     the zip, and a look at withheld",
        )
        for lane, spent in zip(lanes, seconds, strict=True):
            print(f"{lane:<48}{spent / records * 1e6:6.0f} us a record, "
                  f"ratio {seconds[0] / spent:.2f}")  # fmt: skip
        print(f"registry {REGISTRY:,} records from the zip on one core: about "
              f"{seconds[2] / records * REGISTRY / 60:.1f} min")  # fmt: skip
        compare_workers(path, records)
        large = Path(folder) / "large.zip"
        many_times(path, large, options.times)
        read, megabytes = run("--peak", large)
        print(f"memory   {megabytes:.0f} MB at most, reading {read:,.0f} records")


if __name__ == "__main__":
    main()
