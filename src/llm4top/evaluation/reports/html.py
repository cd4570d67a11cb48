"""A report as one HTML page that needs nothing else: no script, no request, no other file."""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llm4top.evaluation.metrics.metrics import METRICS
from llm4top.evaluation.reports import formatting as wording
from llm4top.evaluation.reports import view
from llm4top.evaluation.reports.drawing import Drawing, Series, choose_series
from llm4top.evaluation.reports.figures import decision, forest, precision_recall, roc
from llm4top.evaluation.reports.report import Report
from llm4top.evaluation.reports.small_multiples import reliability, spread
from llm4top.evaluation.reports.svg import COLOURS
from llm4top.text import percent, thousands

_PART = "report-part"


def page(report: Report) -> str:
    """The whole page. Every text of the report is shown as text, whatever it holds."""
    series = choose_series(report.tables)
    parts = view.sections(report)
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            sections=parts,
            overview=_overview(report, parts, series),
            drawings={part.anchor: curve_drawings(report, part, series) for part in parts},
            series=series,
            published=view.published_groups(report),
            used_metrics=view.used_metrics(report),
            colours=COLOURS,
        )
    )


def section_names(report: Report) -> dict[str, str]:
    """The heading of each of the report's tables by its key, all phases together first."""
    parts = sorted(view.sections(report), key=lambda part: part.table.phase != "pooled")
    return {part.anchor: part.heading for part in parts}


def section_html(report: Report, key: str) -> str:
    """One table of the report with its figures, differences and slices, without a heading.

    It is rendered by the macros of the whole page and needs ``part_styles``. All text is escaped.
    Drawing the figures takes about a second.

    Args:
        report: The report.
        key: Which table, a key of ``section_names``.

    Returns:
        HTML that may be put into any page.
    """
    part = next(one for one in view.sections(report) if one.anchor == key)
    series = choose_series(report.tables)
    ranking = forest(part.table, series, name=f"{key}-intervals")
    drawings = [*([ranking] if ranking else []), *curve_drawings(report, part, series)]
    macros: Any = environment().get_template("parts.html").module
    return f'<div class="{_PART}">{macros.section_of(part, series, drawings)}</div>'


def part_styles() -> str:
    """The style sheet of ``section_html``; the page defines the colours (``--ink``...)."""
    return f".{_PART} {{\n{environment().get_template('parts.css').render()}}}\n"


def _overview(
    report: Report, parts: tuple[view.Section, ...], series: tuple[Series, ...]
) -> list[tuple[str, list[Drawing]]]:
    """The interval plots: for each check one a phase."""
    shown = []
    for check in view.overview_checks(report):
        drawn = [
            forest(part.table, series, name=f"intervals-{part.anchor}", where=part.name)
            for part in parts
            if part.table.check == check
        ]
        shown.append((check, [drawing for drawing in drawn if drawing]))
    return shown


def curve_drawings(report: Report, part: view.Section, series: Sequence[Series]) -> list[Drawing]:
    """The curves of one table; none where it has none, or the question has many answers."""
    if part.curves is None or len(report.asked.labels) != 2:
        return []
    without, with_event = report.asked.labels
    curves, name = part.curves, part.anchor
    drawn = (
        roc(curves, series, name=f"{name}-roc"),
        precision_recall(curves, series, name=f"{name}-pr"),
        reliability(curves, series, name=f"{name}-reliability"),
        spread(curves, series, (without, with_event), name=f"{name}-spread"),
        decision(curves, series, name=f"{name}-decision"),
    )
    return [drawing for drawing in drawn if drawing]


@cache
def environment() -> Environment:
    """Templates with the report's filters; every text in them is escaped."""
    environment = Environment(
        loader=PackageLoader("llm4top.evaluation.reports", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        count=thousands,
        percent=percent,
        number=wording.number,
        signed=wording.signed,
        interval=wording.interval,
        p_value=wording.p_value,
        counts=wording.counts_text,
        metric=view.metric_label,
        svg=_svg,
        web=web_address,
        sentence=_sentence,
        groupby_phase=_by_phase,
    )
    environment.globals.update(
        wording=wording,
        view=view,
        metrics=METRICS,
        reading=wording.reading,
    )
    return environment


def _svg(drawing: Drawing) -> Markup:
    # Drawn and escaped by ``to_svg``: the only markup that does not come from a template.
    return Markup(drawing.svg)


def _by_phase(parts: Iterable[view.Section]) -> list[tuple[str, list[view.Section]]]:
    # Unlike Jinja's own grouping this one keeps the order.
    return [(phase, list(own)) for phase, own in groupby(parts, key=lambda one: one.table.phase)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def web_address(source: str) -> str:
    """The address that a source can be opened at, or nothing: no other scheme becomes a link."""
    first = source.split()[0].rstrip(";,") if source.split() else ""
    for prefix, base in (("doi:", "https://doi.org/"), ("arXiv:", "https://arxiv.org/abs/")):
        if first.startswith(prefix):
            return base + first.removeprefix(prefix)
    try:
        return first if urlsplit(first).scheme == "https" else ""
    except ValueError:
        return ""
