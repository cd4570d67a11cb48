"""``llm4top explain``: signed bars, JSON, errors."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import llm4top
from llm4top import make_baseline
from llm4top.cli.app import app
from llm4top.cli.explain import signed_bar
from tests.forecasters.baseline_kit import planted

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.xml"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "words"
    make_baseline("tfidf").fit(*planted(60)).save(folder)
    return folder


def explain(*args):
    return CliRunner().invoke(app, ["explain", *map(str, args)], env={"COLUMNS": "160"})


def test_a_person_sees_signed_bars_and_what_they_are(model):
    result = explain(EXAMPLE, "--model", model)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert text.startswith("NCT99999901  ")
    assert "Chance of success: " in text
    assert "By section, the strongest first" in text
    assert "│█" in text or "█│" in text
    assert " the chance from " in text
    assert "by feature: log-odds" in text
    assert "associations that the model has learnt" in " ".join(text.split())


def test_json_is_the_same_in_a_file(model, tmp_path):
    out = tmp_path / "reasons.json"
    result = explain(EXAMPLE, "--model", model, "--format", "json", "--out", out)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert json.loads(out.read_text("utf-8")) == values
    assert values["nct_id"] == "NCT99999901"
    assert {"sections", "pieces", "steps", "parts", "note", "disclaimer"} <= values.keys()


def test_a_report_of_the_trial_holds_the_reasons(model, tmp_path):
    out = tmp_path / "report.html"
    result = explain(EXAMPLE, "--model", model, "--out", out)
    assert result.exit_code == 0, result.output
    page = out.read_text("utf-8")
    assert "<h2>What moves the chance</h2>" in page
    assert "<strong>" in page
    assert "associations that the model has learnt" in page


def test_an_odd_number_of_samples_is_refused(model):
    result = explain(EXAMPLE, "--model", model, "--samples", 5)
    assert result.exit_code == 2
    assert "give an even number" in result.output


def test_a_file_of_another_kind_is_not_filled_with_json(model, tmp_path):
    result = explain(EXAMPLE, "--model", model, "--out", tmp_path / "reasons.csv")
    assert result.exit_code == 2
    assert "end its name in .json or .html" in result.output
    assert not (tmp_path / "reasons.csv").exists()


def test_a_study_without_a_forecast_is_one_sentence(model, tmp_path):
    path = tmp_path / "cohort.xml"
    text = EXAMPLE.read_text("utf-8")
    path.write_text(text.replace("<study_type>Interventional", "<study_type>Observational"))
    result = explain(path, "--model", model)
    assert result.exit_code != 0
    assert "there is nothing to explain: an observational study" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("share", "bar"), [(1, "    │████"), (-0.5, "  ██│    "), (0.1, "    │    ")]
)
def test_bars_point_to_both_sides(share, bar):
    assert signed_bar(share, 4) == bar
