"""``llm4top forecast`` into a folder of Parquet files, and what it refuses, without Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.forecasters.bulk import ray_cluster
from tests.forecasters.bulk.kit import make_zip


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["forecast", *map(str, arguments)])


def test_a_folder_of_parquet_has_the_rows_of_the_json(tmp_path: Path) -> None:
    paths = [make_zip(tmp_path / "a.zip", 5, broken=(3,)), make_zip(tmp_path / "b.zip", 2)]
    out = tmp_path / "out"
    done = call(*paths, "--format", "parquet", "--out", out, "--shard-records", 2)
    assert done.exit_code == 1, done.output
    assert f"Refused: {paths[0]}!NCT90000003.xml" in done.output
    assert f"All 1 refused record with reasons: {out / '_refused'}." in done.output
    assert "2 records are copies of a trial that came before" in done.output
    assert "4 Parquet files with 6 forecasts" in done.output
    table = pd.read_parquet(out)
    lines = call(*paths, "--format", "jsonl").stdout.splitlines()
    wanted = [json.loads(line) for line in lines]
    for column in ("record", "probability", "lower", "upper", "score", "tokens", "same_trial_as"):
        held = [None if pd.isna(value) else value for value in table[column]]
        assert held == [row[column] for row in wanted], column
    assert len(pd.read_parquet(out / "_refused")) == 1
    again = call(*paths, "--format", "parquet", "--out", out, "--shard-records", 2)
    assert again.exit_code == 1
    assert f"6 forecasts in {out} already: 4 of 4 shards." in again.output
    assert pd.read_parquet(out).equals(table)


def test_a_folder_without_records_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = call(tmp_path / "in", "--format", "parquet", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "there is no record in it." in done.output
    assert not (tmp_path / "out").exists()


def test_the_folder_is_not_among_what_is_read(tmp_path: Path) -> None:
    done = call(tmp_path, "--format", "parquet", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "which is read: give a folder elsewhere." in said(done.output)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--engine", "ray"], "needs the folder for its Parquet"),
        (["--engine", "ray", "--out", "o", "--format", "csv"], "writes Parquet only"),
        (
            ["--engine", "ray", "--out", "o.csv"],
            "a folder of Parquet files: name one that does not",
        ),
        (["--engine", "ray", "--out", "o", "--limit", "3"], "does not go with --engine ray"),
        (["--engine", "ray", "--out", "o", "--device", "cuda:1"], "Ray gives each process its GPU"),
        (["--engine", "ray", "--out", "o", "--question", "outcome,duration"], "asks one question"),
        (["--format", "parquet", "--out", "o", "--sort", "chance"], "does not go with --format"),
        (["--out", "o.parquet"], "is a folder of files: add --format parquet"),
        (["--workers", "2"], "is for --engine ray"),
        (["--address", "auto"], "is for --engine ray"),
    ],
)
def test_options_that_exclude_each_other(options: list[str], words: str) -> None:
    done = call("a.zip", *options)
    assert done.exit_code == 2
    assert words in said(done.output)


def said(output: str) -> str:
    """What a box says, in one line."""
    return " ".join(output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: nothing answers there: Connection refused."),
        ("ray://127.0.0.1:1", "--address ray://127.0.0.1:1: is neither auto nor HOST:PORT."),
    ],
)
def test_a_wrong_address_is_said_before_anything_is_made(
    tmp_path: Path, address: str, words: str
) -> None:
    path, out = make_zip(tmp_path / "a.zip", 1), tmp_path / "out"
    done = call(path, "--engine", "ray", "--out", out, "--address", address)
    assert done.exit_code == 2
    assert words in done.output
    assert "Give the address that `ray start --head` printed" in done.output
    assert not out.exists()


def test_without_ray_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    path = make_zip(tmp_path / "a.zip", 1)
    done = call(path, "--engine", "ray", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert 'Install it with: pip install "llm4top[ray]"' in done.output
