"""``llm4top benchmark`` through its command, on invented trials."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm4top.cli.app import app
from tests.benchmark.conftest import write_top
from tests.mlflow_kit import runs_in

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invented files of two phases under TOP's names."""
    return write_top(tmp_path_factory.mktemp("top") / "top")


def arguments(top: Path, out: Path, *more: str) -> list[str]:
    quick = ["--baselines", "base-rate,tfidf", "--phases", "II,pooled", "--draws", "100"]
    return ["benchmark", "--data", str(top), "--out", str(out), *quick, "--device", "cpu", *more]


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args), env={"COLUMNS": "140"})


@pytest.mark.usefixtures("mlflow_settings")
def test_baselines_and_a_report(top: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(*arguments(top, out, "--log-to", f"mlflow:{tmp_path / 'store'}"))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}/report.json\n"
    told = result.stderr
    assert "All phases, validation split: 80 trials" in told
    assert "TF-IDF + logistic regression, calibrated" in told
    assert "(CHEATING)" in told
    assert "3 tables of single phases: in the report." in told
    assert "1 look at these test rows so far" in told
    assert "No language model was named: add --base embedded" in told
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert {table["check"] for table in report["tables"]} == {"valid", "test", "newest"}
    logged = {found.info.run_name: found.data for found in runs_in(tmp_path / "store")}
    names = {row["forecaster"] for table in report["tables"] for row in table["rows"]}
    assert set(logged) == {report["title"], *names}
    figures = logged["TF-IDF + logistic regression, calibrated"].metrics
    assert figures["valid/pooled/roc_auc_lower"] < figures["valid/pooled/roc_auc_upper"]
    assert figures["valid/pooled/n"] == 80
    html = (out / "report.html").read_text("utf-8")
    assert "TF-IDF" in html
    assert 'src="http' not in html


def test_the_plan_says_what_is_left(top: Path, tmp_path: Path) -> None:
    more = ("--no-newest", "--no-test")
    before = run(*arguments(top, tmp_path / "out", *more, "--dry-run"))
    assert before.exit_code == 0, before.output
    assert before.stdout.splitlines() == [
        "to do  Base rate by phase on all phases",
        "to do  TF-IDF + logistic regression on all phases",
        "to do  TF-IDF + logistic regression on phase II",
    ]
    assert "3 of 3 steps are still to be done." in before.stderr
    assert run(*arguments(top, tmp_path / "out", *more)).exit_code == 0
    after = run(*arguments(top, tmp_path / "out", *more, "--dry-run"))
    assert [line[:5] for line in after.stdout.splitlines()] == ["done "] * 3


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--phases", "VII"), "phases.0: must be 'I', 'II', 'III', 'IV' or 'pooled', not 'VII'"),
        (("--baselines", "tf"), "baselines: no baseline tf; there are always, base-rate"),
        (("--base", "nobody/nothing"), "the base model nobody/nothing is not on this machine"),
        (("--data", "absent"), "absent: does not exist."),
    ],
)
def test_a_wrong_option_is_one_sentence(
    top: Path, tmp_path: Path, more: tuple[str, ...], told: str
) -> None:
    result = run(*arguments(top, tmp_path / "out", *more))
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_a_killed_benchmark_is_resumed(top: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "llm4top", *arguments(top, out, "--no-newest")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        deadline = time.monotonic() + 120
        while not list((out / "pieces").glob("baseline-*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    stamps = {p: p.stat().st_mtime_ns for p in (out / "pieces").glob("baseline-*/*")}
    assert stamps
    resumed = run(*arguments(top, out, "--no-newest"))
    assert resumed.exit_code == 0, resumed.output
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    whole = tmp_path / "whole"
    assert run(*arguments(top, whole, "--no-newest")).exit_code == 0
    tables = [json.loads((o / "report.json").read_text("utf-8"))["tables"] for o in (out, whole)]
    assert tables[0] == tables[1]
