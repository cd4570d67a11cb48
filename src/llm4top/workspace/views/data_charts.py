"""A data set's time line as SVG, and as the CSV behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from html import escape

from llm4top.workspace.views.probability_bar import MUTED
from llm4top.workspace.views.wording import thousands

HEIGHT = 180
SPLIT_COLOURS = {
    "train": "var(--series-1, #0072b2)",
    "valid": "var(--series-2, #e69f00)",
    "test": "var(--series-3, #009e73)",
}

Years = Mapping[int, Mapping[str, int]]
"""Trials by start year and split."""


def timeline_chart(years: Years) -> str:
    """A bar for each year from the first to the last, stacked by split; the axis is in years."""
    first, last = min(years), max(years)
    slots = last - first + 1
    slot, top = 100 / slots, max(sum(counts.values()) for counts in years.values())
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 1000, 10_000) if slots / s <= 8)
    marks = []
    for year in range(first, last + 1):
        left = (year - first) * slot
        marks += _stack(years.get(year, {}), year, left, slot, top)
        if year % step == 0:
            marks.append(_words(left + slot / 2, HEIGHT + 18, str(year), "middle"))
    marks.append(
        f'<line x1="0" x2="100%" y1="{HEIGHT}" y2="{HEIGHT}" '
        f'style="stroke: {MUTED}; stroke-width: 1"/>'
    )
    trials = "trial" if top == 1 else "trials"
    fullest = max(years, key=lambda year: sum(years[year].values()))
    marks.append(_words(0, -6, f"peak: {thousands(top)} {trials} in {fullest}", "start"))
    said = escape(f"Trials by start year, {first} to {last}, stacked by split.")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{said}" width="100%" '
        f'height="{HEIGHT + 24}" style="overflow: visible; display: block; '
        f'height: {HEIGHT + 24}px">{"".join(marks)}</svg>'
    )


def timeline_csv(years: Years) -> bytes:
    """The same numbers: a line for each year, a column for each split."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["start_year", *SPLIT_COLOURS])
    for year, counts in sorted(years.items()):
        writer.writerow([year, *(counts.get(split, 0) for split in SPLIT_COLOURS)])
    return text.getvalue().encode()


def _stack(counts: Mapping[str, int], year: int, left: float, slot: float, top: int) -> list[str]:
    bars, base, gap = [], float(HEIGHT), 0.1 * slot
    for split, colour in SPLIT_COLOURS.items():
        count = counts.get(split, 0)
        if not count:
            continue
        height = max(HEIGHT * count / top, 1.0)
        base -= height
        bars.append(
            f'<rect x="{left + gap:.3f}%" width="{slot - 2 * gap:.3f}%" y="{base:.2f}" '
            f'height="{height:.2f}" style="fill: {colour}">'
            f"<title>{year}, {split}: {thousands(count)}</title></rect>"
        )
    return bars


def _words(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.2f}%" y="{y:g}" text-anchor="{anchor}" '
        f'style="fill: {MUTED}; font-size: 13px">{escape(words)}</text>'
    )
