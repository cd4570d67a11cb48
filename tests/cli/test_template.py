"""The record to fill in: complete, accepted at once, and never written over a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.registry.codes import CHOICES
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.reader import read_records
from llm4top.registry.trial import TRIAL_FIELDS, Record

BEYOND = {"icd_codes", "smiles"}


def written(folder: Path, kind: str) -> Path:
    file = folder / f"draft.{kind}"
    result = CliRunner().invoke(app, ["template", "--format", kind, "--out", str(file)])
    assert result.exit_code == 0, result.stderr
    assert result.stderr == f"Fill in {file}, then: llm4top forecast {file}\n"
    return file


def record_of(file: Path) -> Record:
    (record,) = read_records(file)
    return record


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_the_template_holds_every_input_and_nothing_else(tmp_path: Path, kind: str) -> None:
    record = record_of(written(tmp_path, kind))
    filled = {name for name in TRIAL_FIELDS if getattr(record.trial, name) not in (None, ())}
    assert filled == set(TRIAL_FIELDS) - BEYOND
    assert record.withheld == ()


def test_both_formats_are_the_same_trial(tmp_path: Path) -> None:
    found = [record_of(written(tmp_path, kind)).trial for kind in ("json", "xml")]
    assert found[0] == found[1]


def test_the_xml_names_every_path_of_the_allow_list(tmp_path: Path) -> None:
    root = etree.parse(str(written(tmp_path, "xml"))).getroot()
    others = ("number_of_groups", "study_design")  # of observational studies, of before 2017
    paths = [path for field in ALLOWED_FIELDS for path in field.xml if path not in others]
    assert [path for path in paths if root.find(path) is None] == []


def test_the_xml_lists_the_choices_of_coded_fields(tmp_path: Path) -> None:
    text = written(tmp_path, "xml").read_text()
    words = {word for codes in CHOICES.values() for word in codes.values()}
    assert sorted(word for word in words if word not in text) == []


def test_choices_are_printed() -> None:
    result = CliRunner().invoke(app, ["template", "--choices"])
    assert result.exit_code == 0
    first = "protocolSection.designModule.phases\n    EARLY_PHASE1               Early Phase 1\n"
    assert result.stdout.startswith(first)


@pytest.mark.parametrize("path", CHOICES)
def test_choices_belong_to_fields_of_the_template(tmp_path: Path, path: str) -> None:
    node = json.loads(written(tmp_path, "json").read_text())
    for key in path.split("."):
        node = node[key][0] if isinstance(node[key], list) else node[key]
    assert node in CHOICES[path]


def test_without_a_file_it_goes_to_standard_output(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["template"])
    assert json.loads(result.stdout)["protocolSection"]["designModule"]["phases"] == ["PHASE2"]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("there.json", "there is a file already"),
        ("no-folder/draft.json", "No such file or directory"),
    ],
)
def test_nothing_is_overwritten(tmp_path: Path, name: str, fault: str) -> None:
    (tmp_path / "there.json").write_text("mine")
    result = CliRunner().invoke(app, ["template", "--out", str(tmp_path / name)])
    assert result.exit_code == 2
    assert f"{tmp_path / name}: {fault}" in result.stderr
    assert result.stderr.endswith("Choose another file with --out.\n")
    assert (tmp_path / "there.json").read_text() == "mine"


def test_it_can_be_forecast_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "json")
    result = CliRunner().invoke(app, ["forecast", str(file), "--format", "json"])
    assert result.exit_code == 0, result.stderr
    assert 0 < json.loads(result.stdout)["forecasts"][0]["probability"] < 1


def test_an_id_is_answered_with_where_its_record_is() -> None:
    result = CliRunner().invoke(app, ["forecast", "NCT00000229"])
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: NCT00000229: this is the id of a trial; LLM4TOP reads files and looks nothing up. "
        "Save its record first, from "
        "https://clinicaltrials.gov/api/v2/studies/NCT00000229?format=json, and give that file.\n"
    )
