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
from typing import NamedTuple

from llm4top.registry import criteria_marks

_NARROWEST, _WIDEST = 48, 110  # how wide the longest line of a wrapped text may be
_XML_INDENT, _XML_WIDTH = 6, 80  # the legacy XML indents by 8 and wraps a little below 100
_ENDLESS = 10**9
_ROUNDS = 20  # a mark may stand behind a mark; a round changes nothing more soon enough
_SENTENCE_ENDS = (".", ";", ":", "!", "?")
_BREAKS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_HEADINGS = frozenset({"Inclusion Criteria:", "Exclusion Criteria:"})
# How words begin that are certainly no mark and no heading of a section: most lines do, and need
# no closer look.
_WORDS = re.compile(
    r"(?!(?i:(?:key|main|major|general|specific|study|subject|patient|participant)s? )*"
    r"(?i:in|ex)(?i:clusion)|o )"
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
        written: list[str] = []
        for line in lines:
            if several and criteria_marks.may_hold_several(line):
                written += _written(line)
            elif line in _HEADINGS:
                written.append(line)
            elif _WORDS.match(line, begin := 2 if line[:2] == "- " else 0):
                written.append(_marked(line[begin:]))
            else:
                written += _written(line)
        old, text = text, "\n".join(written)
        if text == old or (not several and criteria_marks.without_letters(text) is text):
            break
    _last[0] = text
    return text or None


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


def _marked(words: str) -> str:
    return words if words[-1] == ":" and criteria_marks.introduces(words) else "- " + words


class _Row(NamedTuple):
    """A line as typed: its words, its mark, and the columns of both and of its end."""

    text: str
    mark: re.Match[str] | None
    indent: int
    hang: int
    width: int


def _row(row: str) -> _Row:
    text = " ".join(row.split())
    indent = len(row) - len(row.lstrip())
    first = len(text.split(" ", 1)[0])
    behind = row[indent + first :]
    hang = indent + first + len(behind) - len(behind.lstrip())
    return _Row(text, criteria_marks.MARK.match(text), indent, hang, len(row))


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
        if "\r" in text:
            text = text.replace("\r", " " if "\n" in text else "\n")
        if not text.isascii() or "\x0b" in text or "\x0c" in text:
            text = _BREAKS.sub("\n", text)
        if "\t" in text:
            text = text.expandtabs()
        self.rows = list(map(str.rstrip, criteria_marks.without_letters(text).split("\n")))
        self.texts: list[str] = []
        self.joins: list[bool] = []
        self.doubts: list[_Doubt] = []
        self._measure = 0

    def criteria(self) -> list[str]:
        """The rows on one line each, with those put together that a hard wrap has parted."""
        block: list[str] = []
        for row in (*self.rows, ""):
            if row:
                block.append(row)
            elif block:
                self._add(block)
                block = []
        if self.doubts:
            for number in self._wraps():
                self.joins[number] = True
        lines: list[str] = []
        for text, joined in zip(self.texts, self.joins, strict=True):
            if joined:
                lines[-1] += " " + text
            else:
                lines.append(text)
        return lines

    @property
    def measure(self) -> int:
        """The column at which the text may have been wrapped."""
        if not self._measure:
            widest = max(map(len, self.rows))
            if widest > _WIDEST:  # a row of one long word may be wider
                widest = max((len(row) for row in self.rows if len(row.split()) > 4), default=0)
            self._measure = widest if _NARROWEST <= widest <= _WIDEST else _ENDLESS
        return self._measure

    def _add(self, block: list[str]) -> None:
        """Add rows without a blank one between them."""
        if len(block) == 1 or _is_hanging(block):
            self.texts.append(" ".join(" ".join(block).split()))
            self.joins.append(False)
            return
        if all(
            row[:2] == "- " or (row[-1] == ":" and criteria_marks.introduces(row)) for row in block
        ):
            self.texts += [" ".join(row.split()) for row in block]
            self.joins += [False] * len(block)
            return
        rows = [_row(row) for row in block]
        head, number = rows[0], 0  # what begins the criterion; the last number of a list
        for i, row in enumerate(rows):
            above = rows[i - 1] if i else None
            this = criteria_marks.counted(row.mark)
            deeper = head.mark is not None and row.indent > head.indent
            full = above is not None and self._is_full(above, row)
            # Words that only a wrap has put where a mark would stand: "older than / 18. Patients"
            stray = (full or deeper) and this is not None and this not in (1, number + 1)
            stray = stray or (full and deeper and row.indent == head.hang)
            joined = above is not None and _joins(row, above, deeper, full, stray)
            if joined is None and above is not None:
                self.doubts.append(
                    _Doubt(
                        len(self.texts),
                        full,
                        row.text[0].islower(),
                        above.text[-1],
                        head.mark is not None,
                    )
                )
            self.texts.append(row.text)
            self.joins.append(bool(joined))
            if not joined and not (joined is None and full):
                head, number = row, this or number

    def _is_full(self, above: _Row, row: _Row) -> bool:
        return above.width + 1 + len(row.text.split(" ", 1)[0]) > self.measure

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
    if criteria_marks.section(row.text) or (row.mark and not stray):
        return False
    if deeper:
        return full or not criteria_marks.introduces(row.text)
    if criteria_marks.introduces(row.text) and not (
        full and criteria_marks.goes_on(above.text, row.text)
    ):
        return False
    return None
