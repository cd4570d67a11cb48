"""An explanation as a page shows it: signed bars with their intervals and their words."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm4top.forecasters.reasons.explanation import Contribution, Explanation, PartFeatures
from llm4top.text import percent
from llm4top.workspace.views import svg

_HEIGHT = 16
_MIDDLE = 50.0
_REACH = 48.0
"""Percent of the width that the strongest bar takes to its side."""


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """One bar: its name, what it does in words, and its drawing."""

    name: str
    words: str
    drawing: str


def reason_rows(made: Explanation, rows: Sequence[Contribution]) -> list[ReasonRow]:
    """Rows of sections or of pieces, with bars on one scale."""
    ends = [abs(end) for row in rows for end in (row.log_odds, row.lower, row.upper)]
    widest = max(ends, default=0.0) or 1.0
    return [
        ReasonRow(row.text, _words(made, row), _bar(row, widest, made.sentence(row)))
        for row in rows
    ]


def way_to_the_chance(made: Explanation) -> list[str]:
    """The steps from the record without sections to the chance, as sentences."""
    total = sum(section.log_odds for section in made.sections)
    lines = [
        f"Without these sections the chance is {percent(made.start_chance)}. Together they add "
        f"{total:+.2f} to the log-odds."
    ]
    for step in made.steps:
        note = f" {step.note}" if step.note else ""
        lines.append(f"{step.name} adds {step.log_odds:+.2f}.{note}")
    return [*lines, f"The result is {percent(made.chance)}."]


def feature_table(part: PartFeatures) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The features of a part as headings and rows: name, value where there is one, what it adds."""
    scale, unit = (1.0, "log-odds") if part.unit == "log-odds" else (100.0, "points of its chance")
    rows = [(f.name, f.value, f"{f.amount * scale:+.2f}") for f in part.features]
    rows.append(("all other features", "", f"{part.others * scale:+.2f}"))
    table: list[tuple[str, ...]] = [("Feature", "Value", f"Adds, {unit}"), *rows]
    if not any(f.value for f in part.features):
        table = [(name, adds) for name, _, adds in table]
    return table[0], table[1:]


def _words(made: Explanation, row: Contribution) -> str:
    sentence = made.sentence(row)
    text = f"{sentence[:1].upper()}{sentence[1:]} (log-odds {row.log_odds:+.2f}"
    if row.lower != row.upper:
        text += f", 95\u00a0% interval {row.lower:+.2f} to {row.upper:+.2f}"
    return f"{text})."


def _bar(row: Contribution, widest: float, sentence: str) -> str:
    def place(value: float) -> float:
        return _MIDDLE + _REACH * value / widest

    low, high = sorted((_MIDDLE, place(row.log_odds)))
    colour = svg.ACCENT if row.log_odds >= 0 else svg.SERIES
    marks = [
        svg.line((_MIDDLE, 0), (_MIDDLE, _HEIGHT), svg.MUTED),
        svg.bar(low, max(high - low, 0.3), 3, _HEIGHT - 6, colour),
    ]
    if row.lower != row.upper:
        middle = _HEIGHT / 2
        marks.append(svg.line((place(row.lower), middle), (place(row.upper), middle), svg.INK, 1.5))
    return svg.chart(marks, f"{row.text}: {sentence}", _HEIGHT, kind="reason")
