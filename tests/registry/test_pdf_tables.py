"""Tables of two columns on the pages of a PDF."""

from __future__ import annotations

from pathlib import Path

from llm4top.registry.draft import Draft
from llm4top.registry.pdf_tables import may_hold_a_table, rows_of
from tests.registry.documents import pdf_file

LAYOUT = """\
Protocol synopsis

 1. Study title               A study of exemplamab
                              in early gout
 2. Development phase         3
 3. Planned number of         420
 patients

 4. Inclusion criteria        Con       firmed gout
                              - Adults

 Signed on a line that goes across both of the columns
 5. Statistics               Log-rank test
"""
PLAIN = """\
Protocol synopsis
1. Study title A study of exemplamab
in early gout
2. Development phase 3
3. Planned number of
patients
420
4. Inclusion criteria Confirmed gout
- Adults
Signed on a line that goes across both of the columns
5. Statistics Log-rank test
"""


def test_rows_have_their_label_their_text_and_their_line() -> None:
    assert may_hold_a_table(PLAIN)
    found = rows_of(LAYOUT, PLAIN)
    assert found is not None
    assert [(row.label, "\n".join(row.lines), row.line) for row in found] == [
        ("", "Protocol synopsis", 1),
        ("1. Study title", "A study of exemplamab\nin early gout", 2),
        ("2. Development phase", "3", 4),
        ("3. Planned number of patients", "420", 7),
        ("4. Inclusion criteria", "Confirmed gout\n- Adults", 8),
        ("", "Signed on a line that goes across both of the columns", 10),
        ("5. Statistics", "Log-rank test", 11),
    ]


def test_other_pages_are_no_table() -> None:
    prose = "Title: A study\nPhase: 2\nA line   with a gap\nAnother    line\n"
    assert rows_of(prose, prose) is None
    columns = "\n".join(f"Words on the left {n}      words on the right {n}" for n in range(9))
    assert rows_of(columns, columns) is None
    assert not may_hold_a_table(columns)


def test_a_pdf_with_a_table_becomes_a_draft(tmp_path: Path) -> None:
    made = Draft.from_file(pdf_file(tmp_path / "table.pdf", LAYOUT.splitlines()))
    trial = made.trial
    assert (trial.phase, trial.planned_enrolment) == ("Phase 3", 420)
    assert trial.brief_title == "A study of exemplamab in early gout"
    assert made.synopsis is not None
    assert "no known heading" in [item.why for item in made.synopsis.unread]
