"""What a page shows of a report: tables in words, differences, figures and the data behind them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from lxml import etree

from llm4top.errors import EvaluationError
from llm4top.evaluation.reports.render import write_report
from llm4top.evaluation.reports.report import Curves, CurveSet, Report
from llm4top.workspace.views.report_sheet import few, lead, read_run_report, sheet, sheet_names
from tests.evaluation.report_kit import hostile_report, made_report

HOSTILE = '<script>alert(1)</script> & "$x_1$" \'); url(//evil.example)'


@pytest.fixture(scope="module")
def report() -> Report:
    return made_report(("II", "pooled"))


def test_the_table_of_all_phases_comes_first(report: Report) -> None:
    names = sheet_names(report)
    assert list(names.values())[:2] == [
        "All phases, newest part of the training data",
        "All phases, validation split",
    ]
    assert len(names) == 4
    assert sheet_names(made_report((), tables=())) == {}


def test_the_table_says_value_interval_and_n(report: Report) -> None:
    key = next(k for k, name in sheet_names(report).items() if name == "Phase II, validation split")
    shown = sheet(report, key)
    assert shown.rows == "n = 446 trials: 236 failure, 210 success."
    assert shown.metrics[0].label == "ROC-AUC"
    assert shown.metrics[0].better == "Higher is better."
    lines = {line.forecaster: line for _, group in shown.groups for line in group}
    assert {"Always success", "TF-IDF + logistic regression"} <= lines.keys()
    table = next(t for t in report.tables if (t.phase, t.check) == ("II", "valid"))
    row = next(r for r in table.rows if r.forecaster == "Random forest")
    auc = row.figures["roc_auc"]
    assert auc.value is not None
    value, bounds = lines["Random forest"].cells[0]
    assert value == f"{auc.value:.3f}"
    assert bounds == f"({auc.lower:.3f} to {auc.upper:.3f})"
    assert "cheating" in lines["Status rule (leak oracle)"].note


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"failure": 4, "success": 44}, "Only 4 failure among 48 trials: read the curves and"),
        ({"failure": 4, "success": 9}, "Only 4 failure and 9 success among 13 trials"),
        ({"failure": 20, "success": 20}, ""),
        ({"failure": 0, "success": 40}, ""),
    ],
)
def test_few_trials_of_a_label_are_cautioned(counts: dict[str, int], words: str) -> None:
    said = few(counts)
    assert said.startswith(words)
    assert bool(said) is bool(words)


def test_differences_are_told_in_words(report: Report) -> None:
    shown = sheet(report, next(iter(sheet_names(report))))
    metrics = dict(shown.differences)
    assert list(metrics) == ["ROC-AUC", "Log-loss"]
    readings = {pair.reading for pair in metrics["ROC-AUC"]}
    assert "no detectable difference (n = 907)" in readings
    assert "TF-IDF + logistic regression is better" in readings


def test_each_figure_is_a_drawing_with_its_data(report: Report) -> None:
    shown = sheet(report, next(iter(sheet_names(report))))
    kinds = [figure.file.removesuffix(".csv").rpartition("-")[2] for figure in shown.figures]
    assert kinds == ["intervals", "roc", "pr", "reliability", "spread", "decision"]
    for figure in shown.figures:
        drawn = etree.fromstring(figure.svg)
        assert figure.title
        assert "n = 907" in etree.tostring(drawn, method="text", encoding="unicode") or (
            "trials with the event" in figure.svg
        )
        assert "var(--series-1, #0072b2)" in figure.svg
    assert shown.series[0].variable == "var(--series-1, #0072b2)"
    (curves,) = (c for c in report.curves if (c.phase, c.check) == ("pooled", "newest"))
    rows = list(csv.DictReader(io.StringIO(shown.figures[1].csv)))
    forest = next(c for c in curves.curves if c.forecaster == "Random forest")
    told = [
        (float(r["one_minus_specificity"]), float(r["sensitivity"]))
        for r in rows
        if r["forecaster"] == "Random forest"
    ]
    assert told == list(forest.roc)


def test_names_are_text_wherever_they_stand() -> None:
    report = hostile_report(HOSTILE)
    shown = sheet(report, next(iter(sheet_names(report))))
    assert HOSTILE in [line.forecaster for _, lines in shown.groups for line in lines]
    assert shown.figures
    for figure in shown.figures:
        tags = {etree.QName(e).localname for e in etree.fromstring(figure.svg).iter()}
        assert "script" not in tags
        assert "<script" not in figure.svg


def test_a_table_without_curves_has_its_intervals_alone(report: Report) -> None:
    shown = sheet(report.model_copy(update={"curves": ()}), next(iter(sheet_names(report))))
    assert [figure.file.rpartition("-")[2] for figure in shown.figures] == ["intervals.csv"]
    assert shown.series == ()


def test_rows_of_a_single_answer_are_drawn_without_a_fault(report: Report) -> None:
    table = report.tables[-1]
    name, kind = table.rows[2].forecaster, table.rows[2].kind
    line = Curves(
        forecaster=name,
        kind=kind,
        roc=((0, 0), (1, 1)),
        pr=((0, 1), (1, 1)),
        reliability=(),
        decision=((0.5, 1.0),),
        histogram=((0,) * 20, (0,) * 20),
    )
    curves = CurveSet(phase=table.phase, check=table.check, n=3, prevalence=1.0, curves=(line,))
    made = report.model_copy(update={"tables": (table,), "curves": (curves,), "differences": ()})
    shown = sheet(made, next(iter(sheet_names(made))))
    assert shown.differences == ()
    for figure in shown.figures:
        assert "nan" not in etree.fromstring(figure.svg).xpath("string()").lower()


def test_only_what_the_tables_do_not_say_is_said_above_them(report: Report) -> None:
    assert lead(report) == report.summary
    compared = report.model_copy(update={"kind": "comparison"})
    assert lead(compared) == ("The ledger's chain of hashes is whole.",)
    assert lead(compared.model_copy(update={"looks_note": ""})) == ()


def test_a_report_is_read_from_a_run_s_folder(report: Report, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cannot be read") as missing:
        read_run_report(tmp_path)
    assert str(tmp_path) not in str(missing.value)
    write_report(report, tmp_path)
    assert read_run_report(tmp_path).tables == report.tables
