"""A report as files: HTML to look at, JSON to work with, Markdown to paste into other text."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llm4top import files
from llm4top.errors import EvaluationError
from llm4top.evaluation.metrics.metrics import METRICS
from llm4top.evaluation.reports import formatting as wording
from llm4top.evaluation.reports import view
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.drawing import Drawing, Series, choose_series
from llm4top.evaluation.reports.figures import decision, forest, precision_recall, roc
from llm4top.evaluation.reports.formatting import (
    NOTHING,
    p_value,
    signed_with_interval,
    with_interval,
)
from llm4top.evaluation.reports.report import REPORT_SCHEMA, Report
from llm4top.evaluation.reports.small_multiples import reliability, spread
from llm4top.evaluation.reports.svg import COLOURS
from llm4top.schema import read_model
from llm4top.text import one_line, percent, thousands

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


HTML_FILE = "report.html"
JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~&$!])")
_LINE_START = re.compile(r"^(\s*)([-+=]|\d+[.)])")


def write_report(report: Report, folder: Path) -> dict[str, Path]:
    """Write ``report.html``, ``report.json`` and ``report.md``.

    The HTML is one file that needs no other, not even a script. All three have the same content;
    the JSON is what ``read_report`` reads. A report without a checklist gets one.

    Args:
        report: The report.
        folder: Where the files are written; it is made where it is missing, and files of these
            names are replaced.

    Returns:
        The files by their endings: "html", "json" and "md".

    Raises:
        EvaluationError: The folder cannot be written to.
    """
    if not report.checklist:
        report = report.model_copy(update={"checklist": checklist(report)})
    texts = {
        "html": (HTML_FILE, page(report)),
        "json": (JSON_FILE, report.model_dump_json(indent=1) + "\n"),
        "md": (MARKDOWN_FILE, markdown(report)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.values():
            files.write_text(folder / name, text)
    except OSError as error:
        raise EvaluationError(
            f"the report cannot be written: {error.strerror or error}.",
            where=str(folder),
            hint="Name a folder that can be written to.",
        ) from error
    return {form: folder / name for form, (name, _) in texts.items()}


def read_report(file: Path) -> Report:
    """The report of a ``report.json``; ``EvaluationError`` says why it cannot be read."""
    return read_model(
        Report,
        file,
        what="the report",
        error=EvaluationError,
        hint=f"Give a {JSON_FILE} that LLM4TOP wrote.",
        version=REPORT_SCHEMA,
    )


def markdown(report: Report) -> str:
    """The whole report; every text of it is escaped, so that it stays text."""
    text = (
        _markdown_environment()
        .get_template("report.md")
        .render(
            report=report,
            sections=view.sections(report),
            published=view.published_groups(report),
            used_metrics=view.used_metrics(report),
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escaped(text: str) -> str:
    """The text on one line, without any meaning to Markdown or HTML."""
    return _LINE_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", one_line(text)))


@cache
def _markdown_environment() -> Environment:
    """The HTML's environment, with values escaped for Markdown and numbers left as they are."""
    own = environment().overlay(finalize=_finalize)
    own.filters = {
        **own.filters,
        "code": _code,
        "code_block": lambda text: Markup(re.sub("^", "    ", text, flags=re.MULTILINE)),
        "count": lambda number: Markup(thousands(number)),
        "figure": lambda figure: Markup(with_interval(figure)),
        "difference": lambda figure: Markup(signed_with_interval(figure)),
        "p_value": lambda p: Markup(p_value(p).replace("<", "&lt;")),
    }
    return own


def _finalize(value: object) -> object:
    """What a template's ``{{ }}`` writes: text escaped, and what is Markdown already as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return Markup(escaped(value))
    return value


def _code(text: str) -> Markup:
    words = one_line(text)
    longest = max((len(run) for run in re.findall(r"`+", words)), default=0)
    fence, pad = "`" * (longest + 1), " " if longest else ""
    return Markup(f"{fence}{pad}{words}{pad}{fence}" if words else NOTHING)
