"""The elements of every chart on a page, as SVG text.

Positions across are percentages of the width and all sizes are pixels: a chart is as wide as its
place on the page, and its letters stay as large as the page's. Colours are the page's CSS variables
with their light values as fallback. Words are escaped here.
"""

from collections.abc import Iterable, Sequence
from html import escape

INK, MUTED, LINE = "var(--ink, #1c2326)", "var(--muted, #5a6669)", "var(--line, #d5dcdd)"
ACCENT, SERIES = "var(--accent, #0b5f62)", "var(--series-1, #0072b2)"
PAPER = "var(--paper, #fefefe)"


def chart(
    marks: Iterable[str], label: str, height: float, *, kind: str = "chart", role: str = "img"
) -> str:
    """The whole drawing; ``label`` is what a screen reader says of it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{kind}" role="{role}" '
        f'aria-label="{escape(label)}" width="100%" height="{height:g}" '
        f'style="overflow: visible; display: block; height: {height:g}px">{"".join(marks)}</svg>'
    )


def line(
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = LINE,
    width: float = 1,
    more: str = "",
) -> str:
    """A straight line between two points (percent, pixels); ``more`` is further CSS."""
    return (
        f'<line x1="{start[0]:.2f}%" x2="{end[0]:.2f}%" y1="{start[1]:.1f}" y2="{end[1]:.1f}" '
        f'style="stroke: {colour}; stroke-width: {width:g}{more}"/>'
    )


def axis(y: float) -> str:
    """A line over the whole width, as the base of bars."""
    return line((0, y), (100, y), MUTED)


def bar(
    left: float,
    width: float,
    top: float,
    height: float,
    colour: str = ACCENT,
    *,
    opacity: float = 1,
    title: str = "",
    attributes: str = "",
) -> str:
    """A rectangle: ``left`` and ``width`` in percent; ``title`` is shown under the mouse."""
    shape = (
        f'<rect x="{left:.2f}%" width="{width:.2f}%" y="{top:.2f}" height="{height:.2f}" '
        f'{attributes} style="fill: {colour}; opacity: {opacity:g}"'
    )
    return f"{shape}><title>{escape(title)}</title></rect>" if title else f"{shape}/>"


def dot(x: float, y: float, radius: float, colour: str = ACCENT, more: str = "") -> str:
    """A filled circle; ``more`` is further CSS."""
    return f'<circle cx="{x:.2f}%" cy="{y:.1f}" r="{radius:g}" style="fill: {colour}{more}"/>'


def text(
    x: float,
    y: float,
    words: str,
    colour: str = MUTED,
    *,
    anchor: str = "",
    bold: bool = False,
    halo: bool = False,
    shift: int = 0,
) -> str:
    """Words at ``x`` percent, moved by ``shift`` pixels.

    Without an ``anchor`` they stay inside the drawing. ``halo`` keeps them readable over lines.
    """
    anchor = anchor or ("start" if x < 12 else "end" if x > 88 else "middle")
    weight = "; font-weight: 600" if bold else ""
    outline = f"; paint-order: stroke; stroke: {PAPER}; stroke-width: 3px" if halo else ""
    moved = f' dx="{shift}"' if shift else ""
    return (
        f'<text x="{x:.2f}%" y="{y:g}"{moved} text-anchor="{anchor}" '
        f'style="fill: {colour}; font-size: 13px{weight}{outline}">{escape(words)}</text>'
    )


def titled(title: str, *marks: str) -> str:
    """Marks that share what is shown under the mouse."""
    return f"<g><title>{escape(title)}</title>{''.join(marks)}</g>"


def step_of(slots: int, steps: Sequence[int], most: float) -> int:
    """The smallest of ``steps`` that leaves at most ``most`` labels on an axis of ``slots``."""
    return next(step for step in steps if slots / step <= most)
