"""Numbers as a person reads them."""

from __future__ import annotations

import pytest

from llm4top._numbers import percent, thousands


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1797, "1\u202f797"), (20_000_000, "20\u202f000\u202f000")],
)
def test_thousands_are_parted_by_thin_spaces(number: int, text: str) -> None:
    assert thousands(number) == text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(0.624, 0, "62\u202f%"), (1, 0, "100\u202f%"), (0.0011, 1, "0.1\u202f%")],
)
def test_a_share_is_given_in_percent(share: float, digits: int, text: str) -> None:
    assert percent(share, digits) == text
