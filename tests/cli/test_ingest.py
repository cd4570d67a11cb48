"""``llm4top ingest`` through its command."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm4top.cli.app import app

HEADER = "nctid,status,why_stop,label,phase,diseases,icdcodes,drugs,smiless,criteria\r\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """An invented folder in TOP's layout: 60 trials of phase II."""
    folder = tmp_path / "top"
    folder.mkdir()
    for split, first, count in (("train", 0, 40), ("valid", 40, 10), ("test", 50, 10)):
        with (folder / f"phase_II_{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            file.write(HEADER)
            for n in range(first, first + count):
                rows.writerow(
                    [
                        f"NCT{90000000 + n}",
                        "completed",
                        "",
                        n % 2,
                        "phase 2",
                        "['psoriasis']",
                        "[\"['L40.0']\"]",
                        "['exemplamab']",
                        "['C']",
                        f"Inclusion Criteria: adults, group {n}",
                    ]
                )
    return folder


def ingest(*args: object) -> Result:
    return CliRunner().invoke(app, ["ingest", *map(str, args)], env={"COLUMNS": "120"})


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_tops_folder_becomes_a_data_set(top: Path, tmp_path: Path) -> None:
    result = ingest(top, "--out", tmp_path / "data")
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "data" / "card.json").read_text())
    assert card["balance"]["train"] == {"failure": 20, "success": 20}
    text = words(result.stdout)
    assert "data: 60 trials in" in text
    assert "train 40 20 (50 %) 20 (50 %)" in text
    assert "Split: the source's own split" in text


def test_a_random_split_with_shares_and_a_seed(top: Path, tmp_path: Path) -> None:
    args = (top, "--out", tmp_path / "data", "--split", "random", "--seed", 3)
    result = ingest(*args, "--shares", "0.5,0.3,0.2")
    assert result.exit_code == 0, result.output
    assert "shares 0.5 / 0.3 / 0.2, seed 3" in words(result.stdout)


def test_shares_alone_split_by_time(tmp_path: Path) -> None:
    folder = tmp_path / "xml"
    folder.mkdir()
    for n in range(20):
        (folder / f"{n}.xml").write_text(
            f"<clinical_study><id_info><nct_id>NCT9000{n:04d}</nct_id></id_info>"
            "<study_type>Interventional</study_type><phase>Phase 2</phase>"
            f"<brief_title>Study {n}</brief_title>"
            f"<overall_status>{'Completed' if n % 2 else 'Terminated'}</overall_status>"
            "<start_date>March 2004</start_date></clinical_study>"
        )
    args = (folder, "--task", "completion", "--out", tmp_path / "data")
    result = ingest(*args, "--shares", "0.5,0.3,0.2")
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "data" / "card.json").read_text())
    # All began in one month: parted by NCT number, so that no split is empty.
    assert [sum(card["balance"][s].values()) for s in ("train", "valid", "test")] == [10, 6, 4]
    assert "shares 0.5 / 0.3 / 0.2" in card["split_rule"]


def test_a_task_of_ones_own(top: Path, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(
        "name: slow\nkind: binary\nquestion: Is it slow?\nlabels: [quick, slow]\n"
    )
    labels = tmp_path / "labels.csv"
    rows = [f"NCT{90000000 + n},{'slow' if n % 3 else 'quick'}" for n in range(60)]
    labels.write_text("\n".join(["nctid,label", *rows]))
    result = ingest(
        top, "--out", tmp_path / "data", "--task", tmp_path / "task.yaml", "--labels", labels
    )
    assert result.exit_code == 0, result.output
    assert "quick" in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--task", "nothing"], "Error: no task 'nothing'. Known tasks: completion, "),
        (["--phases", "V"], "V"),
        (["--valid-until", "2012"], "needs --train-until too."),
        (["--split", "top", "--train-until", "2012"], "needs --split time."),
        (["--split", "random", "--shares", "1,2"], "give three numbers with commas"),
        (["--split", "random", "--shares", "1,2,3"], "are not a split."),
        (["--shares", "a,b"], "give three numbers with commas"),
        (["--split", "top", "--shares", "0.5,0.3,0.2"], "needs --split time or random"),
        (["--train-until", "2012", "--shares", "0.5,0.3,0.2"], "cannot be combined with"),
        (["--split", "sideways"], "'sideways' is not one of"),
    ],
)
def test_wrong_options_are_bad_usage(
    top: Path, tmp_path: Path, args: list[str], message: str
) -> None:
    result = ingest(top, "--out", tmp_path / "data", *args)
    assert result.exit_code == 2
    assert message in words(result.stderr.replace("│", " "))
    assert not (tmp_path / "data").exists()


def test_a_data_set_is_not_written_over(top: Path, tmp_path: Path) -> None:
    assert ingest(top, "--out", tmp_path / "data").exit_code == 0
    result = ingest(top, "--out", tmp_path / "data")
    assert result.exit_code == 2
    assert "already holds a data set." in result.stderr
    assert ingest(top, "--out", tmp_path / "data", "--overwrite").exit_code == 0


ENDLESS = """
import sys, time
from llm4top.cli.app import main
from llm4top.data import ingest
ingest.make_plan = lambda *_: time.sleep(60)
sys.argv = ["llm4top", "ingest", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_sigterm_leaves_nothing_behind_and_what_a_kill_leaves_goes(
    top: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    command = [sys.executable, "-c", ENDLESS, str(top), "--out", str(place / "data")]
    left: list[Path] = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while (used := list(place.glob(".ingest-*/.used"))) in ([], left) and not process.poll():
            time.sleep(0.02)
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
        if number == signal.SIGTERM:
            assert process.returncode == 130
            assert told == "Interrupted.\n"
        else:
            left = used
            os.utime(left[0], (1e9, 1e9))
    assert list(place.iterdir()) == []


def test_a_refused_record_is_named_and_costs_one_exit_code(top: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_text("<clinical_study><phase>")
    result = ingest(top, broken, "--out", tmp_path / "data", "--split", "random")
    assert result.exit_code == 1
    assert f"Refused: {broken}" in result.stderr
    assert "1 record refused." in result.stderr
