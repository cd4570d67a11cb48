"""The date rule: a precedent was completed before the trial it is held against began.

Dates are as precise as the registry has them. One that is only a month or a year counts in the way
that admits less: as its last day for a completion, as its first day for a start.
"""

import calendar
import re
from datetime import date

from llm4top.errors import DatasetError

_ISO = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def first_day(text: str) -> int | None:
    """The earliest day that an ISO date may mean, as days of the calendar; None for no date."""
    return _day(text, last=False)


def last_day(text: str) -> int | None:
    """The latest day that an ISO date may mean, as days of the calendar; None for no date."""
    return _day(text, last=True)


def start_of(text: str) -> int:
    """``first_day`` of a date that a person gave; ``DatasetError`` where it is none."""
    day = first_day(text)
    if day is None:
        raise DatasetError(
            f"{text!r:.40} is not a date.", hint="Write it as 2004, 2004-06 or 2004-06-30."
        )
    return day


def _day(text: str, *, last: bool) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(part) if part else 0 for part in found.groups())
    try:
        month = month or (12 if last else 1)
        day = day or (calendar.monthrange(year, month)[1] if last else 1)
        return date(year, month, day).toordinal()
    except (ValueError, calendar.IllegalMonthError):
        return None
