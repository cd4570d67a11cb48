"""``llm4top precedents``: an index is built, and earlier trials are found and shown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llm4top import make_baseline
from llm4top.cli.app import app
from llm4top.forecasters.precedents.build import TEST
from llm4top.forecasters.precedents.precedents import Precedents
from tests.cli.conftest import EXAMPLES
from tests.forecasters.baseline_kit import planted
from tests.forecasters.precedents.kit import dataset, years

RECORD = EXAMPLES / "example.xml"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of thirty invented trials, in a folder."""
    Precedents.build(dataset(years(30)), tmp_path / "index", model=None)
    return tmp_path / "index"


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    result = CliRunner().invoke(app, ["precedents", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def study(number: int, status: str) -> dict[str, Any]:
    """An invented study as the registry's API has it."""
    return {
        "protocolSection": {
            "identificationModule": {"nctId": f"NCT{number:08d}", "briefTitle": f"Study {number}"},
            "statusModule": {
                "overallStatus": status,
                "startDateStruct": {"date": "2007-03", "type": "ACTUAL"},
                "primaryCompletionDateStruct": {"date": "2009-10", "type": "ACTUAL"},
                "completionDateStruct": {"date": "2009-11", "type": "ACTUAL"},
            },
            "conditionsModule": {"conditions": ["Asthma"]},
            "designModule": {"studyType": "INTERVENTIONAL", "phases": ["PHASE2"]},
        }
    }


def test_an_index_is_built_of_a_data_set_in_the_home_folder(tmp_path: Path, home: Path) -> None:
    dataset(["2001", None, "2003-04"]).save(tmp_path / "set")
    code, out, _ = run("build", tmp_path / "set", "--model", "none")
    assert code == 0
    assert "2 trials completed between 2001 and 2003-04, task outcome" in " ".join(out.split())
    assert "left out: 1 without a completion date" in out
    assert len(Precedents.load(home / "precedents")) == 2


def test_an_index_is_built_of_records_by_their_status(tmp_path: Path) -> None:
    studies = [study(i, status) for i, status in enumerate(("COMPLETED", "TERMINATED", "UNKNOWN"))]
    (tmp_path / "records.json").write_text(json.dumps({"studies": studies}))
    target = tmp_path / "index"
    code, out, err = run("build", tmp_path / "records.json", "--model", "none", "--out", target)
    assert code == 0, err
    loaded = Precedents.load(target)
    assert loaded.task.name == "completion"
    assert loaded.card.counts == {"stopped": 1, "completed": 1}
    # The later of the two completion dates counts.
    assert (loaded.card.first, loaded.card.last) == ("2009-11", "2009-11")
    text = " ".join(out.split())
    assert "task completion (stopped 1, completed 1)" in text
    assert "Will this trial be completed, rather than terminated, withdrawn or" in text
    assert "compared by words left out: 1 without a label for this task" in text


@pytest.mark.slow
def test_ingest_builds_the_index_as_well(tmp_path: Path, home: Path) -> None:
    studies = [study(i, ("COMPLETED", "TERMINATED")[i % 2]) for i in range(12)]
    (tmp_path / "records.json").write_text(json.dumps({"studies": studies}))
    command = ["ingest", str(tmp_path / "records.json"), "--task", "completion", "--precedents"]
    command += ["--split", "random", "--shares", "0.5,0.25,0.25", "--out"]
    result = CliRunner().invoke(app, [*command, str(tmp_path / "set")])
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "trials completed between 2009-11 and 2009-11, task completion" in text
    assert "compared by words and by the language model of embedded" in text
    loaded = Precedents.load(home / "precedents")
    # The test split of the data set stays sealed.
    assert len(loaded) == 12 - loaded.card.left_out[TEST]
    # An index that is there is refused before anything is read.
    again = CliRunner().invoke(app, [*command, str(tmp_path / "other")])
    assert again.exit_code == 2
    assert "already holds an index" in again.stderr
    assert not (tmp_path / "other").exists()


def test_precedents_are_shown_to_a_person(index: Path) -> None:
    code, out, _ = run("find", RECORD, "--index", index, "-k", 3, "--before", "2001-07")
    text = " ".join(out.split())
    assert code == 0
    assert "18 trials completed before 2001-07-01 (given); 12 later ones not considered" in text
    assert "of 3 ended with success:" in text
    assert "base rate" in text
    assert "https://clinicaltrials.gov/study/NCT000000" in text


def test_precedents_as_json_and_as_csv(index: Path) -> None:
    wanted = ("find", RECORD, "--index", index, "-k", 2, "--before", "2001-07", "--format")
    _, out, _ = run(*wanted, "json")
    (answer,) = json.loads(out)
    assert answer["record"].endswith("example.xml")
    assert answer["earlier"] == 18
    assert [item["rank"] for item in answer["neighbours"]] == [1, 2]
    _, out, _ = run(*wanted, "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["nct_id"] for row in rows] == [item["nct_id"] for item in answer["neighbours"]]
    assert rows[0]["link"] == f"https://clinicaltrials.gov/study/{rows[0]['nct_id']}"


def test_without_an_index_the_command_says_how_to_build_one() -> None:
    code, _, err = run("find", RECORD)
    assert code != 0
    assert "there is no index of precedents here. Build one: `llm4top precedents build" in err


def test_a_date_that_is_none_is_named(index: Path) -> None:
    code, _, err = run("find", RECORD, "--index", index, "--before", "soon")
    assert code != 0
    assert "'soon' is not a date. Write it as 2004, 2004-06 or 2004-06-30." in err


def test_a_refused_record_does_not_stop_the_others(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "a.xml").write_text("<rss/>")
    (folder / "b.xml").write_bytes(RECORD.read_bytes())
    code, out, err = run("find", folder, "--index", index, "--format", "json")
    assert code == 1
    assert len(json.loads(out)) == 1
    assert "Refused:" in err


def test_where_there_is_nothing_it_says_so(index: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    code, out, err = run("find", tmp_path / "none", "--index", index)
    assert (code, out) == (2, "")
    assert "There is no record in" in err
    (tmp_path / "a.xml").write_text("<rss/>")
    code, out, err = run("find", tmp_path / "a.xml", "--index", index)
    assert (code, out) == (2, "")
    assert err.startswith("Refused: ")


def test_a_record_comes_from_standard_input(index: Path) -> None:
    words = ["precedents", "find", "-", "--index", str(index), "--format", "json"]
    result = CliRunner().invoke(app, words, input=RECORD.read_text("utf-8"))
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)[0]["record"] == "stdin"


def test_a_model_without_hidden_states_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("no record")
    make_baseline("tfidf").fit(*planted(60)).save(tmp_path / "words")
    code, _, err = run(
        "build", tmp_path / "a.json", "--model", tmp_path / "words", "--out", tmp_path / "index"
    )
    assert code == 2
    assert "has no language model, so no hidden states. Compare by words alone (--model" in err
