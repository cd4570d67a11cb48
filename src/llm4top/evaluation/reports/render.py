"""A report as files: HTML to look at, JSON to work with, Markdown to put beside other text."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from llm4top.errors import EvaluationError
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.html import page
from llm4top.evaluation.reports.markdown import markdown
from llm4top.evaluation.reports.report import REPORT_SCHEMA, Report

HTML_FILE = "report.html"
JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"


def write_report(report: Report, folder: Path) -> dict[str, Path]:
    """Write ``report.html``, ``report.json`` and ``report.md``; returns them by their endings.

    The HTML is one file that asks for nothing else, not even a script. All three say the same;
    the JSON is what ``read_report`` reads. A report without a checklist gets one. The folder is
    made where there is none and files of these names are replaced. Raises ``EvaluationError``
    where that cannot be done.
    """
    if not report.checklist:
        report = report.model_copy(update={"checklist": checklist(report)})
    texts = {
        "html": (HTML_FILE, page(report)),
        "json": (JSON_FILE, report.model_dump_json(indent=1) + "\n"),
        "md": (MARKDOWN_FILE, markdown(report)),
    }
    written = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form, (name, text) in texts.items():
            written[form] = folder / name
            written[form].write_text(text, encoding="utf-8")
    except OSError as error:
        raise EvaluationError(
            f"the report cannot be written: {error.strerror or error}.",
            where=str(folder),
            hint="Name a folder that can be written to.",
        ) from error
    return written


def read_report(file: Path) -> Report:
    """The report of a ``report.json``; ``EvaluationError`` says why it is none that can be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(
            f"the report cannot be read: {error.strerror or error}.", where=str(file)
        ) from error
    except ValueError as error:
        raise EvaluationError(
            "not a report: the file is not JSON.", where=str(file), hint=f"Give a {JSON_FILE}."
        ) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise EvaluationError(
            "not a report: it has no schema version.", where=str(file), hint=f"Give a {JSON_FILE}."
        )
    if version > REPORT_SCHEMA:
        raise EvaluationError(
            f"the report has schema {version}; this LLM4TOP reads up to {REPORT_SCHEMA}.",
            where=str(file),
            hint="Read it with a newer LLM4TOP, or open its HTML.",
        )
    return _checked(content, file)


def _checked(content: dict[str, object], file: Path) -> Report:
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise EvaluationError(
            f"not a report of schema {REPORT_SCHEMA}: {place}: {first['msg']} "
            f"({error.error_count()} such).",
            where=str(file),
        ) from error
