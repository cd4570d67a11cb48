"""What is said of a name that is not a model: a slip is not answered with a download."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llm4top.forecasters.bundles.paths import embedded_folder
from llm4top.forecasters.model.model_files import known_models, unknown_model


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("LLM4TOP_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def stored(home):
    (home / "bundles" / "asthma").mkdir(parents=True)
    shutil.copy(embedded_folder() / "manifest.json", home / "bundles" / "asthma")
    (home / "models" / "Qwen--Qwen3-8B").mkdir(parents=True)
    (home / "models" / "Qwen--Qwen3-8B" / "config.json").write_text("{}")
    (home / "bundles" / "not-one").mkdir()


@pytest.mark.usefixtures("stored")
def test_what_is_here_is_listed():
    assert known_models() == ["embedded", "asthma", "Qwen/Qwen3-8B"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "asthmaa",
            "there is no model 'asthmaa' here. Did you mean 'asthma'? Known here: embedded, "
            "asthma, Qwen/Qwen3-8B. Models on the hub have names of the form owner/name.",
        ),
        (
            "nosuch",
            "there is no model 'nosuch' here. Known here: embedded, asthma, Qwen/Qwen3-8B. Models "
            "on the hub have names of the form owner/name.",
        ),
        ("./runs/top", "./runs/top: there is no such folder. Check the path."),
        ("runs/top/bundle", "runs/top/bundle: there is no such folder. Check the path."),
    ],
)
def test_a_slip_is_not_a_download(name, message):
    assert str(unknown_model(name)) == message
    assert "download" not in message


def test_a_folder_of_nearly_that_name_is_named(tmp_path):
    (tmp_path / "runs" / "top-8b").mkdir(parents=True)
    assert str(unknown_model("runs/top8b")) == (
        "runs/top8b: there is no such folder. Did you mean 'runs/top-8b'? Check the path."
    )


@pytest.mark.usefixtures("stored")
def test_only_a_name_as_on_the_hub_is_downloaded(home):
    assert str(unknown_model("Qwen/Qwen3-4B")) == (
        f"the base model Qwen/Qwen3-4B is not on this machine (looked in {home}/models/"
        "Qwen--Qwen3-4B), and there is no folder of this name. Did you mean 'Qwen/Qwen3-8B'? "
        "Download it once with: llm4top download Qwen/Qwen3-4B"
    )


def test_a_file_is_not_a_model():
    Path("weights.bin").touch()
    assert str(unknown_model("weights.bin")).startswith(
        "weights.bin: there is no model folder here. Give a folder with config.json"
    )
