import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.registry import normalize_text

BLOCK = """
      Inclusion Criteria:\r
\r
          -  Age at least 18\r
             years\r
\r
          -  Gout, defined as:\r
\r
               -  urate > 6 mg/dl\r
\r
        Exclusion Criteria:\r
\r
          1. Pregnancy\r
    """
MARKDOWN = r"""Inclusion Criteria:

* Age at least 18 years
* Gout, defined as:

  * urate \> 6 mg/dl

Exclusion Criteria:

1. Pregnancy"""
CANONICAL = """Inclusion Criteria:
- Age at least 18 years
- Gout, defined as:
- urate > 6 mg/dl
Exclusion Criteria:
1. Pregnancy"""


def test_block_and_markdown_have_one_canonical_text():
    assert normalize_text.from_textblock(BLOCK) == CANONICAL
    assert normalize_text.from_markdown(MARKDOWN) == CANONICAL


def test_canonical_text_stays_itself():
    assert normalize_text.from_lines(CANONICAL) == CANONICAL


@pytest.mark.parametrize(
    "read", [normalize_text.from_textblock, normalize_text.from_lines, normalize_text.from_markdown]
)
@pytest.mark.parametrize("blank", ["", " ", "\n \n", "\r\n\t\r\n", "\xa0"])
def test_nothing_but_blanks_is_none(read, blank):
    assert read(blank) is None


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        (r"\[a\] \<c\> \*c\* \~d \^e \&f \\g", r"[a] <c> *c* ~d ^e &f \g"),
        (r"no\w escape", r"no\w escape"),
        ("• dot\n· point\n* star\n- dash", "- dot\n- point\n- star\n- dash"),
    ],
)
def test_markdown(markdown, text):
    assert normalize_text.from_markdown(markdown) == text


def reference(text: str) -> str | None:
    """The textblock's definition, in words rather than for speed."""
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    lines = [re.sub(r"^[*•·] ", "- ", part) for part in parts if part]
    return "\n".join(lines) or None


@given(st.text(alphabet="ab -*•\n\r\té\xa0\u2003", max_size=60))
def test_the_fast_way_is_the_plain_way(text):
    assert normalize_text.from_textblock(text) == reference(text)


@given(st.text(max_size=200))
def test_canonical_text_has_no_stray_blanks(text):
    for read in (
        normalize_text.from_textblock,
        normalize_text.from_lines,
        normalize_text.from_markdown,
    ):
        for line in (read(text) or "").split("\n"):
            assert line == " ".join(line.split())


@given(st.text(max_size=300))
def test_an_excerpt_is_short_and_on_one_line(text):
    assert len(normalize_text.excerpt(text)) <= 80
    assert "\n" not in normalize_text.excerpt(text)


def test_clean_removes_what_xml_cannot_hold():
    assert normalize_text.clean("a\x00b\x1fc\ud800d\te\nf") == "a b c d\te\nf"


def test_a_return_within_a_line_is_a_blank():
    assert normalize_text.from_textblock("one\rtwo\r\n\r\n  three") == "one two\nthree"
