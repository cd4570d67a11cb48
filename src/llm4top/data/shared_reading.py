"""Several processes that read one zip or folder: each its chunks, the answers in their order.

What the processes read was written by strangers, so their answers are JSON, never a pickle. A
process writes its rows to a Parquet file of its own; only facts about them come back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

from llm4top import errors
from llm4top.errors import DatasetError, RegistryError
from llm4top.registry.trial import ReadNote

_MODULE = "llm4top.data.reading_child"
_AHEAD = 4
"""How many answers of a process may wait for those of the others."""

Answer = dict[str, Any]


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def shared(job: Mapping[str, Any], files: Sequence[Path]) -> Iterator[tuple[Path, Answer]]:
    """Do ``job`` in a process for each of ``files``, and yield file and answer of each chunk.

    The chunks come in the order in which one process alone would read them. The processes end
    with the iterator, however it ends; the files are whole when all answers have been read.

    Raises ``DatasetError`` where a process stopped before its end.
    """
    ended = Event()
    with ExitStack() as stack:
        children = [
            stack.enter_context(_child({**job, "rows": str(file), "worker": worker}, len(files)))
            for worker, file in enumerate(files)
        ]
        queues: list[Queue[Answer | None]] = [Queue(_AHEAD) for _ in files]
        threads = stack.enter_context(ThreadPoolExecutor(len(files)))
        stack.callback(_stop, children, queues, ended)
        for child, queue in zip(children, queues, strict=True):
            threads.submit(_listen, child, queue, ended)
        # Chunks go round: the first process without one has found the end.
        for child, file, queue in cycle(zip(children, files, queues, strict=True)):
            answer = queue.get()
            if answer is None:
                _check(child, job["path"])  # before the others, which it may have left behind
                break
            yield file, answer
        for child in children:
            _check(child, job["path"])


@contextmanager
def _child(job: Mapping[str, Any], workers: int) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # it has stopped already, which its exit code tells
            child.stdin.write(json.dumps({**job, "workers": workers}).encode())
            child.stdin.close()
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def _listen(child: subprocess.Popen[bytes], queue: Queue[Answer | None], ended: Event) -> None:
    """Pass the child's answers on, and None at its end, whatever that is."""
    assert child.stdout is not None
    try:
        for line in child.stdout:
            if ended.is_set():
                return
            queue.put(json.loads(line))
    except ValueError:  # its last line is cut off
        child.kill()
    finally:
        queue.put(None)


def _stop(
    children: Sequence[subprocess.Popen[bytes]],
    queues: Sequence[Queue[Answer | None]],
    ended: Event,
) -> None:
    """End the children, and let the threads that wait for room in their queues go on to theirs."""
    ended.set()
    for child in children:
        child.kill()
    for queue in queues:
        while not queue.empty():
            queue.get()


def _check(child: subprocess.Popen[bytes], path: str) -> None:
    code = child.wait()
    if code:
        raise DatasetError(
            f"a process that read a share of it stopped (exit code {code}).",
            where=path,
            hint="Check the free memory and disk space, or read it with one process (--workers 1).",
        )


def packed(found: RegistryError | ReadNote) -> Answer:
    """A refusal or a note as JSON-able values."""
    if isinstance(found, ReadNote):
        return {"file": found.file, "message": found.message, "hint": found.hint}
    return {
        "kind": type(found).__name__,
        **{name: getattr(found, name) for name in ("message", "file", "line", "element", "hint")},
    }


def unpacked(values: Answer) -> RegistryError | ReadNote:
    """Inverse of ``packed``."""
    if "kind" not in values:
        return ReadNote(**values)
    kind = getattr(errors, values.pop("kind"))
    assert issubclass(kind, RegistryError)
    error: RegistryError = kind(values.pop("message"), **values)
    return error
