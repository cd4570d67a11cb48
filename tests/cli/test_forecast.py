"""``llm4top forecast`` through its command and in processes of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import llm4top
from llm4top.cli.app import app
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.forecaster import as_forecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.trial import Trial
from llm4top.text import percent, thousands

pytestmark = pytest.mark.slow

EXAMPLES = Path(llm4top.__file__).parent / "examples"


def forecast(*args: object) -> Result:
    return CliRunner().invoke(app, ["forecast", *map(str, args)], env={"COLUMNS": "110"})


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder with the example twice, a zip of it, and a file that is no record."""
    folder = tmp_path / "records"
    folder.mkdir()
    shutil.copy(EXAMPLES / "example.xml", folder / "a.xml")
    shutil.copy(EXAMPLES / "example.json", folder / "b.json")
    with zipfile.ZipFile(folder / "c.zip", "w") as archive:
        for n in range(3):
            archive.write(EXAMPLES / "example.xml", f"NCT9999xxxx/{n}.xml")
    return folder


def test_both_formats_of_one_trial_get_one_forecast(tiny_bundle: Path) -> None:
    files = (EXAMPLES / "example.xml", EXAMPLES / "example.json")
    result = forecast(*files, "--model", tiny_bundle, "--format", "csv")
    assert result.exit_code == 0, result.output
    xml, api = rows_of(result.stdout)
    for differs in ("record", "source_sha256", "withheld", "same_trial_as"):
        assert xml.pop(differs) != api.pop(differs)
    assert xml == api
    assert xml["nct_id"].startswith("NCT")
    assert xml["task"] == "outcome"
    assert 0 <= float(xml["lower"]) <= float(xml["probability"]) <= float(xml["upper"]) <= 1
    assert float(xml["base_rate"]) == 0.4
    assert xml["bundle"].startswith("tiny-")


def test_folders_and_zips_are_read_whole(tiny_bundle: Path, records: Path) -> None:
    result = forecast(records, "--model", tiny_bundle, "--format", "csv")
    assert result.exit_code == 0, result.output
    assert [Path(row["record"]).name for row in rows_of(result.stdout)] == [
        "a.xml",
        "b.json#1" if "b.json#1" in result.stdout else "b.json!#1",
        "0.xml",
        "1.xml",
        "2.xml",
    ]


def test_the_table_shows_chance_interval_and_base_rate(tiny_bundle: Path) -> None:
    result = forecast(EXAMPLES / "example.xml", "--model", tiny_bundle)
    assert result.exit_code == 0, result.output
    heading, line = result.stdout.replace("\xa0", " ").splitlines()[:2]
    assert heading.split() == ["Trial", "Phase", "Chance", "Interval", "Base", "rate", "Title"]
    assert line.startswith("NCT99999901")
    assert " 40 % " in line
    assert re.fullmatch(
        r"1 forecast by tiny-\w{12}, 0 refused\. "
        r"A research estimate: not medical or investment advice\.\n",
        result.stderr,
    )


def test_withheld_outcomes_are_warned_about(tiny_bundle: Path) -> None:
    result = forecast(EXAMPLES, "--model", tiny_bundle, "--format", "jsonl")
    forecasts = [json.loads(line) for line in result.stdout.splitlines()]
    with_results = forecasts[-1]
    assert "record already has results: withheld" in with_results["warnings"]
    assert with_results["withheld"]
    assert sum(with_results["probabilities"].values()) == pytest.approx(1)
    assert len(with_results["prompt_sha256"]) == 64


def test_refused_records_cost_exit_code_one(tiny_bundle: Path, records: Path) -> None:
    (records / "notes.xml").write_text("<rss></rss>")
    result = forecast(records, "--model", tiny_bundle, "--format", "csv")
    assert result.exit_code == 1
    assert len(rows_of(result.stdout)) == 5
    assert f"Refused: {records}/notes.xml" in result.stderr
    assert re.search(r"^5 forecast by \S+, 1 refused\.", result.stderr, flags=re.MULTILINE)


def test_nothing_to_forecast_is_exit_code_two(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.xml").write_text("<rss></rss>")
    result = forecast(tmp_path / "notes.xml", "--model", tiny_bundle)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.search(r"^0 forecast by \S+, 1 refused\.", result.stderr, flags=re.MULTILINE)


def test_an_empty_folder_says_so(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.xml").write_text("<clinical_study/>")
    result = forecast(tmp_path / "empty", "--model", tiny_bundle)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(
        f"There is no record in {tmp_path}/empty: it is empty. Folders are read with their "
        "subfolders; hidden files are skipped.\n"
    )


@pytest.mark.parametrize("name", ["example.xml", "example.json"])
def test_a_dash_is_standard_input(tiny_bundle: Path, name: str) -> None:
    args = ["forecast", "-", "--model", str(tiny_bundle), "--format", "jsonl"]
    result = CliRunner().invoke(app, args, input=(EXAMPLES / name).read_bytes())
    assert result.exit_code == 0, result.output
    (line,) = map(json.loads, result.stdout.splitlines())
    assert line["record"] == ("stdin!#1" if name.endswith("json") else "stdin")
    refused = CliRunner().invoke(app, args, input=b"<rss></rss>")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Refused: stdin: the file is a news feed")


def test_copies_are_named_and_counted_once(tiny_bundle: Path, records: Path) -> None:
    result = forecast(records, "--model", tiny_bundle)
    assert result.stdout.count("= the same trial as a.xml") == 4
    said = " ".join(result.stderr.split())
    assert (
        "4 records are copies of a trial that came before, by NCT id: "
        "b.json#1 (NCT99999901, as a.xml), "
    ) in said
    assert "and 1 more. 5 forecast by" in said
    text = (EXAMPLES / "example.xml").read_text("utf-8")
    (records / "d.xml").write_text(text.replace("NCT99999901", "NCT99999902"), "utf-8")
    assert re.search(
        r"^Expected to succeed: \d\.\d of 2 trials \(copies counted once\), 0 to 2 with 95 % "
        r"probability if they are independent; by base rates alone 0\.8\.$",
        forecast(records, "--model", tiny_bundle).stderr,
        flags=re.MULTILINE,
    )


@pytest.mark.parametrize("by", ["chance", "base-diff", "record"])
def test_forecasts_can_be_sorted(tiny_bundle: Path, tmp_path: Path, by: str) -> None:
    text = (EXAMPLES / "example.xml").read_text("utf-8")
    for n, name in enumerate(("c", "a", "b", "e", "d")):
        other = text.replace("18 Years", f"{n} Years").replace("psoriasis", f"disease {n}")
        (tmp_path / f"{name}.xml").write_text(other.replace("Phase 2", f"Phase {n % 3 + 1}"))
    result = forecast(tmp_path, "--model", tiny_bundle, "--format", "csv", "--sort", by)
    rows = rows_of(result.stdout)
    assert len(rows) == 5
    if by == "record":
        assert [row["record"] for row in rows] == sorted(row["record"] for row in rows)
        return
    base = "base_rate" if by == "base-diff" else ""
    order = [
        (
            round(
                float(r["probability"]) - float(r[base] or 0) if base else float(r["probability"]),
                6,
            ),
            float(r["score"]),
        )
        for r in rows
    ]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_an_old_terminal_gets_what_it_can_show(tiny_bundle: Path, encoding: str) -> None:
    runner = CliRunner(charset=encoding)
    args = ["forecast", str(EXAMPLES), "--model", str(tiny_bundle)]
    table = runner.invoke(app, args, env={"COLUMNS": "70"})
    assert table.exit_code == 0, table.output
    assert re.search(r" Exemplamab\b.*\.\.\.$", table.stdout, flags=re.MULTILINE)
    assert runner.invoke(app, [*args, "--format", "csv"]).exit_code == 0


REGISTRY = (
    "a patient registry: 'outcome' is a question about interventional studies; only a question of "
    "your own can be used for it."
)


@pytest.fixture
def registries(tmp_path: Path) -> Path:
    """A folder with one trial and four patient registries."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    text = (EXAMPLES / "example.xml").read_text("utf-8")
    (folder / "trial.xml").write_text(text, "utf-8")
    kind = "<study_type>Interventional</study_type>"
    assert kind in text
    other = text.replace(kind, "<study_type>Observational [Patient Registry]</study_type>")
    for n in range(4):
        (folder / f"registry{n}.xml").write_text(other, "utf-8")
    return folder


def test_a_question_that_does_not_apply_gets_no_number(tiny_bundle: Path, registries: Path) -> None:
    result = forecast(registries, "--model", tiny_bundle, "--format", "csv")
    assert result.exit_code == 0, result.output
    rows = rows_of(result.stdout)
    assert [Path(row["record"]).name for row in rows if row["status"] == "forecast"] == [
        "trial.xml"
    ]
    apart = [row for row in rows if row["status"] == "not applicable"]
    assert {(row["probability"], row["reason"]) for row in apart} == {("", REGISTRY)}
    assert len(apart) == 4
    names = ", ".join(f"registry{n}.xml" for n in range(3))
    assert f"Not forecast: 4 records ({names} and 1 more): {REGISTRY}\n" in result.stderr
    assert "1 forecast by tiny-" in result.stderr
    assert ", 4 not applicable, 0 refused." in result.stderr


def test_programs_get_the_reason_in_place_of_a_number(tiny_bundle: Path, registries: Path) -> None:
    asked = (registries, "--model", tiny_bundle, "--format")
    whole = json.loads(forecast(*asked, "json").stdout)
    assert [Path(item["record"]).name for item in whole["forecasts"]] == ["trial.xml"]
    lines = [json.loads(line) for line in forecast(*asked, "jsonl").stdout.splitlines()]
    apart = [line for line in lines if line["status"] == "not applicable"]
    assert whole["not_applicable"] == apart
    first = {
        "status": "not applicable",
        "reason": REGISTRY,
        "record": f"{registries}/registry0.xml",
        "nct_id": "NCT99999901",
        "task": "outcome",
    }
    assert first.items() <= apart[0].items()
    assert len(lines) == 5


def test_only_studies_that_the_question_is_not_about_is_no_failure(
    tiny_bundle: Path, registries: Path
) -> None:
    (registries / "trial.xml").unlink()
    result = forecast(registries, "--model", tiny_bundle)
    assert (result.exit_code, result.stdout) == (0, "")
    (registries / "notes.xml").write_text("<rss></rss>")
    assert forecast(registries, "--model", tiny_bundle).exit_code == 1


@pytest.mark.parametrize("output", ["json", "csv", "jsonl"])
def test_nothing_is_still_a_document(tiny_bundle: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "notes.xml").write_text("<rss></rss>")
    result = forecast(tmp_path / "notes.xml", "--model", tiny_bundle, "--format", output)
    assert result.exit_code == 2
    expected = {"json": '{"forecasts": [], "not_applicable": []}\n', "jsonl": ""}
    assert result.stdout == expected.get(output, result.stdout)
    assert output != "csv" or rows_of(result.stdout) == []


def test_no_path_is_bad_usage() -> None:
    result = forecast()
    assert result.exit_code == 2
    assert "give a file or a folder, or --example." in result.stderr


def test_a_path_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = forecast(tmp_path / "gone.xml")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {tmp_path}/gone.xml: there is no such file or folder.")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "nothing"], "'nothing' is neither a bundle nor a base model"),
        (["--task", "nothing"], "no task 'nothing'. Known tasks: completion, "),
        (["--task", "completion"], "it answers 'outcome'"),
        (["--device", "abacus"], "this machine has no device 'abacus'"),
        (["--quantize", "3bit"], "no quantisation '3bit'."),
    ],
)
def test_wrong_choices_are_sentences(tiny_bundle: Path, args: list[str], message: str) -> None:
    base = [] if "--model" in args else ["--model", str(tiny_bundle)]
    result = forecast(EXAMPLES / "example.xml", *base, *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_limit_stops_early(tiny_bundle: Path, records: Path) -> None:
    result = forecast(records, "--model", tiny_bundle, "--format", "csv", "--limit", 2)
    assert result.exit_code == 0
    assert len(rows_of(result.stdout)) == 2


def test_out_writes_a_whole_file(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "forecasts.json"
    result = forecast(
        EXAMPLES / "example.xml", "--model", tiny_bundle, "--format", "json", "--out", out
    )
    assert result.exit_code == 0
    assert result.stdout == ""
    assert len(json.loads(out.read_text())["forecasts"]) == 1
    assert [path.name for path in tmp_path.glob("*forecasts*")] == ["forecasts.json"]


@pytest.mark.parametrize(
    ("ending", "begins"),
    [("csv", "record,"), ("JSON", "{"), ("txt", "Trial"), ("html", "<!doctype html>")],
)
def test_the_ending_of_the_file_gives_its_format(
    tiny_bundle: Path, tmp_path: Path, ending: str, begins: str
) -> None:
    out = tmp_path / f"forecasts.{ending}"
    result = forecast(EXAMPLES / "example.xml", "--model", tiny_bundle, "--out", out)
    assert result.exit_code == 0
    assert out.read_text(encoding="utf-8").startswith(begins)


def test_a_failure_leaves_the_old_file(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "forecasts.csv"
    out.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llm4top.forecasters.forecast.forecast_records", fail)
    result = forecast(
        EXAMPLES / "example.xml", "--model", tiny_bundle, "--format", "csv", "--out", out
    )
    assert result.exit_code == 130
    assert result.stderr == "Interrupted.\n"
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.glob("*forecasts*")] == ["forecasts.csv"]


def test_a_base_model_can_be_asked_untrained(tiny_model: Path) -> None:
    result = forecast(
        EXAMPLES / "example.xml", "--model", tiny_model, "--task", "completion", "--format", "csv"
    )
    assert result.exit_code == 0, result.output
    (row,) = rows_of(result.stdout)
    assert row["lower"] == row["upper"] == row["base_rate"] == ""
    assert "not calibrated" in row["warnings"]
    assert row["task"] == "completion"


def test_the_folder_of_a_run_stands_for_its_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "run" / "bundle")
    result = forecast(EXAMPLES / "example.xml", "--model", tmp_path / "run", "--format", "csv")
    assert result.exit_code == 0, result.output


def test_a_changed_bundle_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    (copy / "MODEL_CARD.md").write_text("changed")
    result = forecast(EXAMPLES / "example.xml", "--model", copy)
    assert result.exit_code == 1
    assert "copy/MODEL_CARD.md" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_reader_of_a_pipe_may_go_away(tiny_bundle: Path, records: Path) -> None:
    as_csv = ("--format", "csv")
    with subprocess.Popen(
        [sys.executable, "-m", "llm4top", "forecast", records, "--model", tiny_bundle, *as_csv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        stderr = process.stderr.read().decode()
    assert process.returncode == 141
    assert stderr == ""


GUARD = """
import socket

class Blocked(Exception): ...

def refuse(what):
    def blocked(*args, **kwargs):
        print("OUTSIDE:", what, args[-1:], flush=True)
        raise Blocked(what)
    return blocked

def guarded(real):
    def only_loopback(self, address, *rest):
        if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1"):
            return real(self, address, *rest)
        return refuse("connect")(address)
    return only_loopback

class Socket(socket.socket):
    connect = guarded(socket.socket.connect)
    connect_ex = guarded(socket.socket.connect_ex)
    sendto = refuse("sendto")

socket.socket = Socket
socket.create_connection = refuse("create_connection")
socket.getaddrinfo = refuse("getaddrinfo")
socket.gethostbyname = refuse("gethostbyname")
"""


def cut_off(folder: Path) -> dict[str, str]:
    """An environment whose Python processes reach nothing but loopback, nor look anything up."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(GUARD)
    offline = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return {**offline, "PYTHONPATH": str(folder)}


def test_the_guard_guards(tmp_path: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=cut_off(tmp_path / "g"), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "OUTSIDE: create_connection" in done.stdout


def test_the_demo_needs_no_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llm4top", "forecast", str(EXAMPLES)],
        env=cut_off(tmp_path / "guard"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "NCT99999901" in done.stdout
    assert "OUTSIDE" not in done.stdout + done.stderr


def test_the_sample_of_the_registry(tiny_bundle: Path, test_data: Path) -> None:
    folder = test_data / "registry" / "xml"
    result = forecast(folder, "--model", tiny_bundle, "--format", "csv")
    assert result.exit_code == 0, result.output
    assert len(rows_of(result.stdout)) == 40


def test_the_table_says_whose_base_rates_it_shows() -> None:
    result = forecast(EXAMPLES / "example.json", "--model", "embedded")
    trials = thousands(load_forecaster("embedded", weights=False).base_rates["all"].n)
    assert (
        f"Base rate: the share observed in the same phase among the {trials} training trials of "
        "top, not among all trials.\n"
    ) in result.stderr


def learning(count: int = 60) -> tuple[list[Trial], list[str]]:
    """Invented trials whose criteria tell the label."""
    words = ("risky and new", "safe and well known")
    trials = [
        Trial(
            phase=("Phase 1", "Phase 2", "Phase 3")[i % 3],
            conditions=("asthma",),
            criteria=f"Adults of {18 + i % 9} years. {words[i % 2]}.",
        )
        for i in range(count)
    ]
    return trials, ["success" if i % 2 else "failure" for i in range(count)]


@pytest.mark.parametrize("kind", ["tfidf", "xgboost", "base-rate", "blend"])
def test_a_bundle_without_a_language_model_forecasts(kind: str, tmp_path: Path) -> None:
    trials, y = learning()
    rest = (trials[30:], y[30:])
    made = {n: make_baseline(n).fit(trials[:30], y[:30]) for n in ("tfidf", "xgboost", "base-rate")}
    if kind == "blend":
        parts = {name: as_forecaster(made[name]) for name in ("tfidf", "xgboost")}
        as_forecaster(Blend.fit(parts, *rest)).save(tmp_path / kind, validation=rest)
    else:
        made[kind].save(tmp_path / kind, validation=rest)
    result = forecast("--example", "--model", tmp_path / kind, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["forecasts"][0]
    assert found["lower"] <= found["probability"] <= found["upper"]
    assert found["bundle"].startswith(f"{kind}-")


def test_a_base_rate_adapts_and_is_shown(tiny_bundle: Path) -> None:
    asked = (EXAMPLES / "example.xml", "--model", tiny_bundle)
    (plain,) = rows_of(forecast(*asked, "--format", "csv").stdout)
    (row,) = rows_of(forecast(*asked, "--format", "csv", "--base-rate", "90 %").stdout)
    assert (row["adapted_to"], row["target_rate"]) == ("0.9", "0.900000")
    assert row["base_rate"] == plain["base_rate"]
    assert row["unadapted_probability"] == plain["probability"] < row["probability"]
    assert row["unadapted_lower"] == plain["lower"] < row["lower"]
    table = forecast(*asked, "--base-rate", "90 %")
    line = next(line for line in table.stdout.splitlines() if "Exemplamab" in line)
    assert percent(0.9) in line
    assert "! adapted from a base rate of " in table.stdout
    assert "what the forecasts are adapted to (0.9, as you gave it)." in table.stderr


def test_a_base_rate_is_measured_on_labelled_trials(tiny_bundle: Path, tmp_path: Path) -> None:
    labels = tmp_path / "ours.csv"
    lines = [f"NCT{n:08},phase 2,{int(n < 14)}" for n in range(20)]
    labels.write_text("nctid,phase,label\n" + "\n".join(lines))
    asked = (EXAMPLES / "example.xml", "--model", tiny_bundle, "--base-rate", labels)
    result = forecast(*asked)
    assert result.exit_code == 0, result.output
    assert "% to 70 %, measured among 20 trials of ours.csv: " in result.stdout
    assert "(Phase 2=0.7, all=0.7, measured among 20 trials of ours.csv)" in result.stderr


def test_a_base_rate_that_is_none_is_a_sentence(tiny_bundle: Path) -> None:
    result = forecast(EXAMPLES / "example.xml", "--model", tiny_bundle, "--base-rate", "56")
    assert (result.exit_code, result.stdout) == (2, "")
    told = "Error: base rate: 56 is more than 1. If it is in percent, write 56 %.\n"
    assert result.stderr == told
