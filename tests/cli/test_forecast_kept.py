"""What ``llm4top forecast`` keeps when it breaks off, and how it goes on behind that."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import llm4top
from llm4top.cli import forecast_run
from llm4top.cli.app import app
from llm4top.cli.output import CsvWriter, ForecastWriter, JsonLinesWriter, JsonWriter
from llm4top.forecasters import forecast as forecast_module

pytestmark = pytest.mark.slow

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.xml"
RECORDS = 11
TRIAL = "<study_type>Interventional"


def forecast(*args: object) -> Result:
    return CliRunner().invoke(app, ["forecast", *map(str, args)], env={"COLUMNS": "110"})


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eleven records, of which the third is an observational study, forecast four at a time."""
    monkeypatch.setattr(forecast_run, "CHUNK", 4)
    folder = tmp_path / "records"
    folder.mkdir()
    text = EXAMPLE.read_text("utf-8")
    for n in range(RECORDS):
        other = text.replace("NCT99999901", f"NCT999999{n:02}").replace("18 Years", f"{n} Years")
        if n == 2:
            other = other.replace(TRIAL, "<study_type>Observational")
        (folder / f"={n:02}.xml").write_text(other, "utf-8")
    return folder


def breaking(
    monkeypatch: pytest.MonkeyPatch, kind: type[ForecastWriter], after: int, error: BaseException
) -> Callable[[], None]:
    """Let a writer fail at the forecast after so many; returns what lets it work again."""
    real = kind.write
    written = 0

    def write(*args: object, **kwargs: object) -> None:
        nonlocal written
        if written == after:
            raise error
        written += 1
        real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "write", write)
    return lambda: monkeypatch.setattr(kind, "write", real)


@pytest.mark.parametrize(("form", "kind"), [("csv", CsvWriter), ("jsonl", JsonLinesWriter)])
@pytest.mark.parametrize("after", [1, 3, 5, 9])
def test_an_interrupted_call_is_continued_to_the_same_bytes(
    tiny_bundle: Path,
    records: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    kind: type[ForecastWriter],
    after: int,
) -> None:
    asked = (records, "--model", tiny_bundle, "--format", form)
    whole, out = tmp_path / "whole", tmp_path / f"out.{form}"
    assert forecast(*asked, "--out", whole).exit_code == 0

    mended = breaking(monkeypatch, kind, after, KeyboardInterrupt())
    broken = forecast(*asked, "--out", out)
    mended()
    part = tmp_path / f"out.{form}.partial"
    assert broken.exit_code == 130
    assert broken.stderr.splitlines()[-2:] == [
        f"{after} forecast{'s' * (after > 1)} kept in {part}. Continue with the same command and "
        "--resume.",
        "Interrupted.",
    ]
    assert not out.exists()
    # A kill may break off a line as well.
    with part.open("a") as file:
        file.write('{"record": "half a ')

    resumed = forecast(*asked, "--out", out, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert out.read_bytes() == whole.read_bytes()
    assert not part.exists()
    assert f" in {part} already." in resumed.stderr
    assert "10 forecast by tiny-" in resumed.stderr
    assert "Not forecast: 1 record " in resumed.stderr
    assert "Expected to succeed: " in resumed.stderr
    assert " of 10 trials, " in resumed.stderr


def test_resuming_where_nothing_was_kept_begins_with_the_first_record(
    tiny_bundle: Path, records: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    result = forecast(records, "--model", tiny_bundle, "--format", "csv", "--out", out, "--resume")
    assert result.exit_code == 0, result.output
    assert "Nothing to resume: starting with the first record." in result.stderr
    assert len(out.read_text().splitlines()) == 12


def test_a_part_is_not_lost_by_a_second_call(
    tiny_bundle: Path, records: Path, tmp_path: Path
) -> None:
    part = tmp_path / "out.csv.partial"
    part.write_text("a day of work")
    result = forecast(
        records, "--model", tiny_bundle, "--format", "csv", "--out", tmp_path / "out.csv"
    )
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {part}: exists from an interrupted call. Continue it with --resume, or remove "
        "it to start again.\n"
    )
    assert part.read_text() == "a day of work"


def test_forecasts_for_another_base_rate_are_not_continued(
    tiny_bundle: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    asked = (records, "--model", tiny_bundle, "--format", "csv", "--out", out)
    mended = breaking(monkeypatch, CsvWriter, 5, KeyboardInterrupt())
    assert forecast(*asked, "--base-rate", "0.6").exit_code == 130
    mended()
    result = forecast(*asked, "--resume")
    assert result.exit_code == 2
    assert result.stderr.endswith(
        f"Error: {out}.partial: holds forecasts adapted to the base rate 0.6, and these would be "
        "not adapted to a base rate. Give the same --base-rate, or remove the file to start "
        "again.\n"
    )
    assert forecast(*asked, "--base-rate", "60 %", "--resume").exit_code == 0
    assert len(out.read_text().splitlines()) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("records", "holds forecasts of other records than these. Give the same paths"),
        ("fewer", "holds forecasts of other records than these. Give the same paths"),
        ("bundle", "holds forecasts of other-0123456789ab, and the model is tiny-"),
        ("text", "is not a part of forecasts as csv from this version. Remove it"),
    ],
)
def test_a_part_of_something_else_is_refused_and_kept(
    tiny_bundle: Path,
    records: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    message: str,
) -> None:
    out = tmp_path / "out.csv"
    asked = (records, "--model", tiny_bundle, "--format", "csv", "--out", out)
    breaking(monkeypatch, CsvWriter, 6, KeyboardInterrupt())
    forecast(*asked)
    part = tmp_path / "out.csv.partial"
    if change == "records":
        (records / "=00.xml").rename(records / "=000.xml")
    elif change == "fewer":
        for n in range(4, RECORDS):
            (records / f"={n:02}.xml").unlink()
    elif change == "bundle":
        name = part.read_text().split("tiny-")[1].split(",")[0]
        part.write_text(part.read_text().replace(f"tiny-{name}", "other-0123456789ab"))
    else:
        part.write_text("one\ntwo\n")
    before = part.read_bytes()
    result = forecast(*asked, "--resume")
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert part.read_bytes() == before


def test_resuming_without_a_part_begins(tiny_bundle: Path, records: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    asked = (records, "--model", tiny_bundle, "--format", "csv", "--out", out, "--resume")
    assert forecast(*asked).exit_code == 0
    assert len(out.read_text().splitlines()) == 1 + RECORDS
    (tmp_path / "out.csv.partial").touch()
    assert forecast(*asked).exit_code == 0
    assert len(out.read_text().splitlines()) == 1 + RECORDS


@pytest.mark.parametrize("more", [("--format", "json"), ("--sort", "chance", "--format", "csv")])
def test_what_cannot_be_continued_says_so(tmp_path: Path, more: tuple[str, ...]) -> None:
    result = forecast(EXAMPLE, "--out", tmp_path / "o", "--resume", *more)
    assert result.exit_code == 2
    assert "needs --out and --format csv or jsonl, without --sort." in " ".join(
        result.stderr.replace("│", " ").split()
    )


def test_interrupted_json_is_still_json(
    tiny_bundle: Path, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch, JsonWriter, 5, KeyboardInterrupt())
    result = forecast(records, "--model", tiny_bundle, "--format", "json")
    assert result.exit_code == 130
    assert len(json.loads(result.stdout)["forecasts"]) == 5


def test_an_interrupted_order_holds_what_there_is(
    tiny_bundle: Path, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = forecast_module.forecast_records

    def stopped(*args: object, **more: object) -> object:
        for n, found in enumerate(real(*args, **more)):  # type: ignore[arg-type]
            if n == 6:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(forecast_module, "forecast_records", stopped)
    result = forecast(records, "--model", tiny_bundle, "--format", "json", "--sort", "chance")
    assert result.exit_code == 130
    found = json.loads(result.stdout)["forecasts"]
    order = [(item["probability"], item["score"]) for item in found]
    assert len(order) == 5
    assert order == sorted(order, reverse=True)


def test_a_full_disk_keeps_what_is_done(
    tiny_bundle: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    breaking(monkeypatch, CsvWriter, 4, full)
    result = forecast(records, "--model", tiny_bundle, "--format", "csv", "--out", out)
    assert result.exit_code == 1
    part = tmp_path / "out.csv.partial"
    assert result.stderr.splitlines() == [
        f"4 forecasts kept in {part}. Continue with the same command and --resume.",
        f"Error: {part}: the disk is full. Free some space, or write to another disk.",
    ]
    assert len(part.read_text().splitlines()) == 1 + 4 + 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("form", ["csv", "table"])
def test_standard_output_on_a_full_disk(tiny_bundle: Path, form: str) -> None:
    asked = ("forecast", EXAMPLE, "--model", tiny_bundle, "--format", form)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "llm4top", *asked],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: standard output: the disk is full. Free some space, or write to another disk."
    )
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_missing_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "out.csv"
    result = forecast(EXAMPLE, "--model", "no-such-model", "--format", "csv", "--out", out)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {tmp_path}/nowhere: there is no such folder. Make it first, or choose another.\n"
    )
    result = forecast(EXAMPLE, "--model", "no-such-model", "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path}: is a folder. Give the name of a file.\n"
