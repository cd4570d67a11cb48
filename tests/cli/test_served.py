"""Models on a server through the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import llm4top
from llm4top.cli.app import app
from tests.benchmark.conftest import write_top
from tests.forecasters.served_kit import completion, model_server, serving

pytestmark = pytest.mark.slow
EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.json"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args), env={"COLUMNS": "200"})


def test_a_forecast(tiny_model: Path) -> None:
    tokenizer = ("--tokenizer", str(tiny_model))
    with serving(model_server(tiny_model)) as fake:
        model = ("--model", f"{fake.url}#tiny", "--task", "completion")
        result = run("forecast", "--example", "--limit", "1", *model, *tokenizer, "--format=jsonl")
    assert result.exit_code == 0, result.output
    forecast = json.loads(result.stdout)
    assert forecast["task"] == "completion"
    assert forecast["bundle"].startswith("tiny-served-")


def test_a_failure_has_no_stack_trace(tiny_model: Path) -> None:
    with serving(lambda body: (404, {"error": {"message": "no model tiny"}})) as fake:
        model = ("--model", f"{fake.url}#tiny", "--tokenizer", str(tiny_model))
        result = run("forecast", "--example", "--limit", "1", *model)
    assert result.exit_code == 2
    assert f"{fake.url}, record " in result.stderr
    assert "answered 404 Not Found: no model tiny. Check the address" in result.stderr
    assert "Traceback" not in result.output


def test_another_machine_needs_the_option(tiny_model: Path) -> None:
    model = ("--model", "https://models.invalid/v1#tiny", "--tokenizer", str(tiny_model))
    result = run("forecast", "--example", *model)
    assert result.exit_code == 2
    assert "The text of each record leaves this machine: it is sent to models.inv" in result.stderr
    assert "add --allow-remote" in result.stderr


@pytest.mark.usefixtures("mlflow_settings")
def test_an_evaluation_whose_log_is_away(tiny_model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = run("ingest", str(write_top(tmp_path / "top")), "--out", str(data))
    assert made.exit_code == 0, made.output
    options = ("--data", str(data), "--tokenizer", str(tiny_model), "--draws", "100")
    with serving(model_server(tiny_model)) as fake:
        model = f"{fake.url}#tiny"
        log = ("--log-to", "mlflow:http://127.0.0.1:9")
        result = run("evaluate", model, *options, "--format", "json", *log)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert "tiny, zero-shot, served by 127.0.0.1" in {
        row["forecaster"] for row in report["tables"][0]["rows"]
    }
    assert report["reproduce"].endswith(f"--draws 100 --tokenizer {tiny_model}")
    assert "MLflow (127.0.0.1) cannot be written to: it gives no answer. The rep" in result.stderr
    elsewhere = run("compare", "https://models.invalid/v1#tiny", "embedded", *options)
    assert elsewhere.exit_code == 2
    assert "models.invalid is another machine. The text of each record" in elsewhere.stderr


@pytest.mark.parametrize("command", ["explain", "whatif"])
def test_a_record_is_asked_about(tiny_model: Path, command: str) -> None:
    change = ("--set", "phase=Phase 3") if command == "whatif" else ("--samples", "8")
    with serving(model_server(tiny_model)) as fake:
        model = ("--model", f"{fake.url}#tiny", "--tokenizer", str(tiny_model))
        result = run(command, str(EXAMPLE), *change, *model)
        assert len(fake.bodies) > 1
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert "not what a change of the trial" in told or "not causes" in told


@pytest.mark.parametrize("command", ["explain", "whatif"])
def test_a_record_is_not_sent_elsewhere_unasked(tiny_model: Path, command: str) -> None:
    change = ("--set", "phase=Phase 3") if command == "whatif" else ()
    model = ("--model", "https://models.invalid/v1#tiny", "--tokenizer", str(tiny_model))
    result = run(command, str(EXAMPLE), *change, *model)
    assert result.exit_code == 2
    assert "models.invalid is another machine. The text of each record leaves" in result.stderr


def test_a_benchmark(tiny_model: Path, tmp_path: Path) -> None:
    top = write_top(tmp_path / "top")
    quick = ["--baselines", "base-rate", "--phases", "pooled", "--draws", "100", "--device", "cpu"]
    quick += ["--no-newest", "--no-test", "--shots", "2", "--tokenizer", str(tiny_model)]
    with serving(model_server(tiny_model)) as fake:
        base = ("--base", f"{fake.url}#lab/tiny")
        result = run("benchmark", "--data", str(top), "--out", str(tmp_path / "out"), *quick, *base)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    rows = {row["forecaster"]: row for table in report["tables"] for row in table["rows"]}
    for way in ("zero-shot", "2-shot"):
        assert f"tiny, served, {way}, calibrated" in rows
        # Of a random model, twenty tokens lack an answer mostly.
        note = rows[f"tiny, served, {way}"]["note"]
        assert "The server did not list every answer of " in note
        assert " of 80 trials" in note


def test_a_benchmark_names_the_record_that_fails(tiny_model: Path, tmp_path: Path) -> None:
    top = write_top(tmp_path / "top")
    options = ["--baselines", "base-rate", "--phases", "pooled", "--draws", "100", "--ways"]
    options += ["zero-shot", "--no-newest", "--no-test", "--tokenizer", str(tiny_model)]
    with serving(lambda body: completion({"Yes": -1.0}, 1)) as fake:
        base = ("--base", f"{fake.url}#lab/tiny")
        result = run(
            "benchmark", "--data", str(top), "--out", str(tmp_path / "out"), *options, *base
        )
    assert result.exit_code == 1, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    [left_out] = [note for note in report["notes"] if note.startswith("Left out: tiny, served")]
    assert f"{fake.url}, record NCT" in left_out
    assert "it read 1 token of a prompt of" in left_out
