"""A report as files: HTML to look at, JSON to work with, Markdown to put beside other text."""

from pathlib import Path

from llm4top import files
from llm4top.errors import EvaluationError
from llm4top.evaluation.reports.checklist import checklist
from llm4top.evaluation.reports.html import page
from llm4top.evaluation.reports.markdown import markdown
from llm4top.evaluation.reports.report import REPORT_SCHEMA, Report
from llm4top.schema import read_model

HTML_FILE = "report.html"
JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"


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
