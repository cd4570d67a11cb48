"""Cut a JSON file into its studies without holding more than one of them.

A file is one value after the other: studies, lists of them, and pages of the API
(``{"studies": [...]}``), in any order, on one line or on many. The cut follows the brackets outside
strings, so that one broken study costs itself alone, and each study keeps its own bytes (for its
hash), its first line and its depth. Where the brackets of a study do not close, the next line that
begins with one ends it. Whatever is neither a study nor around one is an error: no byte is left
unread in silence.
"""

import re
from collections.abc import Generator, Iterator
from typing import Protocol

from llm4top.errors import LimitError, MalformedRecordError, RegistryError
from llm4top.registry.json_pages import AGAIN, FRAME, Page, Search
from llm4top.registry.limits import Limits, beyond
from llm4top.registry.normalize_text import printable
from llm4top.registry.trial import ReadNote
from llm4top.text import thousands

CHUNK = 1 << 18
_BOM = b"\xef\xbb\xbf"
_BOM_BEGUN = re.compile(rb"\xef\xbb?\Z")
# The patterns are atomic (?>...): they never try a shorter match again, so that no text, however
# hostile, takes more than one pass. Groups are not possessive (*+), which Python matches wrongly
# before 3.11.5 (github.com/python/cpython/issues/106052): studies were lost.
# No JSON string holds a line break; one before a "{" ends a broken string.
_INSIDE = rb'(?>(?:[^"\\\n]++|\\(?!\n\{).|\n(?!\{))*)'
_STRING = re.compile(b'"' + _INSIDE, re.DOTALL)
# Up to the next bracket outside of strings, or to a string that does not end.
_NEXT = re.compile(rb'(?>(?:[^"{}\[\]]++|"' + _INSIDE + rb'")*)[{}\[\]"]', re.DOTALL)
_QUOTE, _BRACE, _BRACKET, _END_BRACKET = b'"{[]'
_OPEN = frozenset(b"{[")
# Beside commas and blanks the marks that end a file under DOS and begin a JSON text sequence.
_SEPARATORS = b", \t\r\n\f\x1a\x1e"
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"{}[]")))
_LINE_BEGINS = frozenset({b"{", b"]", b"\r", b"\n"})
_USUAL_DEPTH = 16
_SHOWN = 40  # bytes of what stands where a study should
_LOOK_BACK = 64
_LONGEST_FRAME = 4096


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


Cut = Piece | RegistryError | ReadNote


def cut(stream: Readable, name: str, limits: Limits) -> Iterator[Cut]:
    """The studies of a JSON file as bytes; an error stands in for a study that cannot be cut.

    Notes say what is missing of a search whose pages are not all there.
    """
    return _Cutter(stream, name, limits).pieces()


class _Cutter:
    """Follow the brackets; an object at depth ``base`` is a study, until it proves to be a page.

    The buffer holds the present study from its first byte and what was read behind it. ``_scan``
    jumps from bracket to bracket outside of strings and counts the depth. ``_base`` is the depth
    at which studies stand: 0 in JSON Lines, 1 more in each list, 2 more in each page (an object
    with a list). A study is cut where the depth returns to ``_base``. Nothing but commas and blanks
    may stand between two studies (``_look_between``). A study that is refused (too large, too
    deep) is still followed to its end, but its bytes are dropped, so memory stays bounded.
    """

    def __init__(self, stream: Readable, name: str, limits: Limits):
        self._stream = stream
        self._name = name
        self._limits = limits
        self._search = Search(name)
        self._around: list[Page | None] = []
        """What the studies stand in, from the outside in: a page, or None for a list."""
        self._after: Page | None = None
        """The page whose end, behind its studies, is being read."""
        self._buffer = b""
        self._base = 0
        self._depth = 0
        self._start: int | None = None
        """Where the present study begins in the buffer."""
        self._start_line = 1
        self._open_brackets = bytearray()
        """Those of the present study, unless it is refused already."""
        self._gap = 0
        """Up to where the bytes between two studies have been looked at."""
        self._strange = b""
        """The first bytes between two studies that should not be there."""
        self._strange_line = 0
        self._position = 0
        """Up to where the buffer is scanned."""
        self._fault: RegistryError | None = None
        """Why the present study is refused; its bytes are not kept."""
        self._more = True
        """Whether the file may go on behind the buffer."""
        self._number = 0
        self._line = 1
        """The line that ``_lined`` is on."""
        self._lined = 0
        """A position of the buffer."""

    def pieces(self) -> Iterator[Cut]:
        """Each study; at the end, what is missing of the file."""
        while self._more:
            self._more = self._fill()
            while (yield from self._scan()):
                pass
        yield from self._end()

    def _fill(self) -> bool:
        """Drop the bytes that are done with and read on; ``False`` at the end of the file.

        The next read is as long as what stays, so that a long study costs its length, not the
        square of it.
        """
        if self._start is None:
            begun = _BOM_BEGUN.search(self._buffer, self._gap, self._position)
            self._look_between(begun.start() if begun else self._position)
            keep = min(self._gap, self._position)
        elif self._fault is not None:
            keep = max(0, self._position - _LOOK_BACK)
        else:
            keep = self._start
        chunk = self._stream.read(max(CHUNK, len(self._buffer) - keep))
        if keep:
            self._line_at(keep)
            self._lined = 0
            self._buffer = self._buffer[keep:] + chunk
            self._position -= keep
            self._gap -= keep
            self._start = None if self._start is None else max(0, self._start - keep)
        else:
            self._buffer += chunk
        return bool(chunk)

    def _scan(self) -> Generator[Cut, None, bool]:
        """Go through the buffer; true where the scan is to begin again from ``_position``."""
        buffer, after = self._buffer, self._position
        while (found := _NEXT.match(buffer, after)) is not None:
            after = found.end()
            at = after - 1
            byte = buffer[at]
            if byte == _QUOTE:
                return (yield from self._open_string(at))
            if self._start is None:
                if byte == _BRACE and self._more and len(buffer) - at < _LONGEST_FRAME:
                    self._position = at  # more bytes are needed to tell whether a page begins here
                    return False
                after = yield from self._around_studies(at, byte)
            elif byte in _OPEN:
                if byte == _BRACE and self._breaks_off(at):
                    yield from self._break_off(at)
                    continue
                self._depth += 1
                if self._fault is None:
                    self._open_brackets.append(byte)
                    if self._depth - self._base > self._limits.depth:
                        self._fault = self._too_deep(at)
            else:
                self._depth -= 1
                del self._open_brackets[-1:]
                if self._depth == self._base:
                    yield from self._finish(after)
        self._position = len(buffer)
        self._check_size(self._position)
        return False

    def _open_string(self, at: int) -> Generator[Cut, None, bool]:
        """A string that does not end in the buffer: it is broken, or more of it is to come."""
        buffer = self._buffer
        inside = _STRING.match(buffer, at)
        assert inside is not None  # there is a quotation mark
        end = inside.end()
        # A line break, and a bracket on the next line: the closing quotation mark is missing.
        # Otherwise the string goes on behind the buffer.
        if buffer[end : end + 1] == b"\n" or buffer[end : end + 3] == b"\\\n{":
            self._position = buffer.index(b"{", end)
            if self._start is not None:
                yield from self._break_off(self._position)
                self._position += 1
            return True
        self._position = at
        self._check_size(len(buffer))
        if self._start is None or self._fault is not None:  # nobody needs its text
            self._look_between(end)
            self._line_at(end)
            self._lined = at + 1
            self._buffer = buffer[: at + 1] + buffer[end:]
            self._gap = min(self._gap, at + 1)
        return False

    # -------------------------------------------------------------------- around studies

    def _around_studies(self, at: int, byte: int) -> Generator[Cut, None, int]:
        """A bracket outside of any study; where to go on."""
        after = at + 1
        if byte == _BRACE:
            yield from self._between(at)
            page = FRAME.match(self._buffer, at, at + _LONGEST_FRAME)
            if page is None:
                self._begin(at)
                if (end := self._line_filled(at)) is not None:
                    self._depth, after = self._base, end
                    yield from self._finish(end)
            else:
                after = page.end()
                self._enter(Page(page[0], self._line_at(at)), after)
        elif byte == _BRACKET:
            yield from self._between(at)
            self._enter(None, after)
        elif byte == _END_BRACKET and self._around:
            yield from self._between(at)
            page_ended = self._around.pop()
            self._gap = after
            if page_ended is None:
                self._base = self._depth = self._base - 1
            else:
                self._base -= 2
                self._begin(at)  # what stands behind the studies ends where a study would
                self._after = page_ended
        # Any other bracket closes nothing: it is one of the bytes that should not be there.
        return after

    def _enter(self, page: Page | None, begin: int) -> None:
        """Studies follow from ``begin`` on, in a page or in a list."""
        self._around.append(page)
        if len(self._around) > self._limits.depth:
            raise self._too_deep(begin)
        self._base += 1 if page is None else 2
        self._depth = self._base
        self._start, self._gap = None, begin

    def _look_between(self, end: int) -> None:
        """Between two studies stand commas and blanks; remember the first of anything else."""
        if self._start is not None or end <= self._gap:
            return
        found = self._buffer[self._gap : end]
        if not self._strange:
            found = found.replace(_BOM, b"").lstrip(_SEPARATORS)
            self._strange_line = self._line_at(end - len(found))
        self._strange += found[: _SHOWN - len(self._strange)]
        self._gap = end

    def _between(self, end: int) -> Iterator[RegistryError]:
        """The error for what stands between two studies, the second beginning at ``end``."""
        self._look_between(end)
        found, self._strange = self._strange.rstrip(_SEPARATORS), b""
        if found:
            shown = printable(found.decode("utf-8", "replace"))
            yield self._error(f"“{shown}” stands where a study should.", self._strange_line)

    # ---------------------------------------------------------------------- of one study

    def _begin(self, at: int) -> None:
        self._start = at
        self._start_line = self._line_at(at)
        self._depth = self._base + 1
        self._open_brackets = bytearray(b"{")

    def _line_filled(self, at: int) -> int | None:
        """The end of a study that fills a line, as JSON Lines have it; None: only a scan tells.

        Brackets in texts are counted too, so it is at most as sure as the line's own end.
        """
        buffer = self._buffer
        end = buffer.find(b"\n", at)
        if end < 0 or buffer[end + 1 : end + 2] not in _LINE_BEGINS:
            return None
        line = buffer[at:end].rstrip(_SEPARATORS)
        if not line.endswith(b"}"):
            return None
        inside = line.translate(None, _NO_BRACKETS)[1:-1]  # balanced: no second study after it
        for _ in range(_USUAL_DEPTH):
            if not inside:
                return at + len(line)
            inside = inside.replace(b"{}", b"").replace(b"[]", b"")
        return None

    def _finish(self, end: int) -> Iterator[Cut]:
        """A study, or the end of a page, is there to its last bracket."""
        self._check_size(end)
        start, self._start, self._gap = self._start, None, end
        page, self._after = self._after, None
        fault, self._fault = self._fault, None
        if page is None:
            self._count()
        if fault is not None:
            yield fault
        elif page is not None:
            yield from self._search.add(page, self._buffer[start:end])
        else:
            yield Piece(self._buffer[start:end], self._start_line, self._number)

    def _count(self) -> None:
        self._number += 1
        page = self._around[-1] if self._around else None
        if page is not None:
            page.held += 1

    def _breaks_off(self, at: int) -> bool:
        """Whether a line begins with a bracket that cannot belong to the study before it."""
        if not self._buffer.endswith(b"\n", 0, at):
            return False
        before = self._buffer[max(0, at - _LOOK_BACK) : at].rstrip()[-1:]
        if before == b",":  # between the items of a list, never between the keys of an object
            return self._fault is None and self._open_brackets.endswith(b"{")
        return bool(before) and before not in b":[{"

    def _break_off(self, at: int) -> Iterator[RegistryError]:
        """The present study has no end; another begins at ``at``."""
        if self._after is None:
            self._count()
        yield self._fault or self._error("the line ends within a study.", self._start_line)
        self._fault = self._after = None
        self._begin(at)

    def _check_size(self, end: int) -> None:
        """Refuse the present study where it is too large up to ``end``."""
        if self._start is None or self._fault is not None:
            return
        if end - self._start > self._limits.record_bytes:
            number = self._number + 1
            self._fault = _too_large(f"{self._name}!#{number}", self._limits, self._start_line)

    def _too_deep(self, at: int) -> LimitError:
        return LimitError(
            f"the JSON is nested deeper than {self._limits.depth} values.",
            file=self._name,
            line=self._line_at(at),
            hint="No registry record is. " + AGAIN,
        )

    def _end(self) -> Iterator[Cut]:
        """What is wrong with the end of the file, or what it leaves out."""
        if self._start is not None:
            if self._fault is not None:
                yield self._fault
            yield self._error("the file ends in the middle of a study.", self._start_line)
            return
        yield from self._between(len(self._buffer))
        if self._around:
            line = self._line_at(len(self._buffer))
            yield self._error("the file ends in the middle of a list of studies.", line)
        else:
            yield from self._search.end()

    def _line_at(self, position: int) -> int:
        if position >= self._lined:
            self._line += self._buffer.count(b"\n", self._lined, position)
        else:
            self._line -= self._buffer.count(b"\n", position, self._lined)
        self._lined = position
        return self._line

    def _error(self, message: str, line: int) -> MalformedRecordError:
        return MalformedRecordError(message, file=self._name, line=line, hint=AGAIN)


def _too_large(name: str, limits: Limits, line: int) -> LimitError:
    return LimitError(
        f"a record has more than {thousands(limits.record_bytes)} bytes.",
        file=name,
        line=line,
        hint=beyond("record_bytes"),
    )
