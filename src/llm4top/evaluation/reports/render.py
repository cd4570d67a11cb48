"""A report as files: HTML to look at, JSON to work with, Markdown to paste into other text."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from llm4top import files
from llm4top.errors import EvaluationError
from llm4top.evaluation.reports import view
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.formatting import (
    NOTHING,
    p_value,
    signed_with_interval,
    with_interval,
)
from llm4top.evaluation.reports.html import environment, page
from llm4top.evaluation.reports.report import REPORT_SCHEMA, Report
from llm4top.schema import read_model
from llm4top.text import one_line, thousands

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
