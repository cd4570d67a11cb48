"""``llm4top bundle``: list, show, verify, export, import."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm4top.cli.app import app
from llm4top.forecasters.bundles.paths import embedded_names, is_embedded
from tests.cli.conftest import EXAMPLES


def bundle(*args: object) -> Result:
    return CliRunner().invoke(app, ["bundle", *map(str, args)], env={"COLUMNS": "160"})


@pytest.fixture
def damaged(tiny_bundle: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "damaged"
    shutil.copytree(tiny_bundle, copy)
    card = copy / "MODEL_CARD.md"
    card.write_bytes(card.read_bytes()[:-1] + b"!")
    return copy


def test_export_import_list(tiny_bundle: Path, tmp_path: Path, home: Path) -> None:
    file = tmp_path / "tiny.zip"
    result = bundle("export", tiny_bundle, file)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{file}\n"
    result = bundle("import", file, "--as", "mine")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{home}/bundles/mine\n"
    assert "--model mine" in result.stderr
    result = bundle("list", "--format", "json")
    (mine,) = [row for row in json.loads(result.stdout) if not is_embedded(row["name"])]
    assert mine["name"] == "mine"
    assert mine["task"] == "outcome"
    assert mine["base"] == "tiny-qwen3"
    table = bundle("list").stdout
    assert "Question" in table
    assert "tiny-qwen3" in table


def test_push_prepares_a_folder_and_sends_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hub folder"
    result = bundle("push", tiny_bundle, folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{folder}\n"
    assert result.stderr.splitlines() == [
        "Licence: none is recorded.",
        f"Nothing was sent. To publish it yourself: hf upload OWNER/tiny '{folder}'",
    ]
    again = bundle("push", tiny_bundle, folder)
    assert again.exit_code == 2
    assert "already holds a bundle for the Hub. Choose another folder" in again.stderr
    assert bundle("push", tiny_bundle, folder, "--overwrite").exit_code == 0
    forecast = CliRunner().invoke(app, ["forecast", str(EXAMPLES), "--model", str(folder)])
    assert forecast.exit_code == 0, forecast.output


def test_an_import_twice_changes_nothing_and_another_is_refused(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.zip"
    bundle("export", tiny_bundle, file)
    assert bundle("import", file).exit_code == 0
    assert bundle("import", file).exit_code == 0
    assert bundle("export", tiny_bundle, file).exit_code == 2


def test_verify_names_every_file(tiny_bundle: Path) -> None:
    result = bundle("verify", tiny_bundle)
    assert result.exit_code == 0
    assert "ok       base/model.safetensors\n" in result.stdout
    assert "every file is as listed." in result.stderr


def test_a_changed_byte_is_found(damaged: Path) -> None:
    result = bundle("verify", damaged)
    assert result.exit_code == 1
    assert "changed  MODEL_CARD.md: does not match its hash in the manifest\n" in result.stdout
    assert "1 file not as listed." in result.stderr


def test_a_planted_pickle_is_found(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "planted"
    shutil.copytree(tiny_bundle, copy)
    (copy / "extra.pkl").write_bytes(b"\x80\x04K\x01.")
    result = bundle("verify", copy)
    assert result.exit_code == 1
    assert "unsafe   extra.pkl: is of a kind that can run code" in result.stdout


def test_show_prints_the_card_or_the_manifest(tiny_bundle: Path) -> None:
    result = bundle("show", tiny_bundle)
    assert result.exit_code == 0
    assert result.stdout == (tiny_bundle / "MODEL_CARD.md").read_text()
    manifest = json.loads(bundle("show", tiny_bundle, "--format", "json").stdout)
    assert manifest["name"] == "tiny"


@pytest.mark.parametrize("command", [["show"], ["export"]])
def test_a_damaged_bundle_is_neither_shown_nor_packed(
    damaged: Path, tmp_path: Path, command: list[str]
) -> None:
    more = [tmp_path / "x.zip"] if command == ["export"] else []
    result = bundle(*command, damaged, *more)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: damaged/MODEL_CARD.md: does not match its hash")
    assert not (tmp_path / "x.zip").exists()


def test_a_bundle_that_is_not_there() -> None:
    result = bundle("verify", "nothing")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: no bundle 'nothing'. List the bundles")


def test_a_file_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("no zip")
    result = bundle("import", tmp_path / "x.zip")
    assert result.exit_code == 2
    assert "cannot be unpacked" in result.stderr


def test_a_broken_bundle_in_the_store_is_named(tiny_bundle: Path, home: Path) -> None:
    shutil.copytree(tiny_bundle, home / "bundles" / "whole")
    broken = home / "bundles" / "broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    result = bundle("list")
    assert result.exit_code == 1
    assert "whole" in result.stdout
    assert "Broken: broken/manifest.json" in result.stderr


def test_an_export_may_replace_a_file_but_no_folder(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.zip"
    file.write_text("old")
    refused = bundle("export", tiny_bundle, file)
    assert refused.exit_code == 2
    assert refused.stderr == (
        f"Error: {file}: there is a file here already. Choose another name, or --overwrite.\n"
    )
    assert bundle("export", tiny_bundle, file, "--overwrite").exit_code == 0
    assert file.stat().st_size > 1000
    refused = bundle("export", tiny_bundle, tmp_path, "--overwrite")
    assert refused.stderr == (
        f"Error: {tmp_path}: there is a folder here already. Choose another name.\n"
    )


def test_a_bundle_is_removed_when_that_is_confirmed(
    tiny_bundle: Path, tmp_path: Path, home: Path
) -> None:
    file = tmp_path / "tiny.zip"
    bundle("export", tiny_bundle, file)
    bundle("import", file, "--as", "mine")
    args = ["bundle", "remove", "mine"]
    kept = CliRunner().invoke(app, args, input="n\n")
    assert kept.exit_code == 1
    assert (home / "bundles" / "mine").is_dir()
    removed = CliRunner().invoke(app, args, input="y\n")
    assert removed.exit_code == 0, removed.output
    assert "is deleted." in removed.stderr
    assert not (home / "bundles" / "mine").exists()
    again = bundle("remove", "mine", "--yes")
    assert again.exit_code == 2
    assert "there is no bundle 'mine' in the store. There are: embedded, " in again.stderr
    builtin = bundle("remove", "embedded", "--yes")
    assert builtin.exit_code == 2
    assert "the embedded bundle is part of the program and stays" in builtin.stderr


def test_a_path_in_the_list_is_not_broken(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ("a-long-folder-" * 9)
    monkeypatch.setenv("LLM4TOP_HOME", str(home))
    file = tmp_path / "tiny.zip"
    bundle("export", tiny_bundle, file)
    bundle("import", file, "--as", "mine")
    listed = CliRunner().invoke(app, ["bundle", "list"], env={"COLUMNS": "60"}).stdout
    assert f"\nmine: {home}/bundles/mine\n" in listed


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("llm4top forecast --model mi", ["mine"]),
        ("llm4top bundle remove ", [*embedded_names(), "mine"]),
        ("llm4top train --preset s", ["standard"]),
        ("llm4top forecast --task c", ["completion"]),
    ],
)
def test_tab_completes_what_is_here(
    tiny_bundle: Path, home: Path, line: str, found: list[str]
) -> None:
    (home / "bundles").mkdir(parents=True)
    shutil.copytree(tiny_bundle, home / "bundles" / "mine")
    env = {
        "_LLM4TOP_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }
    result = CliRunner().invoke(app, [], prog_name="llm4top", env=env)
    assert result.stdout.split() == found
