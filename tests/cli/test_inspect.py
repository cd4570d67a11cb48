"""``llm4top inspect``: what a model sees, what was withheld and why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import llm4top
from llm4top import Trial, make_baseline
from llm4top.cli.app import app

EXAMPLES = Path(llm4top.__file__).parent / "examples"


def inspect(*args: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, args)], env={"COLUMNS": "160"})


def report(*args: object) -> Any:
    result = inspect(*args, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_person_sees_sections_tokens_and_what_was_withheld(tiny_bundle: Path) -> None:
    result = inspect(EXAMPLES / "example_with_results.xml", "--model", tiny_bundle)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert text.startswith("NCT99999902  ")
    assert "What the model sees" in text
    assert re.search(r"^Eligibility criteria \(\d+( of \d+)? tokens\)$", text, flags=re.MULTILINE)
    assert re.search(r"✂ \d+ tokens cut, from here: \S", text)
    assert "What was withheld" in text
    assert re.search(r"overall_status: tells how the trial went\n    Terminated", text)
    assert "clinical_results" in text


def test_json_adds_up(tiny_bundle: Path) -> None:
    found = report(EXAMPLES / "example.xml", "--model", tiny_bundle)
    assert found["nct_id"] == "NCT99999901"
    assert found["task"] == "outcome"
    assert found["prompt"]["tokens"] <= found["prompt"]["budget"] == 512
    cut = sum(section["cut"] for section in found["sections"])
    assert cut == found["prompt"]["tokens_cut"] > 0
    for section in found["sections"]:
        assert section["tokens"] == section["kept"] + section["cut"]
        assert section["text"] in found["prompt"]["text"]
    fields = {item["field"]: item for item in found["withheld"]}
    assert fields["id_info/nct_id"]["excerpt"] == "NCT99999901"
    assert found["nct_id"] not in found["prompt"]["text"]


def test_a_base_model_without_weights_loaded(tiny_model: Path) -> None:
    found = report(EXAMPLES / "example.xml", "--model", tiny_model, "--task", "completion")
    assert found["task"] == "completion"
    assert found["prompt"]["budget"] == 2048


def test_one_of_a_collection(tiny_bundle: Path) -> None:
    assert report(EXAMPLES, "--model", tiny_bundle)["nct_id"] == "NCT99999901"
    assert report(EXAMPLES, "--record", 3, "--model", tiny_bundle)["nct_id"] == "NCT99999902"
    by_id = report(EXAMPLES, "--nctid", "nct99999902", "--model", tiny_bundle)
    assert by_id["record"].endswith("example_with_results.xml")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--record", "9"], "there is no record number 9; 3 were read and 0 refused."),
        (["--nctid", "NCT00000000"], "there is no record with NCT id NCT00000000;"),
    ],
)
def test_a_record_that_is_not_there(tiny_bundle: Path, args: list[str], message: str) -> None:
    result = inspect(EXAMPLES, *args, "--model", tiny_bundle)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_broken_record_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.xml").write_text("<clinical_study><phase>")
    result = inspect(tmp_path / "broken.xml")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {tmp_path}/broken.xml")
    assert result.stderr.count("\n") == 1


def test_a_record_cannot_steer_the_terminal(tiny_bundle: Path, tmp_path: Path) -> None:
    text = (EXAMPLES / "example.json").read_text()
    title = '"briefTitle": "\\u001b[2J[red]x[/red] '
    (tmp_path / "hostile.json").write_text(re.sub(r'"briefTitle": "', lambda _: title, text))
    result = inspect(tmp_path / "hostile.json", "--model", tiny_bundle)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert "[red]x[/red]" in result.stdout


def test_posted_results_are_listed_as_withheld(tiny_bundle: Path, test_data: Path) -> None:
    file = test_data / "registry" / "xml" / "NCT00001596.xml"
    found = report(file, "--model", tiny_bundle)
    assert any(item["field"].startswith("clinical_results") for item in found["withheld"])


def test_a_baseline_reads_words_and_has_no_budget(tmp_path: Path) -> None:
    trials = [Trial(phase="Phase 2", conditions=("gout" if i % 2 else "asthma",)) for i in range(8)]
    fitted = make_baseline("tfidf").fit(trials, [i % 2 for i in range(8)])
    fitted.save(tmp_path / "tfidf")
    result = inspect(EXAMPLES / "example.xml", "--model", tmp_path / "tfidf")
    assert result.exit_code == 0, result.output
    assert "\nPhase (2 words)\nPhase 2\n" in result.stdout
    assert re.search(r"^\d\d+ words, nothing cut\.$", result.stdout, flags=re.MULTILINE)
    assert "token" not in result.stdout
    prompt = report(EXAMPLES / "example.xml", "--model", tmp_path / "tfidf")["prompt"]
    assert (prompt["tokens"], prompt["budget"], prompt["tokens_cut"]) == (0, None, 0)
