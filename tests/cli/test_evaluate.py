"""``llm4top evaluate``: made-up files in TOP's format, the embedded model, two looks at a test."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm4top.cli.app import app
from llm4top.cli.evaluate import command_line

pytestmark = pytest.mark.slow

EMBEDDED = "llm4top-mini (embedded)"
WIDE = {"COLUMNS": "160"}
HEADER = "nctid status why_stop label phase diseases icdcodes drugs smiless criteria".split()  # noqa: SIM905


def write_top(folder: Path, *, rows: int = 30) -> Path:
    """Files under TOP's names with invented rows: hypertension mostly succeeds."""
    folder.mkdir()
    number = 0
    for phase, name in (("I", "phase 1"), ("II", "phase 2")):
        for split in ("train", "valid", "test"):
            with (folder / f"phase_{phase}_{split}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(HEADER)
                for i in range(rows):
                    number += 1
                    good = i % 2
                    told = good if i % 5 else 1 - good
                    writer.writerow(
                        [
                            f"NCT9{number:07d}",
                            "completed" if good or i % 3 else "terminated",
                            "" if good or i % 3 else "slow accrual",
                            good,
                            name,
                            str(["hypertension" if told else "depression"]),
                            str([str(["I10" if told else "F32.9"])]),
                            str([f"compound {i % 4}"]),
                            "['C']",
                            f"Inclusion Criteria: adults of group {i % 3} who gave consent.",
                        ]
                    )
    return folder


@pytest.fixture(scope="session")
def top_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up files, ingested."""
    folder = tmp_path_factory.mktemp("top")
    source = write_top(folder / "files")
    result = CliRunner().invoke(app, ["ingest", str(source), "--out", str(folder / "data")])
    assert result.exit_code == 0, result.output
    return folder / "data"


def evaluate(*args: str | Path, command: str = "evaluate") -> Result:
    given = [str(a) for a in args]
    if "--draws" not in given:
        given += ["--draws", "100"]
    return CliRunner().invoke(app, [command, *given], env=WIDE)


def test_two_evaluations_on_a_test_split_show_two_looks(
    top_data: Path, home: Path, tmp_path: Path
) -> None:
    args = ("embedded", "--data", top_data, "--split", "test", "--out", tmp_path / "report")
    first = evaluate(*args)
    assert first.exit_code == 0, first.output
    assert "1 look at these test rows so far, this one included" in first.stdout
    ledger = home / "test-ledger.jsonl"
    before = ledger.read_bytes()
    second = evaluate(*args)
    assert second.exit_code == 0, second.output
    assert "2 looks at these test rows so far" in second.stdout
    assert ledger.read_bytes().startswith(before)
    assert [json.loads(line)["what"] for line in ledger.read_text().splitlines()] == [
        "evaluate"
    ] * 2
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(report["looks"]) == 2
    assert report["looks"][0]["n"] == 60
    assert report["looks"][0]["bundle"].startswith("llm4top-mini-")
    for name in ("report.html", "report.md"):
        assert "2 looks at these test rows" in (tmp_path / "report" / name).read_text()
    assert f"Report: {tmp_path / 'report' / 'report.html'}" in second.stderr


def test_what_a_person_sees(top_data: Path, home: Path) -> None:
    result = evaluate("embedded", "--data", top_data)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert (
        "All phases, validation split: 60 trials, 30 failure (50\xa0%), 30 success (50\xa0%)"
        in text
    )
    assert "Phase I, validation split: 30 trials" in text
    assert re.search(r"Forecaster +ROC-AUC +AP +Brier +F1", text)
    assert "Always success (trivial)" in text
    assert "Base rate by phase (trivial)" in text
    assert "TF-IDF + logistic regression" in text
    assert "Leak oracle: TF-IDF + registry status (CHEATING)" in text
    assert re.search(r"\[\.\d{3}, \.\d{3}\]", text)
    words = " ".join(text.split())
    assert "no detectable difference (n = 60)" in words or "is better" in words
    assert not (home / "test-ledger.jsonl").exists()


def test_json_is_the_report_and_nothing_else(top_data: Path) -> None:
    from llm4top.evaluation.reports.report import Report

    result = evaluate("embedded", "--data", top_data, "--format", "json", "--seed", "3")
    assert result.exit_code == 0, result.output
    report = Report.model_validate_json(result.stdout)
    assert report.kind == "evaluation"
    assert report.reproduce == (
        f"llm4top evaluate embedded --data {top_data} --split valid --seed 3 --draws 100"
    )
    assert report.published  # the files are TOP's by name
    assert [t.phase for t in report.tables] == ["pooled", "I", "II"]


def test_csv_has_a_row_for_each_figure(top_data: Path) -> None:
    result = evaluate("embedded", "--data", top_data, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    columns = "phase check forecaster kind identity metric value lower upper n"
    assert list(rows[0]) == columns.split()
    names = list(dict.fromkeys(row["forecaster"] for row in rows))
    assert names[0] == EMBEDDED
    assert names[-1].startswith("Leak oracle")
    own = [row for row in rows if row["forecaster"] == EMBEDDED and row["phase"] == "pooled"]
    assert {"roc_auc", "brier", "f1", "f1_at_half"} <= {row["metric"] for row in own}
    for row in own:
        if row["value"]:
            lower, value, upper = (float(row[key]) for key in ("lower", "value", "upper"))
            assert lower - 1e-9 <= value <= upper + 1e-9


def test_a_base_model_is_asked_untrained(top_data: Path, tiny_model: Path) -> None:
    result = evaluate(tiny_model, "--data", top_data, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "tiny-qwen3, zero-shot" in result.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("nothing-here",), "neither a bundle nor a base model"),
        (("embedded", "--device", "abacus"), "this machine has no device 'abacus'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    top_data: Path, args: tuple[str, ...], words: str
) -> None:
    result = evaluate(*args, "--data", top_data)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert result.stdout == ""


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    result = evaluate("embedded", "--data", tmp_path)
    assert result.exit_code == 2
    assert "is not a data set" in result.stderr


def test_no_test_split(tmp_path: Path, home: Path) -> None:
    source = write_top(tmp_path / "files", rows=12)
    for file in source.glob("*_test.csv"):
        file.unlink()
    CliRunner().invoke(app, ["ingest", str(source), "--out", str(tmp_path / "data")])
    result = evaluate("embedded", "--data", tmp_path / "data", "--split", "test")
    assert result.exit_code == 2
    assert "there is no test split. It has train, valid." in result.stderr
    assert not (home / "test-ledger.jsonl").exists()


def test_another_split_is_refused(top_data: Path) -> None:
    result = evaluate("embedded", "--data", top_data, "--split", "train")
    assert result.exit_code == 2
    assert "'train' is not one of" in result.stderr


def test_out_that_is_a_file_is_refused_before_a_look(
    top_data: Path, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "report").write_text("")
    args = ("embedded", "--data", top_data, "--split", "test", "--out", tmp_path / "report")
    assert evaluate(*args).exit_code == 2
    assert not (home / "test-ledger.jsonl").exists()


def test_the_command_line_keeps_paths_as_typed() -> None:
    options = {"data": Path("my data/top"), "split": "valid", "out": None, "seed": 0}
    assert command_line("evaluate", ["runs/a"], options) == (
        "llm4top evaluate runs/a --data 'my data/top' --split valid"
    )
    more = {"batch_tokens": 512, "device": "auto", "draws": 200}
    assert command_line("compare", ["a", "b"], more) == (
        "llm4top compare a b --batch-tokens 512 --draws 200"
    )


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_help_has_examples(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
    assert result.exit_code == 0
    assert f"  llm4top {command} " in text.split("Examples", 1)[1]
