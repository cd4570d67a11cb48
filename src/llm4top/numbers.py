"""Numbers as a person reads them, the same in every room: "1 797", "62 %"."""

from __future__ import annotations

_NARROW = "\N{NARROW NO-BREAK SPACE}"


def thousands(number: int) -> str:
    """A whole number with thin spaces, which do not break, between its thousands."""
    return f"{number:,}".replace(",", _NARROW)


def percent(share: float, digits: int = 0) -> str:
    """A share of 1 in percent: ``0.624`` as "62 %"."""
    return f"{share:.{digits}%}".replace("%", f"{_NARROW}%")
