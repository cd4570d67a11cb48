"""Figures as inline SVG that follows the page: its fonts, its colours, light or dark.

Matplotlib draws with fixed colours; here each becomes a CSS variable with the drawn colour as its
fallback. Text stays text, in the page's font. The same figure gives the same bytes.
"""

import io
import re
import threading
import warnings
from typing import Literal

import matplotlib as mpl
from lxml import etree
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

WIDTH = 420
"""Width of every figure in its own units; the page scales it."""

COLOURS = {
    "ink": "#1c2326",
    "muted": "#5a6669",
    "line": "#d5dcdd",
    "paper": "#fefefe",
    "accent": "#0b5f62",
    "oracle": "#4a4a4a",
    "series-1": "#0072b2",
    "series-2": "#e69f00",
    "series-3": "#009e73",
    "series-4": "#cc79a7",
    "series-5": "#d55e00",
    "series-6": "#56b4e9",
}
"""Names of the page's colours (CSS ``--ink`` ...) and their light values, each once.

The series are those of Okabe and Ito (2008), distinct with any colour vision."""

_NAMES = {value: name for name, value in COLOURS.items()}
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_SVG = "{http://www.w3.org/2000/svg}"
FONT_SIZE = 10.5

# The SVG backend takes its settings from matplotlib's global ones only.
_drawing_lock = threading.Lock()


def canvas(height: float) -> Canvas:
    """An empty figure, 420 wide; its units are points, as the SVG's are."""
    figure = Canvas(figsize=(WIDTH / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    return figure


def style(axes: Axes, *, grid: Literal["both", "x", "y"] = "both") -> None:
    """Quiet axes: no frame on top and right, a faint grid, muted ticks."""
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(COLOURS["line"])
    axes.tick_params(colors=COLOURS["muted"], labelsize=FONT_SIZE - 1, length=3, width=0.8)
    axes.grid(visible=True, axis=grid, color=COLOURS["line"], linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def label(axes: Axes, *, x: str = "", y: str = "") -> None:
    """Axis titles with their unit."""
    axes.set_xlabel(x, color=COLOURS["ink"], fontsize=FONT_SIZE)
    axes.set_ylabel(y, color=COLOURS["ink"], fontsize=FONT_SIZE)


def to_svg(figure: Canvas, *, name: str, title: str, description: str) -> str:
    """The figure as an ``<svg>`` element for a page; ``name`` makes its ids unique there.

    ``title`` and ``description`` are what a screen reader says. Names drawn in it are text
    whatever they hold: neither markup nor a formula.
    """
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    raw = io.BytesIO()
    settings = mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name})
    with _drawing_lock, settings, warnings.catch_warnings():
        # Only the layout is guessed with matplotlib's font; the page has every letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(raw, format="svg", metadata={"Date": None}, transparent=True)
    parser = etree.XMLParser(remove_comments=True, resolve_entities=False, no_network=True)
    root = etree.fromstring(raw.getvalue(), parser)
    _describe(root, name, title, description)
    for element in root.iter():
        _adapt(element)
    return etree.tostring(root, encoding="unicode")


def _describe(root: etree._Element, name: str, title: str, description: str) -> None:
    for metadata in root.findall(f"{_SVG}metadata"):
        root.remove(metadata)
    for size in ("width", "height"):
        del root.attrib[size]
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    for position, (tag, words) in enumerate((("title", title), ("desc", description))):
        element = etree.Element(_SVG + tag)
        element.text = words
        element.set("id", f"{name}-{'title' if tag == 'title' else 'description'}")
        root.insert(position, element)


def _adapt(element: etree._Element) -> None:
    if element.tag == f"{_SVG}g" and "id" in element.attrib:
        del element.attrib["id"]
    drawn = element.get("style")
    if drawn:
        drawn = _HEX.sub(_variable, re.sub(r"(^|;)\s*font-family:[^;]*", "", drawn))
        drawn = re.sub(r"font:\s*([\d.]+)px[^;]*", r"font-size: \1px", drawn)
        element.set("style", drawn.lstrip("; "))
    for attribute in ("d", "x", "y", "transform"):
        value = element.get(attribute)
        if value:
            element.set(attribute, _LONG_NUMBER.sub(_short, value))


def _variable(match: re.Match[str]) -> str:
    colour = match.group()
    name = _NAMES.get(colour)
    return f"var(--{name}, {colour})" if name else colour


def _short(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}"
