"""Reading uploads in a sandboxed process with bounded memory and time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llm4top.registry.limits import Limits
from llm4top.registry.trial import ReadNote, Record
from llm4top.text import thousands
from llm4top.workspace.serving.ipc import (
    Child,
    ChildDiedError,
    ChildSlowError,
    Message,
    record_from_wire,
)

_MODULE = "llm4top.workspace.serving.parsing_child"
_USES = 500
"""Uploads after which a process is replaced, so that nothing of one can pile up in the next."""


@dataclass(frozen=True, slots=True)
class ParsingLimits:
    """What reading one upload may take.

    ``limits`` are the registry's caps on the content. ``memory_bytes`` bounds the address space of
    the process that reads, ``cpu_seconds`` its processor time and ``wall_seconds`` the wait for
    its next record. ``max_records`` stops after so many; None reads to the end.
    """

    limits: Limits = field(
        default_factory=lambda: Limits(
            zip_members=200_000, zip_member_bytes=500_000_000, zip_total_bytes=4_000_000_000
        )
    )
    memory_bytes: int = 2_000_000_000
    cpu_seconds: int = 60
    wall_seconds: float = 60.0
    max_records: int | None = None


NOTE = "Note"
"""The code of a sentence about what was read that concerns no record of it."""

NOT_APPLICABLE = "NotApplicable"
"""The code of a record that the question does not apply to; other codes are errors' classes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file or record of an upload that cannot be forecast, and why.

    ``record`` is the name the user knows it by ("notes.xml", "archive.zip!member.xml"), ``code``
    the name of the error's class, ``reason`` what is wrong, ``hint`` what to do. ``subject`` is
    what ``not_asked`` gives for a record that was read well and that the question does not apply
    to; ``id`` is the stored row's.
    """

    record: str
    code: str
    reason: str
    hint: str | None = None
    line: int | None = None
    element: str | None = None
    subject: dict[str, Any] | None = None
    id: str = ""

    @classmethod
    def note(cls, words: str) -> Refusal:
        """A note, as it is stored with the records without a forecast."""
        return cls("", NOTE, words)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, every field by its name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EndOfUpload:
    """How the reading ended: ``more`` says that records beyond ``max_records`` were left."""

    more: bool


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as it came from the process that reads, and its bytes on the wire."""

    values: Message
    bytes: int


class UploadReader:
    """A process that reads uploads, one at a time; a dead one is replaced.

    Not for several threads at once. ``close`` ends the process.
    """

    def __init__(self, limits: ParsingLimits | None = None):
        self._limits = limits or ParsingLimits()
        self._child: Child | None = None
        self._uses = 0

    @property
    def pid(self) -> int | None:
        """The process's id; None where there is none."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start the process now rather than at the first upload."""
        if self._child is None or not self._child.alive or self._uses >= _USES:
            self.close()
            self._child = Child(_MODULE, [str(self._limits.memory_bytes)])
            self._uses = 0

    def close(self) -> None:
        """End the process; the next reading starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def read_raw(
        self, path: Path, name: str, *, every: bool = False
    ) -> Iterator[RawRecord | Refusal | ReadNote | EndOfUpload]:
        """Records of the upload as they come on the wire, refusals and notes, and the end.

        ``name`` is what the user calls it. An upload on which the process dies or hangs ends with
        a refusal that says so. Left early, the process is ended. ``every`` reads on past
        ``max_records``.
        """
        self.start()
        child = self._child
        assert child is not None
        self._uses += 1
        whole = False
        try:
            child.send(self._job(path, name, None if every else self._limits.max_records))
            while not whole:
                message, size = child.receive(time.monotonic() + self._limits.wall_seconds)
                if "record" in message:
                    yield RawRecord(message["record"], size)
                elif "refusal" in message:
                    yield _refusal(message["refusal"])
                elif "note" in message:
                    yield ReadNote(**message["note"])
                else:
                    whole = True
                    yield EndOfUpload(bool(message["more"]))
        except ChildDiedError as death:
            yield self._died(name, str(death))
        except ChildSlowError:
            yield _overdue(name, f"{self._limits.wall_seconds:g} seconds")
        finally:
            if not whole:
                self.close()

    def read(self, path: Path, name: str) -> Iterator[Record | Refusal | ReadNote]:
        """Records of the upload, refusals and notes among them; see ``read_raw``."""
        for item in self.read_raw(path, name):
            if isinstance(item, (Refusal, ReadNote)):
                yield item
            elif isinstance(item, RawRecord):
                yield record_from_wire(item.values)

    def _job(self, path: Path, name: str, most: int | None) -> Message:
        return {
            "path": str(path),
            "name": name,
            "limits": asdict(self._limits.limits),
            "max_records": most,
            "cpu_seconds": self._limits.cpu_seconds,
        }

    def _died(self, name: str, how: str) -> Refusal:
        if "SIGXCPU" in how:
            return _overdue(name, f"{self._limits.cpu_seconds} seconds of processor time")
        if "exit code 3" in how:
            megabytes = self._limits.memory_bytes // 1_000_000
            return Refusal(
                name,
                "LimitError",
                f"reading it takes more than {thousands(megabytes)} MB of memory.",
                "Split it into smaller files.",
            )
        return Refusal(
            name,
            "MalformedRecordError",
            f"the process that reads uploads stopped on it ({how}).",
            "Try again with half of the records to find the one that does it.",
        )


def _overdue(name: str, limit: str) -> Refusal:
    return Refusal(
        name, "LimitError", f"reading it takes more than {limit}.", "Split it into smaller files."
    )


def _refusal(values: Message) -> Refusal:
    return Refusal(
        record=str(values.get("file") or values["where"]),
        code=str(values["code"]),
        reason=str(values["message"]),
        hint=values["hint"],
        line=values.get("line"),
        element=values.get("element"),
    )
