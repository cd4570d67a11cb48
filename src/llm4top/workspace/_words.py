"""Forecasts in plain words: percent, "6 in 10", how a chance stands beside its phase."""

from __future__ import annotations

DISCLAIMER = "A research estimate: not medical or investment advice."

SAME, LITTLE, CLEAR = 0.03, 0.10, 0.25
"""Differences from the base rate, in shares, up to which it is called the same, little, plain."""


def percent(value: float) -> str:
    """A share as "62 %": no decimals, and never a certainty that the number does not have."""
    if 0 < value < 0.005:
        return "under 1\u00a0%"
    if 0.995 < value < 1:
        return "over 99\u00a0%"
    return f"{100 * value:.0f}\u00a0%"


def interval(lower: float | None, upper: float | None) -> str:
    """Bounds as "51 to 72 %"; empty where there are none."""
    if lower is None or upper is None:
        return ""
    return f"{100 * lower:.0f} to {100 * upper:.0f}\u00a0%"


def thousands(number: int) -> str:
    """A whole number with thin spaces between its thousands."""
    return f"{number:,}".replace(",", "\u202f")


def expected(number: float, n: int) -> str:
    """An expected number of successes among ``n``: one decimal, none where there are many."""
    return f"{number:.1f}" if n <= 20 else thousands(round(number))


def frequency(value: float) -> str:
    """A chance as a count of trials: "about 6 in 10 trials like this"."""
    hundred = round(100 * value)
    if hundred < 1:
        return "fewer than 1 in 100 trials like this"
    if hundred > 99:
        return "more than 99 in 100 trials like this"
    if 10 <= hundred <= 90:
        return f"about {round(10 * value)} in 10 trials like this"
    return f"about {hundred} in 100 trials like this"


def beside_base(
    value: float, lower: float | None, upper: float | None, base: float | None, phase: str | None
) -> str:
    """How a chance stands beside its base rate; empty where there is none.

    Where the interval holds the base rate, the words say that too: the difference may be none.
    """
    if base is None:
        return ""
    what = "its phase" if phase else "all phases together"
    difference = value - base
    if abs(difference) < SAME:
        return f"about the same as {what}"
    side = "above" if difference > 0 else "below"
    size = abs(difference)
    degree = "a little " if size < LITTLE else "" if size < CLEAR else "far "
    words = f"{degree}{side} {what}"
    if lower is not None and upper is not None and lower <= base <= upper:
        return f"{words}, which its interval includes"
    return words


def clock(seconds: float) -> str:
    """``4000`` as "1 h 07 min"; under a minute in seconds."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f}\u00a0s"
    if minutes < 60:
        return f"{minutes}\u00a0min"
    return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"


def about(seconds: float) -> str:
    """An estimated time, no finer than it is known: "about 45 s", "a few seconds"."""
    if seconds < 7.5:
        return "a few seconds"
    return f"about {clock(5 * round(seconds / 5) if seconds < 57.5 else max(seconds, 60))}"


def metric(value: float | None, *, signed: bool = False) -> str:
    """A metric as every page shows it: "0.704"; with ``signed`` "+0.012" or "\u22120.012"."""
    if value is None:
        return "-"
    return f"{value:+.3f}".replace("-", "\u2212") if signed else f"{value:.3f}"


def metric_interval(lower: float | None, upper: float | None) -> str:
    """A metric's interval: "0.668 to 0.737"; empty where there is none."""
    if lower is None or upper is None:
        return ""
    return f"{lower:.3f} to {upper:.3f}".replace("-", "\u2212")
