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


def file_size(count: int) -> str:
    """Bytes as "26 MB", in powers of a thousand."""
    number, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"


def expected(number: float, n: int) -> str:
    """An expected number of successes among ``n``: one decimal, none where there are many."""
    return f"{number:.1f}" if n <= 20 else thousands(round(number))


def frequency(value: float, label: str = "success") -> str:
    """A chance as a count of trials: "About 6 in 10 similar trials succeed"."""
    goes = "succeed" if label == "success" else f"are “{label}”"
    hundred = round(100 * value)
    if hundred < 1:
        return f"Fewer than 1 in 100 similar trials {goes}"
    if hundred > 99:
        return f"More than 99 in 100 similar trials {goes}"
    if 10 <= hundred <= 90:
        return f"About {round(10 * value)} in 10 similar trials {goes}"
    return f"About {hundred} in 100 similar trials {goes}"


def beside_base(
    value: float, lower: float | None, upper: float | None, base: float | None, of: str | None
) -> str:
    """How a chance stands beside its base rate; empty where there is none.

    ``of`` is the phase whose trials the base rate is of, or "all"; None where that is not known.
    Where the interval holds the base rate, the words say that the difference may be chance.
    """
    if base is None:
        return ""
    what = f"{average_of(of)} ({percent(base)})"
    difference = value - base
    if abs(difference) < SAME:
        return f"About {what}"
    side = "above" if difference > 0 else "below"
    size = abs(difference)
    words = f"Slightly {side}" if size < LITTLE else side if size < CLEAR else f"Well {side}"
    said = f"{words[:1].upper()}{words[1:]} {what}"
    if lower is not None and upper is not None and lower <= base <= upper:
        return f"{said}; the difference may be chance"
    return said


def average_of(of: str | None) -> str:
    """What a base rate is the average of: "the phase 2 average"."""
    if of is None:
        return "the base rate"
    if of == "all":
        return "the average of all phases"
    return (
        f"the {of[:1].lower()}{of[1:]} average" if of.startswith("Phase") else f"the {of} average"
    )


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
