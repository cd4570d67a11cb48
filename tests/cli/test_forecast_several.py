"""``llm4top forecast --question``: several questions of the same records."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import llm4top
from llm4top.cli.app import app
from llm4top.forecasters.bundles.paths import embedded_names

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.xml"
needs_them = pytest.mark.skipif(
    len(embedded_names()) == 1, reason="no embedded question has been made yet"
)


def asked(*args: str):
    return CliRunner().invoke(app, ["forecast", str(EXAMPLE), *args])


@needs_them
def test_questions_are_rows_of_one_table(tmp_path: Path) -> None:
    done = asked("--question", "duration,why-it-fails", "--format", "csv")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["task"] for row in rows] == ["duration", "why-it-fails"]
    assert rows[0]["unit"] == "months"
    assert rows[1]["median"] == ""
    out = tmp_path / "f.jsonl"
    again = asked("--question", "duration,completion", "--format", "jsonl", "--out", str(out))
    assert again.exit_code == 0, again.output
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["task"] for line in lines] == ["duration", "completion"]
    assert done.stderr.count("Question: ") == 2


@needs_them
def test_a_quantity_is_told_in_its_unit() -> None:
    done = asked("--question", "duration")
    assert done.exit_code == 0, done.output
    assert "> median " in done.stdout
    assert " months, 80 % " in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--question", ","], "names no question"),
        (["--question", "duration", "--model", "mine"], "leave out --model and --task"),
        (["--question", "outcome,duration", "--format", "json"], "needs --format table, csv or"),
        (["--question", "weather"], "no embedded model answers 'weather'"),
    ],
)
def test_what_cannot_be_asked(args: list[str], words: str) -> None:
    done = asked(*args)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.replace("│", " ").split())
