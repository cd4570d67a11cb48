"""``llm4top forecast --question``: several questions of the same records."""

import csv
import io
import json
import re
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
    assert done.stdout.startswith("How many months will this trial last")
    assert "the chance is that of " in " ".join(done.stdout.split())


@needs_them
def test_a_table_of_several_questions_ends_with_the_portfolio(tmp_path: Path) -> None:
    undated = tmp_path / "undated.xml"
    kept = [line for line in EXAMPLE.read_text("utf-8").splitlines() if "<start_date" not in line]
    undated.write_text("\n".join(kept).replace("NCT99999901", "NCT99999977"), "utf-8")
    question = ("--question", "outcome,why-it-fails,duration")
    done = asked(str(undated), *question)
    assert done.exit_code == 0, done.output
    *_, fail, end, left = done.stderr.splitlines()
    assert "Expected to succeed: " in done.stderr
    assert re.match(
        r"Expected to fail: 0\.\d of 2 trials; by reason \w+.* 0\.\d \(0 to \d\), ", fail
    )
    assert "The model of the reasons has little skill, and knows trials that were stopped" in fail
    assert end.startswith("Expected to have ended, of 1 trial that states its planned start, by ")
    assert re.search(r"2032 0\.\d \(0 to 1\), 2033 ", end)
    assert left.startswith("Not counted: 1 trial without a planned start")
    assert "(NCT99999977)" in left
    assert "Expected to fail" not in asked(*question).stderr, "one trial is no portfolio"
    out = tmp_path / "sums.csv"
    extra = ("--format", "csv", "--portfolio", str(out))
    rows = asked(str(undated), "--question", "outcome,why-it-fails", *extra)
    assert "Expected to fail" not in rows.stderr
    assert f"What the records add up to is in {out}." in rows.stderr
    sums = list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))
    assert [row["figure"] for row in sums] == ["label", *["failures"] * 4]
    assert sums[0]["trials"] == "2"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--question", ","], "names no question"),
        (["--question", "duration", "--model", "mine"], "leave out --model and --task"),
        (["--question", "outcome,duration", "--format", "json"], "needs --format table, csv or"),
        (["--portfolio", "sums.txt"], "end its name in .csv or .json"),
        (["--portfolio", "a.csv", "--resume", "--out", "b.csv"], "and --resume skips some"),
        (["--question", "weather"], "no embedded model answers 'weather'"),
        (["--question", "outcome,weather"], "answers 'weather'; they answer outcome"),
    ],
)
def test_what_cannot_be_asked(args: list[str], words: str) -> None:
    done = asked(*args)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert words in " ".join(done.stderr.replace("│", " ").split())
