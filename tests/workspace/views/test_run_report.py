"""A run's report as a page reads it."""

from pathlib import Path

import pytest

from llm4top.errors import EvaluationError
from llm4top.evaluation.reports.render import write_report
from llm4top.workspace.views.run_report import lead, read_run_report
from tests.evaluation.report_kit import made_report


def test_only_what_the_tables_do_not_say_is_said_above_them() -> None:
    report = made_report(("II", "pooled"))
    assert lead(report) == report.summary
    compared = report.model_copy(update={"kind": "comparison"})
    assert lead(compared) == ("The ledger's chain of hashes is whole.",)
    assert lead(compared.model_copy(update={"looks_note": ""})) == ()


def test_a_report_is_read_from_a_run_s_folder(tmp_path: Path) -> None:
    report = made_report(("II", "pooled"))
    with pytest.raises(EvaluationError, match="cannot be read") as missing:
        read_run_report(tmp_path)
    assert str(tmp_path) not in str(missing.value)
    write_report(report, tmp_path)
    assert read_run_report(tmp_path).tables == report.tables
