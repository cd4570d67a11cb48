"""A report as Markdown: the same content as the HTML, tables for pictures."""

import re
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from llm4top.evaluation.reports import view
from llm4top.evaluation.reports.formatting import (
    NOTHING,
    p_value,
    signed_with_interval,
    with_interval,
)
from llm4top.evaluation.reports.html import environment
from llm4top.evaluation.reports.report import Report
from llm4top.text import one_line, thousands

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~&$!])")
_LINE_START = re.compile(r"^(\s*)([-+=]|\d+[.)])")


def markdown(report: Report) -> str:
    """The whole report; every text of it is escaped, so that it stays text."""
    text = (
        _environment()
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
def _environment() -> Environment:
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
