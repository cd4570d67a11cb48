"""``llm4top audit`` through its command."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm4top.cli.app import app
from tests.data.audits import honest, planted


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets on disk: an honest one, one that overlaps in time, one that leaks."""
    folder = tmp_path_factory.mktemp("audit")
    made = honest()
    made.save(folder / "honest")
    starts = ("2012-01", *made.start_dates[1:])
    replace(made, start_dates=starts).save(folder / "overlap")
    status = [s if s == "Terminated" else None for s in made.statuses]
    planted(made, "keywords", status).save(folder / "leaky")
    splits = ("train",) * 239 + ("valid",)
    replace(made, splits=splits).save(folder / "lone")
    return folder


def audit(*args: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, args)], env={"COLUMNS": "160"})


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_an_honest_data_set_passes(folders: Path) -> None:
    result = audit(folders / "honest")
    assert result.exit_code == 0, result.output
    text = words(result.stdout)
    assert "240 trials, task outcome; 180 train rows read closely, seed 0" in text
    assert text.rstrip().endswith("Passed.")
    assert audit(folders / "honest", "--strict").exit_code == 0


def test_a_warning_passes_unless_strict(folders: Path) -> None:
    result = audit(folders / "overlap")
    assert result.exit_code == 0, result.output
    assert "Passed, with 1 warning." in result.stdout
    assert "Figures on valid are optimistic" in words(result.stdout)
    assert audit(folders / "overlap", "--strict").exit_code == 1


def test_a_leak_fails_and_its_field_is_named(folders: Path) -> None:
    result = audit(folders / "leaky")
    assert result.exit_code == 1
    assert "Failed. Look at: keywords." in result.stdout
    assert "“terminated” is in keywords" in words(result.stdout)


def test_the_findings_as_json(folders: Path) -> None:
    result = audit(folders / "leaky", "--format", "json", "--seed", 5)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["passed"] is False
    assert report["seed"] == 5
    failed = [line for line in report["findings"] if line["verdict"] == "fail"]
    assert {line["field"] for line in failed} == {"keywords"}
    assert all(set(line) == {"check", "verdict", "field", "finding", "figures"} for line in failed)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "is not a data set: it has no card.json and no trials.parquet"),
        ("lone", "Error: the valid split has one row. Split again with larger shares."),
    ],
)
def test_what_cannot_be_audited_is_said_in_one_sentence(
    folders: Path, name: str, message: str
) -> None:
    result = audit(folders / name)
    assert result.exit_code == 2
    assert message in words(result.stderr)


def test_the_help_has_examples() -> None:
    result = audit("--help")
    assert result.exit_code == 0
    assert "llm4top audit data/top --strict" in words(result.stdout)
