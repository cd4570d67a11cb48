"""Measure how long a start takes, as processor time, and where the time goes.

    python benchmarks/start.py [RECORD] [--repeats N]

Each command is a process of its own: a first forecast with the default, the Studio until its first
page has answered, and the help. They are compared with importing torch, transformers and
scikit-learn, which a forecast would have to if it used them. Then the stages of the first
forecast, in one process. The best of the repeats counts, all in turn so that a busy machine slows
all alike. Exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

import llm4top

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.xml"
LIBRARIES = "torch, transformers and scikit-learn imported"
FORECAST, HELP, STUDIO = "llm4top forecast RECORD", "llm4top --help", "llm4top studio, first page"
COMMANDS = {
    "python alone": ["-c", "pass"],
    HELP: ["-m", "llm4top", "--help"],
    "llm4top train --help": ["-m", "llm4top", "train", "--help"],
    "torch imported": ["-c", "import torch"],
    LIBRARIES: ["-c", "import torch, transformers, sklearn"],
}
TARGETS = {HELP: 0.3, FORECAST: 2.0, STUDIO: 3.0}
"""Seconds of processor time; a forecast may also take half of what the libraries' import takes."""

STAGES = """
import json, sys, time
marks = {"python": time.process_time()}
def stage(name):
    marks[name] = time.process_time() - sum(marks.values())
from llm4top.lazy import quick_imports
with quick_imports():
    import llm4top.cli.app
    stage("import the command")
    import numpy
    stage("import NumPy")
    import llm4top.registry.reader
    stage("import what reads records")
    import llm4top.forecasters.load
    import llm4top.forecasters.bundles.language_files
    import llm4top.forecasters.baselines.extra_trees, llm4top.forecasters.baselines.structured
    import tokenizers
    stage("import what forecasts")
    default = llm4top.forecasters.load.load_forecaster(weights=False)
    stage("hash and check the bundle")
    parts = default.forecaster.parts
    stage("read weights, words and tokenizer")
    records = list(llm4top.registry.reader.read_records(sys.argv[1]))
    stage("read the record")
    trials = [record.trial for record in records]
    prompts = [default.writer.write(trial) for trial in trials]
    stage("write and tokenise the prompt")
    for part in parts:
        part.logits(trials, prompts=prompts if part.kind == "language" else None)
        stage("compute: " + part.name)
print(json.dumps(marks))
"""


def seconds(arguments: list[str]) -> float:
    """Processor time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def studio_seconds() -> float:
    """Processor time of the Studio and its helpers, in a new folder, until a page has answered."""
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", "llm4top", "studio", "--port", "0", "--no-browser"],
            env={**os.environ, "LLM4TOP_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                raise RuntimeError("the Studio printed no address")
            # It listens before it prints, so that the request waits for the server.
            with urllib.request.urlopen(found[0], timeout=60) as page:
                page.read()
            studio = psutil.Process(process.pid)
            family = [studio, *studio.children(recursive=True)]
            times = [member.cpu_times() for member in family]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    return sum(time.user + time.system for time in times)


def stages(record: str) -> dict[str, float]:
    """Processor time of each stage of a first forecast."""
    ran = subprocess.run(
        [sys.executable, "-c", STAGES, record], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("record", nargs="?", default=str(EXAMPLE))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    forecast = ["-m", "llm4top", "forecast", options.record]
    ways: dict[str, Callable[[], float]] = {
        name: lambda arguments=arguments: seconds(arguments)
        for name, arguments in {**COMMANDS, FORECAST: forecast}.items()
    }
    ways[STUDIO] = studio_seconds
    best = dict.fromkeys(ways, float("inf"))
    inside: dict[str, float] = {}
    for _ in range(options.repeats):
        for name, way in ways.items():
            best[name] = min(best[name], way())
        for name, took in stages(options.record).items():
            inside[name] = min(inside.get(name, took), took)
    libraries = best[LIBRARIES]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, best of {options.repeats}"
    )
    for name, took in best.items():
        print(f"  {took:6.3f} s  {took / libraries:5.2f} of the imports  {name}")
    print("stages of the first forecast")
    inside["options, calibration and table"] = max(best[FORECAST] - sum(inside.values()), 0.0)
    for name, took in inside.items():
        print(f"  {took:6.3f} s  {took / libraries:5.3f} of the imports  {name}")
    missed = [name for name, most in TARGETS.items() if best[name] > most]
    if best[FORECAST] <= libraries / 2:
        missed = [name for name in missed if name != FORECAST]
    for name in missed:
        print(f"  missed: {name} takes more than {TARGETS[name]:.1f} s")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
