"""``llm4top whatif``: variants and sweeps of one record."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import llm4top
from llm4top.cli.app import app
from llm4top.forecasters.variants import ASSOCIATIONS, COLUMNS

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.json"


def what_if(model: Path, *args: object) -> Result:
    words = ["whatif", str(EXAMPLE), "--model", str(model), *map(str, args)]
    return CliRunner().invoke(app, words, env={"COLUMNS": "160"})


def test_a_table_of_named_variants_for_people(tiny_bundle: Path) -> None:
    done = what_if(
        tiny_bundle, "--set", "phase=Phase 3", "--variant", "open: masking=none; criteria-=2"
    )
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["Variant", "Chance", "Interval", "Difference"]
    assert lines[1].startswith("as registered")
    assert lines[2].startswith("edited ")
    assert "open: masking=none, criteria-=2" in done.stdout
    assert ASSOCIATIONS in done.stderr
    assert "not medical or investment advice" in done.stderr


def test_csv_and_json_for_programs(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "phases.csv"
    done = what_if(tiny_bundle, "--sweep", "phase", "--out", out)
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["variant"] for row in rows[:2]] == ["as registered", "Early Phase 1"]
    done = what_if(tiny_bundle, "--sweep", "size", "--values", "50, 500", "--format", "json")
    values = json.loads(done.stdout)
    assert values["sweep"] == "planned_enrolment"
    assert [variant["name"] for variant in values["variants"]] == ["50", "500"]


def test_a_report_of_the_trial_holds_the_comparison(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    done = what_if(tiny_bundle, "--set", "phase=Phase 3", "--out", out)
    assert done.exit_code == 0, done.output
    assert f"The report is in {out}." in done.stderr
    page = out.read_text("utf-8")
    assert "edited: phase=Phase 3" in page
    assert ASSOCIATIONS in page


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--set", "phase=9"], "edited, phase: '9' is not a choice of the registry. Choose one of"),
        ([], "give --set, --variant or --sweep"),
        (["--variant", "nameless"], "is not NAME: EDIT; EDIT"),
        (["--variant", "a: phase=1", "--sweep", "phase"], "give --variant or --sweep, not both"),
        (["--set", "phase=1", "--values", "1"], "it needs --sweep FIELD"),
        (["--sweep", "phase", "--values", " , "], "names no value"),
        (["--variant", "a: phase=1", "--variant", "a: phase=2"], "'a' is named twice"),
        (["--set", "phase=1", "--out", "x.txt"], "end its name in .csv, .json or .html"),
    ],
)
def test_what_cannot_be_done_is_said(tiny_bundle: Path, args: list[str], message: str) -> None:
    done = what_if(tiny_bundle, *args)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
