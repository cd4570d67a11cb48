"""Numbers and foreign text as a person reads them, written one way in every part of LLM4TOP.

A no-break space stands between a number and its unit, a narrow one between thousands.
"""

import csv
import io
from collections.abc import Iterable
from typing import TextIO

DISCLAIMER = "A research estimate: not medical or investment advice."

_SPACE = "\N{NO-BREAK SPACE}"
_NARROW = "\N{NARROW NO-BREAK SPACE}"

LONGEST_CELL = 32_767
"""Characters that a spreadsheet's cell can hold."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of a formula; some spreadsheets read the full-width forms alike."""


def percent(share: float, digits: int = 0) -> str:
    """A share of 1 in percent: .624 is "62 %".

    Rounding never makes a chance certain: .003 is "< 1 %" and .995 is "> 99 %". Only a share of
    exactly 0 or 1 is "0 %" or "100 %".
    """
    return f"{_percent(share, digits)}{_SPACE}%"


def interval(lower: float | None, upper: float | None) -> str:
    """Two shares as an interval in percent: "51 to 72 %"; empty where a bound is None."""
    if lower is None or upper is None:
        return ""
    return f"{_percent(lower)} to {_percent(upper)}{_SPACE}%"


def _percent(share: float, digits: int = 0) -> str:
    text = f"{100 * share:.{digits}f}"
    step = 10.0**-digits
    if share > 0 and float(text) == 0:
        return f"< {step:.{digits}f}"
    if share < 1 and float(text) == 100:
        return f"> {100 - step:.{digits}f}"
    return text


def thousands(number: int) -> str:
    """A whole number with its thousands set apart: "1 797"."""
    return f"{number:,}".replace(",", _NARROW)


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 record", "2 records"; ``many`` where the plural is no mere s."""
    return f"{thousands(number)} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """``4000`` as "1 h 07 min"; seconds below a minute, minutes below an hour."""
    if round(seconds) < 60:
        return f"{seconds:.0f}{_SPACE}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"{minutes}{_SPACE}min"
    return f"{hours}{_SPACE}h {minutes:02d}{_SPACE}min"


def about(seconds: float) -> str:
    """An estimated duration, no finer than it is known: "about 45 s", "a few seconds"."""
    if seconds < 7.5:
        return "a few seconds"
    return f"about {duration(5 * round(seconds / 5) if seconds < 57.5 else max(seconds, 60))}"


def file_size(count: int) -> str:
    """Bytes in powers of a thousand: "26 MB"."""
    number, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"


def printable(text: str) -> str:
    """``text`` with a blank for each control character, so that it cannot steer a terminal.

    Line ends stay.
    """
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def one_line(text: str, longest: int | None = None) -> str:
    """``printable`` text on one line, cut with an ellipsis where longer than ``longest``."""
    line = printable(" ".join(text.splitlines()))
    if longest is not None and len(line) > longest:
        return line[: longest - 1].rstrip() + "…"
    return line


def first_line(error: BaseException) -> str:
    """The first line of an error's text, else its kind."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet may run ``text`` as a formula (CWE-1236)."""
    return text.startswith(_FORMULA_STARTS) or one_line(text).lstrip().startswith(_FORMULA_STARTS)


def safe_cell(text: str) -> str:
    """``text`` for a cell of a CSV file: on one line, and no formula.

    An apostrophe is put before what a spreadsheet would run. Longer text is cut to what a cell
    can hold.
    """
    mark = "'" if looks_like_formula(text) else ""
    return (mark + one_line(text))[:LONGEST_CELL]


class CsvRows:
    """Writes rows of CSV to a stream; every text passes ``safe_cell``, and None is left empty.

    Nothing else in LLM4TOP writes CSV, so no export can carry a formula.
    """

    def __init__(self, stream: TextIO):
        self._rows = csv.writer(stream, lineterminator="\n")

    def writerow(self, cells: Iterable[object]) -> None:
        """Write one row; numbers are written as Python writes them."""
        self._rows.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, the heading first; see ``CsvRows``."""
    stream = io.StringIO(newline="")
    writer = CsvRows(stream)
    for row in rows:
        writer.writerow(row)
    return stream.getvalue()
