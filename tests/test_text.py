"""Numbers and foreign text as a person reads them."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llm4top
from llm4top.text import (
    LONGEST_CELL,
    about,
    counted,
    csv_text,
    duration,
    file_size,
    interval,
    looks_like_formula,
    one_line,
    percent,
    printable,
    safe_cell,
    thousands,
)


def plain(text: str) -> str:
    """Without the spaces that do not break."""
    return text.replace("\u202f", " ").replace("\xa0", " ")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1797, "1\u202f797"), (20_000_000, "20\u202f000\u202f000")],
)
def test_thousands_are_parted_by_narrow_spaces(number: int, text: str) -> None:
    assert thousands(number) == text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.624, 0, "62 %"),
        (0, 0, "0 %"),
        (1, 0, "100 %"),
        (0.003, 0, "< 1 %"),
        (0.005, 0, "< 1 %"),
        (0.006, 0, "1 %"),
        (0.994, 0, "99 %"),
        (0.995, 0, "> 99 %"),
        (0.9999, 0, "> 99 %"),
        (0.0011, 1, "0.1 %"),
        (0.0001, 1, "< 0.1 %"),
        (0.9999, 1, "> 99.9 %"),
    ],
)
def test_a_share_is_given_in_percent(share: float, digits: int, text: str) -> None:
    assert plain(percent(share, digits)) == text
    assert " %" not in percent(share, digits)


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 3))
def test_no_chance_is_rounded_to_a_certainty(share: float, digits: int) -> None:
    text = plain(percent(share, digits)).removesuffix(" %")
    assert text[:1] in "<>" or 0 < float(text) < 100


@pytest.mark.parametrize(
    ("lower", "upper", "text"),
    [(0.51, 0.72, "51 to 72 %"), (0.001, 0.4, "< 1 to 40 %"), (None, 0.4, ""), (0.2, None, "")],
)
def test_an_interval(lower: float | None, upper: float | None, text: str) -> None:
    assert plain(interval(lower, upper)) == text


def test_counts_with_their_noun() -> None:
    assert counted(1, "record") == "1 record"
    assert counted(0, "record") == "0 records"
    assert counted(1200, "study", "studies") == "1\u202f200 studies"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.2, "45 s"),
        (59.7, "1 min"),
        (60, "1 min"),
        (3599, "1 h 00 min"),
        (4000, "1 h 07 min"),
    ],
)
def test_a_duration(seconds: float, text: str) -> None:
    assert plain(duration(seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "a few seconds"), (43, "about 45 s"), (58, "about 1 min"), (4000, "about 1 h 07 min")],
)
def test_an_estimated_duration(seconds: float, text: str) -> None:
    assert plain(about(seconds)) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (25_600_000, "25.6 MB"), (512_000_000_000, "512 GB")]
)
def test_a_size(count: int, text: str) -> None:
    assert file_size(count) == text


def test_printable_text_steers_no_terminal() -> None:
    assert printable("a\x1b[31mb\nc\u202ed") == "a [31mb\nc d"


def test_one_line_is_cut_with_an_ellipsis() -> None:
    assert one_line("a\r\nb\x00c") == "a b c"
    assert one_line("abcdefgh", 5) == "abcd…"
    assert one_line("abcde", 5) == "abcde"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@sum", " =1", "\uff1d1", "\n=1", "\t=1", "\r=1", "\x00=1", "\u3000=1"],
)
def test_no_cell_is_a_formula(text: str) -> None:
    assert looks_like_formula(text)
    assert safe_cell(text).startswith("'")
    assert one_line(text).strip() in safe_cell(text)


@pytest.mark.parametrize("text", ["", "NCT00000000", "a=1", "5-fluorouracil"])
def test_an_ordinary_cell_stays(text: str) -> None:
    assert safe_cell(text) == text


def test_a_cell_is_no_longer_than_spreadsheets_allow() -> None:
    assert len(safe_cell("a" * 40_000)) == len(safe_cell("=" * 40_000)) == LONGEST_CELL


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_row_survives_a_csv_reader_without_formulas(cells: list[str]) -> None:
    (row,) = csv.reader(io.StringIO(csv_text([cells]), newline=""))
    assert row == [safe_cell(cell) for cell in cells]
    assert not any(looks_like_formula(cell) for cell in row)


def test_numbers_in_a_row_stay_numbers() -> None:
    assert csv_text([["a", "b", "c", "d"], [-1, 0.5, None, "-1"]]) == "a,b,c,d\n-1,0.5,,'-1\n"


def test_every_export_writes_its_csv_through_the_one_guard() -> None:
    package = Path(llm4top.__file__).parent
    writers = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(r"csv\.(writer|DictWriter)\(|\.to_csv\(", file.read_text("utf-8"))
    }
    assert writers == {"text.py"}
