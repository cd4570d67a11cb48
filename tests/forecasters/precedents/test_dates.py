"""Dates that are a month or a year count in the way that admits less."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import DatasetError
from llm4top.forecasters.precedents.dates import first_day, last_day, start_of


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2004", date(2004, 1, 1), date(2004, 12, 31)),
        ("2004-02", date(2004, 2, 1), date(2004, 2, 29)),
        ("2004-02-03", date(2004, 2, 3), date(2004, 2, 3)),
    ],
)
def test_a_date_is_its_first_and_its_last_day(text, first, last):
    assert first_day(text) == first.toordinal()
    assert last_day(text) == last.toordinal()


@pytest.mark.parametrize("text", ["", "May 2004", "2004-13", "2004-02-30", "0000", "2004-2"])
def test_what_is_no_date_has_no_day(text):
    assert first_day(text) is None
    assert last_day(text) is None


@given(st.dates(), st.sampled_from((4, 7, 10)))
def test_every_day_lies_between_the_two(day, length):
    text = day.isoformat()[:length]
    assert first_day(text) <= day.toordinal() <= last_day(text)


def test_a_start_that_is_no_date_is_refused():
    with pytest.raises(DatasetError, match=r"'soon' is not a date\. Write it as 2004, 2004-06"):
        start_of("soon")
