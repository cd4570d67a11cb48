"""The rows of a table of two columns on a page of a PDF: headings on the left, text on the right.

A PDF keeps no tables, only where each letter stands. pypdf's layout mode writes a page with blanks
between its columns; where several known headings stand left of one and the same column, the page
is taken for such a table.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm4top.registry.synopsis_headings import section_of

_LONGEST_LABEL = 80
_LONGEST_LINE = 400
_LEAST_KNOWN = 3
_NUMBER = re.compile(r"\d{1,2}(?:\.\d{1,2})*[.)]?\s+")
_LEFT = re.compile(r"\s*(?P<label>\S(?:\S| (?! ))*)\s{2,}(?=\S)")


@dataclass(slots=True)
class Row:
    """A line of a page, or a row of its table: then with a label. ``line`` is where it begins."""

    lines: list[str]
    line: int
    label: str = ""


def may_hold_a_table(text: str) -> bool:
    """Whether several lines begin with a known heading and go on; cheap, so it is asked first."""
    return sum(map(_begins_with_a_heading, text.splitlines())) >= _LEAST_KNOWN


def rows_of(layout: str, text: str) -> list[Row] | None:
    """The rows and other lines of a page, in their order; None where there is no such table.

    Args:
        layout: The page in pypdf's layout mode.
        text: The page as plain text, from which words and line numbers are taken: the layout
            mode puts blanks into words.
    """
    lines = layout.splitlines()
    column = _column_of(lines)
    if column is None:
        return None
    found: list[Row] = []
    after_blank = True
    plain = _endings(text)
    for number, line in enumerate(lines, 1):
        if line.strip():
            _take(found, line, column, after_blank, plain, number)
        after_blank = not line.strip()
    return found


def _begins_with_a_heading(line: str) -> bool:
    words = _NUMBER.sub("", line.strip(), count=1).split()
    return any(section_of(" ".join(words[:k])) is not None for k in range(1, min(len(words), 7)))


def _column_of(lines: Sequence[str]) -> int | None:
    """Where the right column begins: behind the most headings that are known, three at least."""
    known: Counter[int] = Counter()
    for line in lines:
        left = _LEFT.match(line)
        if left is None or len(left["label"]) > _LONGEST_LABEL:
            continue
        if section_of(_NUMBER.sub("", left["label"], count=1)) is not None:
            known[left.end()] += 1
    if not known:
        return None
    column, count = known.most_common(1)[0]
    return column if count >= _LEAST_KNOWN else None


def _take(
    found: list[Row],
    line: str,
    column: int,
    after_blank: bool,
    plain: dict[str, tuple[str, int]],
    number: int,
) -> None:
    """Put a line to the rows: it begins one, goes on with one, or stands for itself."""
    row = found[-1] if found and found[-1].label else None
    cells = _cells(line, column)
    left, right = cells or (line, "")
    goes_on = not left or left[:1].islower() or (not right and not after_blank)
    if row is not None and cells is not None and goes_on:
        row.label = f"{row.label} {left}".strip()
        row.lines += [_restored(right, plain, number)[0]] if right else []
    elif left and right:
        text, at = _restored(right, plain, number)
        found.append(Row([text], at, left))
    else:
        text, at = _restored(line, plain, number)
        found.append(Row([text], at))


def _cells(line: str, column: int) -> tuple[str, str] | None:
    """What stands left and right of the column; None where a text goes across it."""
    if len(line.rstrip()) < column:
        return line.strip(), ""
    for start in (column, column - 1, column + 1):
        left, right = line[:start], line[start:]
        if right[:1].strip() and (not left.strip() or left.endswith("  ")):
            return left.strip(), right.strip()
    return None


def _endings(text: str) -> dict[str, tuple[str, int]]:
    """Every ending of a line from the start of a word, by its letters without blanks."""
    found: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for start in _starts(line):
            ending = line[start:].strip()
            found.setdefault("".join(ending.split()), (ending, number))
    return found


def _starts(line: str) -> Iterator[int]:
    if len(line) <= _LONGEST_LINE:
        yield from (word.start() for word in re.finditer(r"\S+", line))


def _restored(shown: str, plain: dict[str, tuple[str, int]], number: int) -> tuple[str, int]:
    """A piece of the layout with its words as the plain text has them, and that text's line."""
    return plain.get("".join(shown.split()), (" ".join(shown.split()), number))
