"""One normal form of eligibility criteria, whatever the layout they came in.

In the normal form each criterion is one line and begins with "- "; the sections are headed by
"Inclusion Criteria:" and "Exclusion Criteria:"; any other short line that ends in a colon
("Age:", "One of the following:") introduces what follows and has no mark. Marks of lists
("-", "*", "•", "1.", "2)", "(a)", "ii.", "o"), indentation and blank lines are layout and do not
survive; words do, all of them and in their order.

**Lines.** A line that has a mark, follows a blank line or is a heading begins a criterion; below
a full line, words that only happen to end in a colon are no heading (``goes_on``). Of the other
line breaks some are meant and some are hard wraps. A break is a hard wrap where

1. the line is indented deeper than the mark of the criterion above it (a hanging indent), or
2. the line above is full, i.e. this line's first word had no room on it, with the longest line of
   the text (48 to 110 columns) as the measure, and the text as a whole looks wrapped: all of its
   unmarked breaks come after full lines, and they all continue marked criteria, or most of their
   lines begin in lower case, or the text is indented as the legacy XML indents.
3. Where only some breaks come after full lines, those are wraps whose line begins in lower case
   and does not follow the end of a sentence, unless lines begin in lower case elsewhere too.

Every other break is kept: text typed with single newlines keeps its lines. Lists within one line
are split by ``in_pieces``.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation

from llm4top.registry import criteria_marks

_NARROWEST, _WIDEST = 48, 110  # how wide the longest line of a wrapped text may be
_XML_INDENT, _XML_WIDTH = 6, 80  # the legacy XML indents by 8 and wraps a little below 100
_ENDLESS = 10**9
_SHORT = 60  # characters of a line whose form is kept for the next trial that has the line
_ROUNDS = 20  # a mark may stand behind a mark; a round changes nothing more soon enough
_SENTENCE_ENDS = (".", ";", ":", "!", "?")
_BREAKS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# What few texts hold: blanks other than the space, a letter that may count lines, and a space at
# the end of a row. All in one pass, where nothing else is left to do then.
_ODD = BytesAhoCorasick(
    [*(bytes([code]) for code in b"\t\r\x0b\x0c\x1c\x1d\x1e\x1f"), b"b. ", b"B. ", b" \n"],
    implementation=Implementation.DFA,
)
# How words begin that are certainly no mark and no heading of a section: most lines do, and need
# no closer look.
_WORDS = re.compile(
    # The first letter alone tells for most words that they begin no heading.
    r"(?:(?![KMGSPIEkmgspieo])"
    r"|(?!(?i:(?:key|main|major|general|specific|study|subject|patient|participant)s? )*"
    r"(?i:in|ex)(?i:clusion)|o ))"
    r"(?:[A-Za-z0-9]+[ ,;/%+-]|[A-Za-z]{5,}(?:[.):]|$)|<(?!(?i:in|ex))|[>≥≤])"
)


_last = [""]  # what was written last: a trial asks again for what its reader has just been given


def normal_criteria(text: str) -> str | None:
    """``text`` in the normal form; ``None`` when it holds no word. Idempotent."""
    if text and text is _last[0]:
        return text
    for _ in range(_ROUNDS):
        lines = _Layout(text).criteria()
        several = criteria_marks.may_hold_several("\n".join(lines))
        old, text = text, "\n".join(_all_written(lines, several))
        if text == old or (not several and criteria_marks.without_letters(text) is text):
            break
    _last[0] = text
    return text or None


def _all_written(lines: list[str], several: bool) -> list[str]:
    """The lines of the normal form; ``several``: one of ``lines`` may hold several of them."""
    written: list[str] = []
    for line in lines:
        if several and criteria_marks.may_hold_several(line):
            written += _written(line)
        elif _WORDS.match(line, begin := 2 if line[:2] == "- " else 0):
            if line[-1] == ":":
                written.append(_marked(line[begin:]))
            else:
                written.append(line if begin else "- " + line)
        elif len(line) <= _SHORT:
            written += _short_written(line)
        else:
            written += _written(line)
    return written


def _written(criterion: str) -> list[str]:
    """The lines of the normal form for what stood together: marks off, one mark on."""
    lines = []
    for piece in criteria_marks.in_pieces(criterion):
        begin = 0
        while mark := criteria_marks.MARK.match(piece, begin):
            begin = mark.end()
        words = piece[begin:]
        heading = criteria_marks.section(words)
        if heading:
            lines.append(heading)
        elif words:
            lines.append(_marked(words))
    return lines


@lru_cache(maxsize=4096)  # headings, above all
def _short_written(criterion: str) -> tuple[str, ...]:
    return tuple(_written(criterion))


def _marked(words: str) -> str:
    return words if words[-1] == ":" and criteria_marks.introduces(words) else "- " + words


class _Row(NamedTuple):
    """A line as typed, its words and its mark, and the column of its mark or first word."""

    typed: str
    text: str
    mark: re.Match[str] | None
    indent: int

    @property
    def hang(self) -> int:
        """The column of the words behind the mark."""
        first = self.indent + len(self.text.split(" ", 1)[0])
        behind = self.typed[first:]
        return first + len(behind) - len(behind.lstrip())


def _row(typed: str) -> _Row:
    words = typed.lstrip()
    indent = len(typed) - len(words)
    if "  " in words or not words.isprintable():
        words = " ".join(words.split())
    return _Row(typed, words, criteria_marks.mark_of(words), indent)


class _Doubt(NamedTuple):
    """A row that may continue the one above, or begin a criterion without a mark.

    ``full``: its first word had no room above; ``lower``: it begins in lower case; ``end``: how
    the row above ends; ``marked``: whether the criterion above has a mark.
    """

    row: int
    full: bool
    lower: bool
    end: str
    marked: bool


class _Layout:
    """The rows of a text, and which of them go on with the one above."""

    def __init__(self, text: str):
        text = text.replace("\r\n", "\n")
        plain = text.rstrip()
        self._is_plain = plain.isascii() and not _ODD.find_matches_as_indexes(plain.encode())
        self.text = plain if self._is_plain else _in_plain_rows(text)
        self.texts: list[str] = []
        self.joined: set[int] = set()
        self.doubts: list[_Doubt] = []
        self._measure = 0

    def criteria(self) -> list[str]:
        """The rows on one line each, with those put together that a hard wrap has parted."""
        texts, is_plain = self.texts, self._is_plain
        for block in self.text.split("\n\n"):
            if "\n" in block:
                rows = block.strip("\n").split("\n")
                if len(rows) > 1 and not _is_hanging(rows):
                    self._add(rows)
                    continue
                words = " ".join(block.split())
            elif is_plain:  # the only blank in it is the space
                words = block.strip()
                if "  " in words and "  " in (words := words.replace("  ", " ")):
                    words = " ".join(words.split())
            else:
                words = " ".join(block.split())
            if words:
                texts.append(words)
        if self.doubts:
            self.joined.update(self._wraps())
        if not self.joined:
            return texts
        lines: list[str] = []
        for number, text in enumerate(texts):
            if number in self.joined:
                lines[-1] += " " + text
            else:
                lines.append(text)
        return lines

    @property
    def rows(self) -> list[str]:
        """The lines as typed, without the blanks at their ends."""
        return self.text.split("\n")

    @property
    def measure(self) -> int:
        """The column at which the text may have been wrapped."""
        if not self._measure:
            rows = self.rows
            widest = max(map(len, rows))
            if widest > _WIDEST:  # a row of one long word may be wider
                widest = max((len(row) for row in rows if len(row.split()) > 4), default=0)
            self._measure = widest if _NARROWEST <= widest <= _WIDEST else _ENDLESS
        return self._measure

    def _add(self, block: list[str]) -> None:
        """Add rows without a blank one between them that do not all hang below the first."""
        if all(
            row[:2] == "- " or (row[-1] == ":" and criteria_marks.introduces(row)) for row in block
        ):
            self.texts += [" ".join(row.split()) for row in block]
            return
        above = head = _row(block[0])  # the row above; what begins the criterion
        number = criteria_marks.counted(head.mark) or 0  # the last number of a list
        self.texts.append(head.text)
        for typed in block[1:]:
            row = _row(typed)
            this = criteria_marks.counted(row.mark) if row.mark else None
            deeper = head.mark is not None and row.indent > head.indent
            full = self._is_full(above, row)
            # Words that only a wrap has put where a mark would stand: "older than / 18. Patients"
            stray = (full or deeper) and this is not None and this not in (1, number + 1)
            stray = stray or (full and deeper and row.indent == head.hang)
            joined = _joins(row, above, deeper, full, stray)
            if joined:
                self.joined.add(len(self.texts))
            elif joined is None:
                marked = head.mark is not None
                lower = row.text[0].islower()
                self.doubts.append(_Doubt(len(self.texts), full, lower, above.text[-1], marked))
            self.texts.append(row.text)
            if not joined and not (joined is None and full):
                head, number = row, this or number
            above = row

    def _is_full(self, above: _Row, row: _Row) -> bool:
        return len(above.typed) + 1 + len(row.text.split(" ", 1)[0]) > self.measure

    def _wraps(self) -> list[int]:
        """The rows before which the text was wrapped, found from the text as a whole."""
        doubts = [doubt for doubt in self.doubts if doubt.end != ";"]
        full = [doubt for doubt in doubts if doubt.full]
        if not full:
            return []
        lower = sum(doubt.lower for doubt in full)
        if len(full) == len(doubts) and (
            2 * lower >= len(full) or all(doubt.marked for doubt in full) or self._is_xml()
        ):
            return [doubt.row for doubt in full + self._after_semicolons()]
        if any(doubt.lower for doubt in doubts if not doubt.full):
            return []
        return [d.row for d in full if d.lower and d.end not in _SENTENCE_ENDS]

    def _after_semicolons(self) -> list[_Doubt]:
        """The rows after a semicolon, where none tells that semicolons end criteria here."""
        rows = [doubt for doubt in self.doubts if doubt.end == ";"]
        return rows if all(doubt.full and doubt.lower for doubt in rows) else []

    def _is_xml(self) -> bool:
        """Whether the text is laid out as in the legacy XML."""
        indents = (len(row) - len(row.lstrip()) for row in self.rows if row)
        return self.measure >= _XML_WIDTH and min(indents) >= _XML_INDENT


def _in_plain_rows(text: str) -> str:
    r"""``text`` with "\n" alone between rows, no tabs, no letters as marks, no blanks at ends."""
    if "\r" in text:
        text = text.replace("\r", " " if "\n" in text else "\n")
    if not text.isascii() or "\x0b" in text or "\x0c" in text:
        text = _BREAKS.sub("\n", text)
    if "\t" in text:
        text = text.expandtabs()
    return "\n".join(map(str.rstrip, criteria_marks.without_letters(text).split("\n")))


def _is_hanging(block: list[str]) -> bool:
    """Whether all rows certainly hang below the mark of the first."""
    first = block[0].lstrip()
    if first[:2] not in ("- ", "* "):
        return False
    indent = len(block[0]) - len(first)
    for row in block[1:]:
        words = row.lstrip()
        if len(row) - len(words) <= indent or words[-1] == ":" or not _WORDS.match(words):
            return False
    return True


def _joins(row: _Row, above: _Row, deeper: bool, full: bool, stray: bool) -> bool | None:
    """Whether ``row`` goes on with the criterion above it; None: it depends on the others."""
    text = row.text
    if criteria_marks.section(text) or (row.mark and not stray):
        return False
    introduces = text[-1] == ":" and criteria_marks.introduces(text)
    if deeper:
        return full or not introduces
    if introduces and not (full and criteria_marks.goes_on(above.text, text)):
        return False
    return None
