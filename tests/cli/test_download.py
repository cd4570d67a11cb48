"""``llm4top download`` and the code behind it, against a hub that lives in a folder."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.errors import DownloadError, ModelNotFoundError
from llm4top.forecasters.model import download
from llm4top.forecasters.model.download import RemoteFile, RemoteModel, download_model
from llm4top.forecasters.model.model_source import SOURCE_FILE, ModelSource, model_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "qwen3"}',
    "model.safetensors": b"weights" * 1000,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "modeling_qwen3.py": b"code",
    "original/model.safetensors": b"another format",
}


@dataclass
class FolderHub:
    """A hub with one model; ``breaks_after`` files the connection is lost once."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    commit: str = COMMIT
    breaks_after: int | None = None
    fetched: list[str] = field(default_factory=list)

    def describe(self, name: str, revision: str | None) -> RemoteModel:
        files = [
            RemoteFile(n, len(c), hashlib.sha256(c).hexdigest() if "safetensors" in n else None)
            for n, c in FILES.items()
            if n in self.files
        ]
        return RemoteModel(self.commit, tuple(files))

    def fetch(self, name: str, commit: str, patterns: Sequence[str], folder: Path) -> None:
        assert commit == self.commit
        (folder / ".cache").mkdir(parents=True, exist_ok=True)
        for file, content in self.files.items():
            if "/" in file or not any(fnmatch.fnmatch(file, p) for p in patterns):
                continue
            if (folder / file).exists():
                continue
            if self.breaks_after is not None and len(self.fetched) >= self.breaks_after:
                self.breaks_after = None
                raise DownloadError("the hub could not be reached.", where=name)
            (folder / file).write_bytes(content)
            self.fetched.append(file)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FolderHub:
    hub = FolderHub()
    monkeypatch.setattr(download, "HuggingFaceHub", lambda: hub)
    return hub


def test_takes_safetensors_json_and_tokenizer_only(home: Path, hub: FolderHub) -> None:
    folder, source = download_model("Qwen/Qwen3-8B")
    assert folder == home / "models" / "Qwen--Qwen3-8B" == model_folder("Qwen/Qwen3-8B")
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        SOURCE_FILE,
        "model.safetensors",
        "tokenizer.json",
    ]
    assert source.commit == COMMIT
    assert source.files["model.safetensors"] == hashlib.sha256(b"weights" * 1000).hexdigest()
    assert ModelSource.read(folder) == source
    assert json.loads((folder / SOURCE_FILE).read_text())["origin"] == "Qwen/Qwen3-8B"


def test_a_second_download_only_checks(hub: FolderHub) -> None:
    download_model("Qwen/Qwen3-8B")
    hub.fetched.clear()
    words: list[str] = []
    download_model("Qwen/Qwen3-8B", notify=words.append)
    assert hub.fetched == []
    assert words == ["Qwen/Qwen3-8B is already here at 0123456789ab; checking its files"]


def test_a_changed_file_is_fetched_again(hub: FolderHub) -> None:
    folder, _ = download_model("Qwen/Qwen3-8B")
    (folder / "tokenizer.json").write_text("changed")
    download_model("Qwen/Qwen3-8B")
    assert (folder / "tokenizer.json").read_bytes() == b"{}"


def test_goes_on_where_it_stopped(hub: FolderHub) -> None:
    hub.breaks_after = 2
    with pytest.raises(DownloadError, match="could not be reached"):
        download_model("Qwen/Qwen3-8B")
    assert not model_folder("Qwen/Qwen3-8B").exists()
    assert hub.fetched == ["config.json", "model.safetensors"]
    download_model("Qwen/Qwen3-8B")
    assert hub.fetched == ["config.json", "model.safetensors", "tokenizer.json"]


def test_a_file_that_is_not_the_described_one_is_refused_and_dropped(hub: FolderHub) -> None:
    hub.files["model.safetensors"] = b"weights" * 999 + b"WEIGHTS"
    with pytest.raises(DownloadError) as caught:
        download_model("Qwen/Qwen3-8B")
    assert str(caught.value) == (
        "model.safetensors: the file that arrived is not the one the hub describes. "
        "Run the same command again: what is intact is kept."
    )
    hub.files["model.safetensors"] = FILES["model.safetensors"]
    download_model("Qwen/Qwen3-8B")


def test_another_commit_replaces_only_when_told(hub: FolderHub) -> None:
    download_model("Qwen/Qwen3-8B")
    hub.commit = "f" * 40
    with pytest.raises(DownloadError, match=r"the name is taken by Qwen/Qwen3-8B at 0123"):
        download_model("Qwen/Qwen3-8B")
    folder, source = download_model("Qwen/Qwen3-8B", replace=True)
    assert source.commit == "f" * 40
    assert [p.name for p in folder.parent.iterdir() if p.is_dir()] == [folder.name]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "there is no config.json: this is not a language model."),
        ("model.safetensors", "there are no weights as safetensors"),
    ],
)
def test_what_is_no_model_is_refused(hub: FolderHub, missing: str, message: str) -> None:
    del hub.files[missing]
    with pytest.raises(DownloadError, match=message):
        download_model("Qwen/Qwen3-8B")


def test_a_full_disk_is_seen_before_the_download(
    hub: FolderHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=5_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"takes 7\.03 kB and 5 kB are free\. Free some"):
        download_model("Qwen/Qwen3-8B")
    assert hub.fetched == []


def test_a_folder_is_a_source_too(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin"):
        (stick / name).write_bytes(FILES[name])
    folder, source = download_model(str(stick), save_as="Qwen/Qwen3-8B")
    assert folder == model_folder("Qwen/Qwen3-8B")
    assert source.kind == "folder"
    assert source.origin == "stick"
    assert set(source.files) == {"config.json", "model.safetensors", "tokenizer.json"}
    assert not (folder / "pytorch_model.bin").exists()


@pytest.mark.parametrize("name", ["nothing", "../up", "a/b/c", "http://x/y", "-x/y"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="neither a folder, a file nor a model name"):
        download_model(name)


def test_the_embedded_model_needs_no_download(home: Path) -> None:
    result = CliRunner().invoke(app, ["download", "embedded"])
    assert result.exit_code == 2
    assert "It ships with LLM4TOP: llm4top train --base embedded" in result.stderr


@pytest.mark.parametrize("name", ["../up", "a/../b", "/etc", ""])
def test_a_name_cannot_leave_the_models_folder(tmp_path: Path, name: str) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    if name:
        with pytest.raises(DownloadError, match="is not a name to keep a model under"):
            download_model(str(stick), save_as=name)


def _hold(lock: str, ready: object, done: object) -> None:
    from filelock import FileLock

    with FileLock(lock):
        ready.set()  # type: ignore[attr-defined]
        done.wait(20)  # type: ignore[attr-defined]


def test_two_downloads_take_turns(hub: FolderHub) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    folder = model_folder("Qwen/Qwen3-8B")
    folder.parent.mkdir(parents=True)
    holder = context.Process(target=_hold, args=(f"{folder}.lock", ready, done))
    holder.start()
    assert ready.wait(20)
    words: list[str] = []

    def hear(word: str) -> None:
        words.append(word)
        done.set()

    download_model("Qwen/Qwen3-8B", notify=hear)
    holder.join(20)
    assert words[0] == "another process is fetching this model; waiting for it"


def test_the_command_prints_the_folder(hub: FolderHub, home: Path) -> None:
    result = CliRunner().invoke(app, ["download", "Qwen/Qwen3-8B"])
    assert result.exit_code == 0
    assert result.stdout == f"{home}/models/Qwen--Qwen3-8B\n"
    assert f"Qwen/Qwen3-8B at {COMMIT}: 3 files with matching sha256" in result.stderr


def test_the_command_fails_in_one_sentence(hub: FolderHub) -> None:
    del hub.files["model.safetensors"]
    result = CliRunner().invoke(app, ["download", "Qwen/Qwen3-8B"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error: Qwen/Qwen3-8B: there are no weights as safetensors, the only kind that LLM4TOP "
        "loads. Look for a conversion of the same model to safetensors.\n"
    )


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (404, "RepositoryNotFoundError", "the hub has no such model. Check the spelling"),
        (403, "GatedRepoError", "its owner asks for a licence to be accepted first."),
        (404, "RevisionNotFoundError", "the hub has no revision 'v9' of it."),
        (500, "HfHubHTTPError", r"the hub could not be reached or broke off \(HfHubHTTPError\)"),
    ],
)
def test_the_hubs_failures_become_sentences(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: str, sentence: str
) -> None:
    import huggingface_hub
    from huggingface_hub import errors
    from huggingface_hub.utils._http import httpx2

    response = httpx2.Response(status, request=httpx2.Request("GET", "https://hub.invalid"))
    failure = getattr(errors, kind)("no", response=response)

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(DownloadError, match=sentence):
        download_model("Qwen/Qwen3-8B", revision="v9")


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(*_: object, **__: object) -> None:
        raise OSError("unreachable")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(DownloadError, match="copy the folder over and give its path"):
        download_model("Qwen/Qwen3-8B")
