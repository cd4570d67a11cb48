"""The probability scale as SVG: a chance with its interval, and the base rate marked on it.

Positions are percentages and sizes pixels, so a scale is as wide as its place and its letters stay
as large as the page's. Colours are the page's CSS variables with their light values as fallback.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from llm4top.workspace.views.wording import beside_base, interval, percent

INK, MUTED, LINE = "var(--ink, #1c2326)", "var(--muted, #5a6669)", "var(--line, #d5dcdd)"
ACCENT, SERIES = "var(--accent, #0b5f62)", "var(--series-1, #0072b2)"
PAPER = "var(--paper, #fefefe)"


@dataclass(frozen=True, slots=True)
class ScaleValues:
    """What a scale shows, each from 0 to 1; None where it is not known.

    ``base_of`` is the phase whose trials the base rate is of, or "all".
    """

    value: float
    lower: float | None = None
    upper: float | None = None
    base: float | None = None
    base_of: str | None = None

    def words(self) -> str:
        """The whole scale as one sentence, as a screen reader says it."""
        said = f"Chance {percent(self.value)}"
        if bounds := interval(self.lower, self.upper):
            said += f", 95\u00a0% interval {bounds}"
        if self.base is not None:
            said += f", base rate {percent(self.base)}"
        if beside := beside_base(self.value, self.lower, self.upper, self.base, self.base_of):
            said += f". {beside}"
        return said + "."


def scale(values: ScaleValues, *, large: bool = False) -> str:
    """The scale as an ``<svg>`` element, 48 pixels high (88 where ``large``), full width."""
    height, axis, thick = (88, 42, 14) if large else (48, 14, 9)
    marks = [_line("0", "100%", axis, LINE, 3 if large else 2)]
    if large:
        marks += [_tick(k, axis) for k in range(0, 101, 20)]
    if values.lower is not None and values.upper is not None:
        left, width = 100 * values.lower, 100 * max(values.upper - values.lower, 0.004)
        marks.append(
            f'<rect x="{left:.2f}%" width="{width:.2f}%" y="{axis - thick / 2}" height="{thick}" '
            f'rx="{thick / 2}" style="fill: {ACCENT}; opacity: .32"/>'
        )
    if values.base is not None:
        marks += _base(values.base, axis, thick, height)
    radius = 9 if large else 6
    marks.append(
        f'<circle cx="{100 * values.value:.2f}%" cy="{axis}" r="{radius}" '
        f'style="fill: {ACCENT}; stroke: {PAPER}; stroke-width: 2"/>'
    )
    if large:
        marks += _bounds_of(values)
    else:
        marks += _ends(values, height)
    words = escape(values.words())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="scale" role="img" aria-label="{words}" '
        f'width="100%" height="{height}" '
        f'style="overflow: visible; display: block; height: {height}px">'
        f"<title>{words}</title>{''.join(marks)}</svg>"
    )


def text(x: float, y: float, words: str, colour: str = MUTED, *, bold: bool = False) -> str:
    """Words at ``x`` percent, anchored so that they stay inside the drawing."""
    anchor = "start" if x < 12 else "end" if x > 88 else "middle"
    weight = "; font-weight: 600" if bold else ""
    return (
        f'<text x="{x:.2f}%" y="{y:g}" text-anchor="{anchor}" '
        f'style="fill: {colour}; font-size: 13px{weight}">{escape(words)}</text>'
    )


def _line(start: str, end: str, y: float, colour: str, width: float) -> str:
    return (
        f'<line x1="{start}" x2="{end}" y1="{y}" y2="{y}" '
        f'style="stroke: {colour}; stroke-width: {width}; stroke-linecap: round"/>'
    )


def _tick(position: int, axis: float) -> str:
    words = f"{position}\u00a0%" if position in (0, 100) else str(position)
    return (
        f'<line x1="{position}%" x2="{position}%" y1="{axis + 12}" y2="{axis + 17}" '
        f'style="stroke: {LINE}; stroke-width: 1"/>' + text(position, axis + 31, words)
    )


def _base(base: float, axis: float, thick: float, height: float) -> list[str]:
    """A tick at the base rate; its words stand under the axis, on a large scale above it."""
    x = 100 * base
    large = height > 60
    bar = (
        f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{axis - thick}" y2="{axis + thick}" '
        f'style="stroke: {INK}; stroke-width: 2"/>'
    )
    return [bar, text(x, 16 if large else height - 6, f"base {percent(base)}", INK)]


def _ends(values: ScaleValues, height: float) -> list[str]:
    """0 and 100 % at the ends, where the base rate's words leave room for them."""
    base = 50.0 if values.base is None else 100 * values.base
    ends = []
    if base > 24:
        ends.append(text(0, height - 6, "0"))
    if base < 76:
        ends.append(text(100, height - 6, "100\u00a0%"))
    return ends


def _bounds_of(values: ScaleValues) -> list[str]:
    """The chance above the dot, where the words of the base rate leave room for it."""
    near = values.base is not None and abs(values.base - values.value) < 0.16
    return [] if near else [text(100 * values.value, 16, percent(values.value), ACCENT, bold=True)]
