"""The process that reads uploads, within limits of its own: ``_parsing`` starts it."""

import os
import resource
import sys
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from llm4top.errors import LimitError, RegistryError
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from llm4top.registry.trial import NO_RECORD, ReadNote
from llm4top.workspace.serving.ipc import error_to_wire, own_pipe, receive, record_to_wire, send

_OPEN_FILES = 64


def main(arguments: list[str]) -> None:
    """Read one upload after the other until the parent is gone."""
    pipe = own_pipe(arguments[0])
    _confine(int(arguments[1]))
    while (job := receive(pipe)) is not None:
        _allow_seconds(int(job["cpu_seconds"]))
        try:
            _read(pipe, job)
        except MemoryError:
            # What is left of this process is not worth trusting: the parent starts another.
            os._exit(3)


def _confine(memory: int) -> None:
    """Bound memory and open files; forbid writing to any file, and dumps of what was read."""
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        # macOS knows some of these limits and refuses to set them.
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def _allow_seconds(seconds: int) -> None:
    """So many more seconds of processor time; the kernel ends the process after them."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    total = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (total, resource.RLIM_INFINITY))


def _read(pipe: Connection, job: dict[str, Any]) -> None:
    """Send each record, refusal and note of one upload, then how it ended."""
    path, name = str(job["path"]), str(job["name"])
    most = job["max_records"]
    limits = Limits(**job["limits"])
    records = refused = 0

    def refuse(error: RegistryError) -> None:
        nonlocal refused
        refused += 1
        send(pipe, {"refusal": _named(error_to_wire(error), path, name)})

    def remark(note: ReadNote) -> None:
        if note.message != NO_RECORD:  # which is a refusal here
            values = {"file": note.file, "message": note.message, "hint": note.hint}
            send(pipe, {"note": _named(values, path, name)})

    try:
        reader = read_records(Path(path), limits=limits, on_refusal=refuse, on_note=remark)
        for record in reader:
            if most is not None and records == most:
                send(pipe, {"end": records, "more": True})
                return
            records += 1
            # The upload's own name in place of where it is stored here.
            renamed = replace(record, source=replace(record.source, file=name))
            send(pipe, {"record": record_to_wire(renamed)})
    except RegistryError as error:
        refuse(error)
    if not records and not refused:
        refuse(LimitError(NO_RECORD, file=path, hint="Give a record's file."))
    send(pipe, {"end": records, "more": False})


def _named(error: dict[str, Any], path: str, name: str) -> dict[str, Any]:
    return {
        key: value.replace(path, name) if isinstance(value, str) else value
        for key, value in error.items()
    }


if __name__ == "__main__":
    main(sys.argv[1:])
