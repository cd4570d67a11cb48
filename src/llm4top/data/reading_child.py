"""The process that reads its share of a zip or folder: its job on standard input, as JSON."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from llm4top.data.labels import LabelFile
from llm4top.data.shared_reading import packed
from llm4top.data.sources import SourcePath, TrialDates
from llm4top.data.spool import Reading, Spool
from llm4top.errors import RegistryError
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_share
from llm4top.registry.trial import ReadNote
from llm4top.tasks.builtin import LABEL_RULES
from llm4top.tasks.task import Task


def main() -> None:
    """Read the share; write the rows to their file, and a line of JSON for each chunk."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    job: dict[str, Any] = json.load(sys.stdin)
    reading = _reading(job)
    source = SourcePath(Path(job["path"]))
    found: list[RegistryError | ReadNote] = []
    share = read_share(
        source.path,
        worker=job["worker"],
        workers=job["workers"],
        chunk=job["chunk"],
        limits=reading.limits,
        on_refusal=found.append,
        on_note=found.append,
    )
    try:
        with Spool(Path(job["rows"]), reading) as spool:
            for reader, passed in share:
                spool.add(reader, source)
                answer = {
                    **spool.taken(),
                    "found": [packed(item) for item in found],
                    "passed_over": (passed.count, passed.first),
                }
                found.clear()
                sys.stdout.write(json.dumps(answer) + "\n")
                sys.stdout.flush()
    except BrokenPipeError:  # the parent is gone
        os._exit(1)


def _reading(job: dict[str, Any]) -> Reading:
    task, labels = Task.from_dict(job["task"]), job["labels"]
    return Reading(
        task=task,
        rule=LABEL_RULES[task.name] if job["has_rule"] else None,
        labels=LabelFile(**labels) if labels is not None else None,
        phases=frozenset(job["phases"]),
        dates={nct_id: TrialDates(*dates) for nct_id, dates in job["dates"].items()},
        limits=Limits(**job["limits"]) if job["limits"] is not None else None,
    )


if __name__ == "__main__":
    main()
