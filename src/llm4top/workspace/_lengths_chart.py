"""The lengths of prompts as a histogram with the budgets drawn in, and the CSV behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from html import escape
from itertools import pairwise

from llm4top.workspace._lengths import TextLengths
from llm4top.workspace._scale import INK, MUTED, SERIES
from llm4top.workspace._words import thousands

HEIGHT = 180
"""Pixels of the drawing area; the axis lies below it."""

TOP = 18
"""Pixels a line of words about a budget takes; they stand above the bars."""

MOST_BINS = 40
_WIDTHS = tuple(unit * power for power in (10, 100, 1000, 10_000) for unit in (1, 2, 5))


def bin_edges(lengths: TextLengths, budgets: Mapping[str, int]) -> list[int]:
    """Edges of equal bins from 0 to beyond every budget; the last one is open to the right.

    The longest prompts do not stretch the axis: what is beyond three times the largest budget
    is in the last bin.
    """
    last = max(budgets.values())
    longest = max(lengths.tokens, default=0)
    end = min(max(longest + 1, round(1.1 * last)), 3 * last)
    width = next(width for width in _WIDTHS if end / width <= MOST_BINS)
    return list(range(0, end + width, width))


def binned(lengths: TextLengths, edges: list[int]) -> list[int]:
    """How many prompts are in each bin: at least as long as its lower edge."""
    counts = [0] * (len(edges) - 1)
    for tokens in lengths.tokens:
        counts[min(tokens // edges[1], len(counts) - 1)] += 1
    return counts


def highest_bar(lengths: TextLengths, budgets: Mapping[str, int]) -> int:
    """How many trials the highest bar of the chart stands for."""
    return max(binned(lengths, bin_edges(lengths, budgets)))


def lengths_chart(lengths: TextLengths, budgets: Mapping[str, int]) -> str:
    """A bar for each bin of tokens and a line for each budget; the axis is in tokens."""
    edges = bin_edges(lengths, budgets)
    counts = binned(lengths, edges)
    end, head = edges[-1], TOP * len(budgets) + 6
    scale = (HEIGHT - head) / max(*counts, 1)
    marks = []
    for count, (low, high) in zip(counts, pairwise(edges), strict=True):
        if count:
            tall = max(count * scale, 1.0)
            over = high == end and max(lengths.tokens) >= end
            to = "or more" if over else f"to {thousands(high - 1)}"
            marks.append(
                f'<rect x="{100 * (low + 0.05 * (high - low)) / end:.3f}%" '
                f'width="{90 * (high - low) / end:.3f}%" y="{HEIGHT - tall:.2f}" '
                f'height="{tall:.2f}" style="fill: {SERIES}">'
                f"<title>{thousands(low)} {to} tokens: {thousands(count)}</title></rect>"
            )
    marks += [
        _budget(name, budget, end, line) for line, (name, budget) in enumerate(budgets.items())
    ]
    marks.append(_line("0", "100%", HEIGHT, HEIGHT, MUTED))
    marks += _ticks(end)
    said = escape(
        "Prompts by their length in tokens; the budgets are "
        + ", ".join(f"{name} {budget}" for name, budget in budgets.items())
        + "."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{said}" width="100%" '
        f'height="{HEIGHT + 24}" style="overflow: visible; display: block; '
        f'height: {HEIGHT + 24}px">{"".join(marks)}</svg>'
    )


def lengths_csv(lengths: TextLengths, budgets: Mapping[str, int]) -> bytes:
    """The same numbers: a line for each bin; the last one has no end."""
    edges = bin_edges(lengths, budgets)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["from_tokens", "below_tokens", "trials"])
    for count, (low, high) in zip(binned(lengths, edges), pairwise(edges), strict=True):
        writer.writerow([low, "" if high == edges[-1] else high, count])
    return text.getvalue().encode()


def _budget(name: str, budget: int, end: int, line: int) -> str:
    """A line at a budget, with its words on a line of their own so that none meet."""
    at, top = 100 * budget / end, TOP * line + 12
    anchor, shift = ("start", 5) if at < 60 else ("end", -5)
    words = escape(f"{name} {thousands(budget)}")
    return _line(f"{at:.3f}%", f"{at:.3f}%", top - 10, HEIGHT, INK, dashed=True) + (
        f'<text x="{at:.3f}%" dx="{shift}" y="{top}" text-anchor="{anchor}" '
        f'style="fill: {INK}; font-size: 13px">{words}</text>'
    )


def _ticks(end: int) -> list[str]:
    step = next(width for width in _WIDTHS if end / width <= 6)
    return [
        f'<text x="{100 * value / end:.3f}%" y="{HEIGHT + 18}" '
        f'text-anchor="{"start" if not value else "middle" if value < 0.95 * end else "end"}" '
        f'style="fill: {MUTED}; font-size: 13px">{thousands(value)}</text>'
        for value in range(0, end + 1, step)
    ]


def _line(x1: str, x2: str, y1: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    dash = "; stroke-dasharray: 4 3" if dashed else ""
    return (
        f'<line x1="{x1}" x2="{x2}" y1="{y1:g}" y2="{y2:g}" '
        f'style="stroke: {colour}; stroke-width: 1{dash}"/>'
    )
