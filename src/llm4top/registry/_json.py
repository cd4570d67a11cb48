"""Cut a JSON file into its studies without holding more than one of them.

The cut follows the brackets outside strings, so that one broken study costs itself alone, and
each study keeps its own bytes (for its hash), its first line and its depth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Protocol

from llm4top.errors import LimitError, MalformedRecordError, RegistryError
from llm4top.registry._limits import Limits
from llm4top.registry._text import clean

CHUNK = 1 << 18
_BOM = b"\xef\xbb\xbf"
_AGAIN = "Export the studies again from ClinicalTrials.gov."
# The keys that the API writes before the list of studies.
_WRAPPED = re.compile(
    rb'\s*\{\s*(?:"(?:totalCount|nextPageToken)"\s*:[^,{\[]*,\s*)*"studies"\s*:\s*\['
)
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]"]', re.DOTALL)
_OPEN = frozenset(b"{[")
_QUOTE, _BRACE = b'"{'
_CONTROL = re.compile(rb"\\u(?:00[01]|007[fF]|[dD][89a-fA-F])")


class Readable(Protocol):
    """Anything that yields bytes on request: a file, or an archive's member."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        ...


class Piece:
    """The bytes of one study, the 1-based line they start on and their position."""

    __slots__ = ("data", "line", "number")

    def __init__(self, data: bytes, line: int, number: int):
        self.data = data
        self.line = line
        self.number = number


def cut(stream: Readable, name: str, limits: Limits) -> Iterator[Piece | RegistryError]:
    """The studies of a JSON file as bytes; an error stands in for a study that cannot be cut.

    Reads one study, an array of studies, an export (``{"studies": [...]}``) and JSON lines.
    """
    head = stream.read(CHUNK)
    if head.startswith(_BOM):
        head = head[len(_BOM) :]
    if head.lstrip().startswith(b"["):
        return _Cutter(stream, name, limits, head, base=1).pieces()
    if _WRAPPED.match(head):
        return _Cutter(stream, name, limits, head, base=2).pieces()
    lines = head.split(b"\n", 2)
    if len(lines) > 1 and lines[0].startswith(b"{") and lines[1].startswith(b"{"):
        return _lines(stream, name, limits, head)
    return _Cutter(stream, name, limits, head, base=0).pieces()


def _lines(
    stream: Readable, name: str, limits: Limits, buffer: bytes
) -> Iterator[Piece | RegistryError]:
    """One study a line."""
    number = line = 0
    chunk = buffer
    while True:
        *whole, buffer = buffer.split(b"\n") if chunk else (*buffer.split(b"\n"), b"")
        for data in whole:
            line += 1
            if data.strip():
                number += 1
                yield Piece(data, line, number)
        if not chunk:
            return
        if len(buffer) > limits.record_bytes:
            raise _too_large(name, limits, line + 1)
        chunk = stream.read(max(CHUNK, len(buffer)))
        buffer += chunk


class _Cutter:
    """Follow the brackets; an object at depth ``base`` is a study."""

    def __init__(self, stream: Readable, name: str, limits: Limits, head: bytes, *, base: int):
        self._stream = stream
        self._name = name
        self._limits = limits
        self._buffer = head
        self._base = base
        self._depth = 0
        self._start: int | None = None
        """Where the present study begins in the buffer."""
        self._gap: int | None = None if base else 0
        """Where the bytes between two studies begin in the buffer."""
        self._position = 0
        """Up to where the buffer is scanned."""
        self._waiting = False
        """Whether the scan stopped at a string whose end is still to come."""
        self._oversize = False
        self._number = 0
        self._line = 1
        """The line of the buffer's first byte."""

    def pieces(self) -> Iterator[Piece | RegistryError]:
        """Each study; raises when the rest of the file cannot be told apart."""
        more = True
        while more:
            more = self._fill()
            self._waiting = False
            for token in _TOKEN.finditer(self._buffer, self._position):
                byte = self._buffer[token.start()]
                if byte == _QUOTE:
                    if token.end() - token.start() == 1:
                        self._waiting = True
                        break
                    self._position = token.end()
                elif byte in _OPEN:
                    yield from self._open(token.start(), byte)
                else:
                    yield from self._close(token.end())
                    if self._depth < self._base:
                        return
            else:
                self._position = len(self._buffer)
        if self._depth or self._position < len(self._buffer):
            raise self._error(
                "the file ends in the middle of a study or list.",
                self._start if self._start is not None else self._position,
            )
        yield from self._between(len(self._buffer))

    def _fill(self) -> bool:
        """Let go of what is done with and read on; ``False`` at the end of the file."""
        position = self._position
        if self._waiting and len(self._buffer) - position > self._limits.record_bytes:
            raise _too_large(self._name, self._limits, self._line_at(position))
        if self._start is not None and position - self._start > self._limits.record_bytes:
            self._oversize = True
        if self._start is not None and not self._oversize:
            keep = self._start
        else:
            keep = position if self._gap is None else min(position, self._gap)
        chunk = self._stream.read(max(CHUNK, len(self._buffer) - keep))
        if keep:
            self._line += self._buffer.count(b"\n", 0, keep)
            self._buffer = self._buffer[keep:] + chunk
            self._position -= keep
            self._start = None if self._start is None else max(0, self._start - keep)
            self._gap = None if self._gap is None else self._gap - keep
        else:
            self._buffer += chunk
        return bool(chunk)

    def _open(self, at: int, byte: int) -> Iterator[RegistryError]:
        if self._depth == self._base and byte == _BRACE:
            yield from self._between(at)
            self._start = at
        self._depth += 1
        self._position = at + 1
        if self._depth - self._base > self._limits.depth:
            raise LimitError(
                f"the JSON is nested deeper than {self._limits.depth} values.",
                file=self._name,
                line=self._line_at(at),
                hint="No registry record is. " + _AGAIN,
            )
        if self._depth == self._base and self._start is None:
            self._gap = at + 1

    def _close(self, end: int) -> Iterator[Piece | RegistryError]:
        self._depth -= 1
        self._position = end
        if self._depth < self._base:
            if not self._base:
                raise self._error("a bracket closes what was never opened.", end - 1)
            yield from self._between(end - 1)
        elif self._depth == self._base and self._start is not None:
            start, self._start, self._gap = self._start, None, end
            self._number += 1
            if self._oversize or end - start > self._limits.record_bytes:
                self._oversize = False
                yield _too_large(
                    f"{self._name}!#{self._number}", self._limits, self._line_at(start)
                )
            else:
                yield Piece(self._buffer[start:end], self._line_at(start), self._number)

    def _between(self, end: int) -> Iterator[RegistryError]:
        """Between two studies stand a comma and blanks, nothing else."""
        start, self._gap = self._gap, None
        if start is None:
            return
        found = self._buffer[start:end].strip(b", \t\r\n")
        if found:
            shown = found[:40].decode("utf-8", "replace")
            yield self._error(f"“{shown}” stands where a study should.", start)

    def _line_at(self, position: int) -> int:
        return self._line + self._buffer.count(b"\n", 0, position)

    def _error(self, message: str, position: int) -> MalformedRecordError:
        return MalformedRecordError(
            message, file=self._name, line=self._line_at(position), hint=_AGAIN
        )


def _too_large(name: str, limits: Limits, line: int) -> LimitError:
    return LimitError(
        f"a record has more than {limits.record_bytes:,} bytes.",
        file=name,
        line=line,
        hint="Raise Limits.record_bytes if you trust the file.",
    )


# ------------------------------------------------------------------------------ one study


def load(piece: Piece, name: str, limits: Limits) -> Any:
    """The value of one study's bytes."""
    data = piece.data
    # A value needs two bytes at least, so only a large study can hold too many.
    if len(data) > 2 * limits.values and data.count(b",") >= limits.values:
        raise LimitError(
            f"the record has more than {limits.values:,} values.",
            file=name,
            line=piece.line,
            hint="Raise Limits.values if you trust the file.",
        )
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _broken(error.msg, name, piece.line + error.lineno - 1) from None
    except UnicodeDecodeError:
        raise _broken("it is not in UTF-8", name, piece.line) from None
    except (ValueError, RecursionError) as error:
        raise _broken(str(error)[:80], name, piece.line) from None
    if len(data) > limits.text_length or _CONTROL.search(data):
        return _checked(value, name, limits, piece.line)
    return value


def _checked(value: Any, name: str, limits: Limits, line: int) -> Any:
    """``value`` with clean texts, none of them too long."""
    if isinstance(value, str):
        if len(value) > limits.text_length:
            raise LimitError(
                f"a text has {len(value):,} characters, the limit is {limits.text_length:,}.",
                file=name,
                line=line,
                hint="Raise Limits.text_length if you trust the file.",
            )
        return clean(value)
    if isinstance(value, list):
        return [_checked(item, name, limits, line) for item in value]
    if isinstance(value, dict):
        return {clean(key): _checked(item, name, limits, line) for key, item in value.items()}
    return value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON value")


def _broken(message: str, name: str, line: int) -> MalformedRecordError:
    return MalformedRecordError(
        f"the JSON is broken: {message}.", file=name, line=line, hint=_AGAIN
    )
