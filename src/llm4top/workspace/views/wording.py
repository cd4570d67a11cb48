"""Forecasts in plain words: percent, "6 in 10", how a chance compares with its phase."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm4top.forecasters.forecast_format import TARGET
from llm4top.text import percent, thousands

SAME, LITTLE, CLEAR = 0.03, 0.10, 0.25
"""Differences from the base rate, in shares, up to which it is called the same, little, plain."""


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
    """How a chance compares with its base rate; empty where there is none.

    ``of`` says whose it is: see ``average_of``.
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
    words_of_size = f"{words[:1].upper()}{words[1:]} {what}"
    if lower is not None and upper is not None and lower <= base <= upper:
        return f"{words_of_size}; the difference may be chance"
    return words_of_size


def average_of(of: str | None) -> str:
    """What a base rate is the average of: "the phase 2 average".

    ``of`` is a phase, "all", or ``TARGET`` for a rate that a forecast is adapted to; None where it
    is not known.
    """
    if of is None:
        return "the base rate"
    if of == TARGET:
        return "the target base rate"
    if of == "all":
        return "the average of all phases"
    return (
        f"the {of[:1].lower()}{of[1:]} average" if of.startswith("Phase") else f"the {of} average"
    )


def probe_in_words(tried: Sequence[Mapping[str, Any]]) -> str:
    """Which layer of a model suits a probe best, of those that were tried.

    ``tried`` as a training's result has it: ``layer``, ``pooling``, ``c``, ``eval_log_loss``.
    """
    best = min(tried, key=lambda one: float(one["eval_log_loss"]))
    answer = best["pooling"] == "answer"
    where = "at the answer's position" if answer else "mean over the prompt"
    layers = len({one["layer"] for one in tried})
    return (
        f"Best of {layers} layers on the validation trials: layer {best['layer']}, {where}, "
        f"penalty C = {best['c']:.1g}, log-loss {best['eval_log_loss']:.3f}."
    )


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
