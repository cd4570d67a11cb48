"""Measure how long the reader takes to reject hostile files, relative to harmless ones.

    python benchmarks/hostile_files.py [--repeats N]

The files are those of the tests of `llm4top.registry`: entity bombs, archives that unpack to far
more than they are, nesting, cells without an end. The baseline is a harmless record just under the
cap on a record's size, read in the same run: no hostile file should cost more than the largest
file that is welcome. Processor time of one thread is counted, the best of the repeats.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.registry import test_json_cutter as test_json
from tests.registry import test_top_csv as test_top
from tests.registry import test_xml_safe as test_xmlsafe
from tests.registry import test_zip_reader as test_zip
from tests.registry.builders import TOP_HEADER, xml

from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records


def hostile(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each hostile file with its name, written below ``folder``."""
    for name, (data, *_) in test_xmlsafe.HOSTILE.items():
        yield f"XML, {name}", written(folder, data)
    for name, (data, *_) in test_json.HOSTILE.items():
        yield f"JSON, {name}", written(folder, data)
    for name, (text, limits, _) in test_top.HOSTILE.items():
        if limits is None:
            yield f"CSV, {name}", written(folder, (TOP_HEADER + text).encode())
    for make in test_zip.HOSTILE:
        path = folder / "hostile.zip"
        path.unlink(missing_ok=True)
        make(path)
        yield f"zip, {make.__name__.replace('_', ' ')}", path


def written(folder: Path, data: bytes) -> Path:
    path = folder / "hostile"
    path.write_bytes(data)
    return path


def welcome(folder: Path) -> Path:
    """A harmless record almost as large as a record may be."""
    paragraph = "<location><facility><name>Hospital</name></facility></location>"
    return written(folder, xml(paragraph * (Limits().record_bytes // len(paragraph) - 100)))


def seconds(path: Path, repeats: int, *, read: int) -> float:
    """Processor time of reading ``path``, of which ``read`` records must come."""
    best = float("inf")
    for _ in range(repeats):
        begun = time.thread_time()
        reader = read_records(path)
        found = sum(1 for _ in reader)
        best = min(best, time.thread_time() - begun)
        if (found, bool(reader.summary.skipped)) != (read, not read):
            raise SystemExit(f"{path}: {found} records, {reader.summary.refusals[:1]}")
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        baseline = seconds(welcome(folder), options.repeats, read=1)
        timed = [(seconds(path, options.repeats, read=0), what) for what, path in hostile(folder)]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"harmless record of {Limits().record_bytes // 10**6} MB read in {baseline:.3f} s")
    print(f"{len(timed)} hostile files, the ten slowest:")
    for took, what in sorted(timed, reverse=True)[:10]:
        print(f"  {took:.3f} s  {took / baseline:5.2f} of the harmless one  {what}")


if __name__ == "__main__":
    main()
