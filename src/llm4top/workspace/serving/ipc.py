"""Child processes and their messages: framed JSON, never a pickle.

The child that parses uploads reads what strangers wrote. What it sends back is data, so even a
parser that has been taken over cannot make its parent run anything.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from typing import Any

from pydantic import TypeAdapter

from llm4top import errors
from llm4top.errors import LLM4TOPError, RegistryError
from llm4top.registry.trial import Record

MAX_MESSAGE = 256_000_000
"""Bytes of one message; a batch of the largest records the limits allow stays below it."""

Message = dict[str, Any]


class ChildDiedError(Exception):
    """The child process is gone; the text says how it ended."""


class ChildSlowError(Exception):
    """The child process did not answer in time."""


class Child:
    """A Python module that runs as a process and answers on a pipe of its own.

    It ends by itself when this process is gone, and ignores Ctrl-C in the terminal.
    """

    def __init__(self, module: str, arguments: Sequence[str] = ()):
        self._ours, theirs = Pipe(duplex=True)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def send(self, message: Message) -> None:
        """Send one message; ``ChildDiedError`` where the process has ended."""
        try:
            self._ours.send_bytes(json.dumps(message).encode())
        except OSError as error:
            raise self._death() from error

    def receive(self, deadline: float) -> tuple[Message, int]:
        """The next message, and its bytes on the wire.

        ``deadline`` is on ``time.monotonic``'s clock. Raises ``ChildSlowError`` past it and
        ``ChildDiedError`` where the process ends first.
        """
        try:
            if not self._ours.poll(max(deadline - time.monotonic(), 0)):
                raise ChildSlowError
            raw = self._ours.recv_bytes(MAX_MESSAGE)
        except (EOFError, OSError) as error:
            raise self._death() from error
        message: Message = json.loads(raw)
        return message, len(raw)

    def end(self) -> None:
        """Kill it and close the pipe. It keeps nothing that could be lost."""
        self._process.kill()
        self._process.wait()
        self._ours.close()

    def _death(self) -> ChildDiedError:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return ChildDiedError("it closed its pipe")
        if code >= 0:
            return ChildDiedError(f"it ended with exit code {code}")
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return ChildDiedError(f"it was ended by {name}")


def own_pipe(descriptor: str) -> Connection:
    """The child's end of the pipe; what libraries print goes nowhere near it."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    return Connection(int(descriptor))


def send(pipe: Connection, message: Message) -> None:
    """Send one message from the child."""
    pipe.send_bytes(json.dumps(message).encode())


def receive(pipe: Connection) -> Message | None:
    """The next message in the child; None where the parent is gone."""
    try:
        message: Message = json.loads(pipe.recv_bytes())
    except (EOFError, OSError):
        return None
    return message


_RECORD = TypeAdapter(Record)


def record_to_wire(record: Record) -> Message:
    """A record as JSON-able values; what was withheld is written out first."""
    kind, values = record.__reduce__()
    message: Message = _RECORD.dump_python(kind(*values), mode="json")
    return message


def record_from_wire(values: Message) -> Record:
    """Inverse of ``record_to_wire``."""
    return _RECORD.validate_python(values)


def error_to_wire(error: LLM4TOPError) -> Message:
    """An error as JSON-able values."""
    values: Message = {
        "code": type(error).__name__,
        "message": error.message,
        "where": error.where,
        "hint": error.hint,
    }
    if isinstance(error, RegistryError):
        values |= {"file": error.file, "line": error.line, "element": error.element}
    return values


def error_from_wire(values: Message) -> LLM4TOPError:
    """The error again, of its own class where that is one of ``llm4top.errors``."""
    found = getattr(errors, str(values["code"]), LLM4TOPError)
    kind = found if isinstance(found, type) and issubclass(found, LLM4TOPError) else LLM4TOPError
    error = kind.__new__(kind)
    LLM4TOPError.__init__(error, str(values["message"]), where=values["where"], hint=values["hint"])
    for name in ("file", "line", "element"):
        if name in values:
            setattr(error, name, values[name])
    return error
