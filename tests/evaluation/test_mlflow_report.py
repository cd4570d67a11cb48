import json

import pytest

from llm4top.evaluation.mlflow_report import for_elsewhere, log_report
from llm4top.evaluation.mlflow_runs import MlflowTarget
from llm4top.evaluation.reports.report import AuditLine
from tests.evaluation.report_kit import made_report
from tests.mlflow_kit import runs_in

pytestmark = pytest.mark.usefixtures("mlflow_settings")


@pytest.fixture(scope="module")
def report():
    made = made_report(("II",))
    figures = {"roc_auc": made.tables[0].rows[2].figures["roc_auc"]}
    tables = tuple(
        table.model_copy(
            update={
                "rows": tuple(r.model_copy(update={"figures": figures}) for r in table.rows[1:4])
            }
        )
        for table in made.tables
    )
    return made.model_copy(update={"tables": tables, "curves": (), "slices": (), "differences": ()})


def test_each_forecaster_has_its_figures_with_bounds_and_n(report, tmp_path):
    log_report(report, MlflowTarget.parse(f"mlflow:{tmp_path}"))
    runs = {run.info.run_name: run for run in runs_in(tmp_path)}
    whole = runs.pop(report.title)
    assert set(runs) == {row.forecaster for row in report.tables[0].rows}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {whole.info.run_id}
    assert {run.info.status for run in (whole, *runs.values())} == {"FINISHED"}
    row = report.tables[0].rows[1]
    own = runs[row.forecaster].data
    assert own.params["kind"] == row.kind
    assert own.tags["llm4top.identity"] == row.identity
    figure = row.figures["roc_auc"]
    assert own.metrics["valid/ii/n"] == report.tables[0].n == figure.n
    assert own.metrics["valid/ii/roc_auc"] == figure.value
    assert own.metrics["valid/ii/roc_auc_lower"] == figure.lower
    assert own.metrics["valid/ii/roc_auc_upper"] == figure.upper
    assert "newest/ii/roc_auc" in own.metrics
    assert whole.data.params["phases"] == "['I', 'II', 'III', 'pooled']"
    assert whole.data.tags["llm4top.reproduce"] == report.reproduce
    folder = tmp_path / whole.info.experiment_id / whole.info.run_id / "artifacts"
    assert {file.name for file in folder.iterdir()} == {"report.html", "report.json", "report.md"}
    assert json.loads((folder / "report.json").read_text())["audit"]


SECRET = "/home/me/merger-with-acme"
WORDS = "the sponsor's word of a confidential protocol (NCT99999999)"


def test_nothing_private_goes_to_another_machine(report):
    told = AuditLine(check="terms", verdict="warn", field="criteria", finding=WORDS)
    rows = tuple(row.model_copy(update={"note": WORDS}) for row in report.tables[0].rows)
    private = report.model_copy(
        update={
            "reproduce": f"llm4top benchmark --data {SECRET}",
            "settings": {"bases": [SECRET], "tokenizer": SECRET, "encoder": SECRET, "shots": 4},
            "audit": (told,),
            "notes": (f"Left out: {SECRET}",),
            "looks": tuple(look.model_copy(update={"bundle": SECRET}) for look in report.looks),
            "looks_note": SECRET,
            "tables": (report.tables[0].model_copy(update={"rows": rows, "note": WORDS}),),
            "data": tuple(
                facts.model_copy(
                    update={"files": (SECRET,), "terms": (WORDS,), "warnings": (WORDS,)}
                )
                for facts in report.data
            ),
        }
    )
    sent = for_elsewhere(private).model_dump_json()
    assert SECRET not in sent
    assert WORDS not in sent
    assert "NCT" not in sent
    kept = json.loads(sent)
    assert kept["settings"] == {"shots": 4}
    assert kept["data"][0]["sha256"] == "5f" * 32
    assert kept["tables"][0]["rows"][0]["figures"]["roc_auc"]["n"] == report.tables[0].n
