"""``llm4top draft``: what was recognised is shown, what was not is listed, the rest is typed in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import llm4top
from llm4top.cli.app import app
from llm4top.registry.draft import Draft
from llm4top.registry.reader import read_records
from tests.registry.documents import SYNOPSES

RECORD = Path(llm4top.__file__).parent / "examples" / "example.xml"
WIDE = {"COLUMNS": "240"}


def draft(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["draft", *args], env=WIDE)
    return result.exit_code, result.stdout, result.stderr


def test_it_shows_what_came_from_where_and_what_is_missing() -> None:
    code, shown, _ = draft(str(SYNOPSES / "numbered.txt"))
    assert code == 0
    assert "line 10, “Phase”: “Phase IIb” is Phase 2" in shown
    assert "“Q3 2031” is no month or day." in shown
    assert "Missing\nStudy type (study_type), Arms (arms)" in shown


def test_it_writes_a_record_with_what_was_set(tmp_path: Path) -> None:
    file = tmp_path / "draft.json"
    code, shown, told = draft(
        str(SYNOPSES / "numbered.txt"),
        *("--set", "sponsor_class=industry", "--set", "planned-start=September 2031"),
        *("--set", "arms=Exemplamab | Experimental; Placebo | Placebo Comparator"),
        *("--out", str(file)),
    )
    assert (code, told) == (0, f"{file} is written. Next: llm4top forecast {file}\n")
    (record,) = read_records(file)
    assert record.trial.sponsor_class == "Industry"
    assert record.trial.planned_start == "2031-09"
    assert record.trial.number_of_arms == 2
    assert "“Q3 2031”" not in shown
    code, _, told = draft(str(file), "--set", "sex=female", "--out", str(file))
    assert code == 0
    assert Draft.from_file(file).trial.sex == "Female"
    code, _, told = draft("--set", "brief_title=A", "--out", str(file))
    assert code == 2
    assert "the draft is not complete enough to be a record" in told


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text("mine")
    code, _, told = draft(str(SYNOPSES / "colons.txt"), "--out", str(file))
    assert code == 2
    assert told == (
        f"Error: the draft was not written.\n  - {file}: there is a file already\n"
        "Choose another file with --out.\n"
    )
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        ((), "give a file, or fields with --set."),
        (("--set", "sex=both"), "sex: “both” is none of All, Female, Male."),
        (("nowhere.docx",), "nowhere.docx: there is no such file."),
        ((str(SYNOPSES),), "it is a folder. Give the file of one synopsis."),
        ((str(RECORD),), "it is XML or HTML, and no synopsis. A record of the registry needs no"),
        (("--set", "max age=old"), "maximum_age: “old” is no age."),
        (("--set", "phase=N/A", "--set", "title=A", "--out", "."), ".: there is a folder already"),
    ],
)
def test_mistakes_are_named(args: tuple[str, ...], fault: str) -> None:
    code, _, told = draft(*args)
    assert code == 2
    assert fault in told


@pytest.mark.slow
def test_the_forecast_tells_what_each_section_costs() -> None:
    code, shown, _ = draft("--set", "brief_title=Exemplamab in asthma", "--forecast")
    assert code == 0
    assert "Chance of success " in shown
    assert "criteria       missing       missing it costs " in shown
    code, shown, _ = draft(str(SYNOPSES / "colons.txt"), "--forecast", "--format", "json")
    values = json.loads(shown)
    assert 0 < values["forecast"]["lower"] < values["forecast"]["chance"]
    assert [item["section"] for item in values["forecast"]["sections"]][:2] == [
        "phase",
        "conditions",
    ]
    assert values["study"]["protocolSection"]["designModule"]["phases"] == ["PHASE2", "PHASE3"]
    assert values["readings"][0]["source"] == "Testamol in adults with chronic migraine"
