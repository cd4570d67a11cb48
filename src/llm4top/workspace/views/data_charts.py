"""A data set's time line as SVG, and as the CSV behind it."""

from collections.abc import Mapping

from llm4top.text import counted, csv_text, thousands
from llm4top.workspace.views.svg import axis, bar, chart, step_of, text

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
    step = step_of(slots, (1, 2, 5, 10, 20, 50, 100, 1000, 10_000), 8)
    marks = []
    for year in range(first, last + 1):
        left = (year - first) * slot
        marks += _stack(years.get(year, {}), year, left, slot, top)
        if year % step == 0:
            marks.append(text(left + slot / 2, HEIGHT + 18, str(year), anchor="middle"))
    fullest = max(years, key=lambda year: sum(years[year].values()))
    marks += [axis(HEIGHT), text(0, -6, f"peak: {counted(top, 'trial')} in {fullest}")]
    label = f"Trials by start year, {first} to {last}, stacked by split."
    return chart(marks, label, HEIGHT + 24)


def timeline_csv(years: Years) -> bytes:
    """The same numbers: a line for each year, a column for each split."""
    rows: list[list[object]] = [["start_year", *SPLIT_COLOURS]]
    for year, counts in sorted(years.items()):
        rows.append([year, *(counts.get(split, 0) for split in SPLIT_COLOURS)])
    return csv_text(rows).encode()


def _stack(counts: Mapping[str, int], year: int, left: float, slot: float, top: int) -> list[str]:
    bars, base, gap = [], float(HEIGHT), 0.1 * slot
    for split, colour in SPLIT_COLOURS.items():
        if count := counts.get(split, 0):
            height = max(HEIGHT * count / top, 1.0)
            base -= height
            title = f"{year}, {split}: {thousands(count)}"
            bars.append(bar(left + gap, slot - 2 * gap, base, height, colour, title=title))
    return bars
