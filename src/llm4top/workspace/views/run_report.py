"""A run's report as a page shows it."""

from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.errors import EvaluationError

if TYPE_CHECKING:
    from llm4top.evaluation.reports.report import Report


def read_run_report(folder: Path) -> "Report":
    """The report in a run's report folder; ``EvaluationError`` without the machine's paths."""
    from llm4top.evaluation.reports.render import JSON_FILE, read_report

    try:
        return read_report(folder / JSON_FILE)
    except EvaluationError as error:
        raise EvaluationError(error.message, where=JSON_FILE, hint=error.hint) from error


def lead(report: "Report") -> tuple[str, ...]:
    """The summary above the tables, without what the tables show themselves."""
    if report.kind == "benchmark":
        return report.summary
    return (report.looks_note,) if report.looks_note else ()
