"""Runs are checked before they are queued, wait for the right device, and show their log."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from llm4top.errors import ConfigError, JobError, NotFoundError
from llm4top.testing import make_tiny_model
from llm4top.workspace.jobs import devices
from llm4top.workspace.jobs.devices import device_for, devices_here
from llm4top.workspace.jobs.job_settings import checked_settings, wanted_device
from llm4top.workspace.jobs.jobs import log_tail, submit
from llm4top.workspace.run_states import RunState
from llm4top.workspace.workspace import Workspace
from tests.workspace.tiny import quick_training, save_tiny_dataset


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("material")
    return make_tiny_model(folder / "tiny"), save_tiny_dataset(folder / "data")


def faults(workspace: Workspace, kind: str, settings: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        submit(workspace, kind, settings, **more)
    assert workspace.runs.count() == 0
    return list(refused.value.faults)


def test_every_fault_of_a_training_is_named_at_once(local: Workspace) -> None:
    wrong = {"base": "x/y", "epochs": -1, "lerning_rate": 1, "out": "/tmp/x", "dataset": 7}
    found = faults(local, "train", wrong)
    assert found == [
        "out: a run has its own folder",
        "dataset: must be an id",
        "epochs: must be more than 0, not -1",
        "lerning_rate: no such setting (did you mean learning_rate?)",
    ]


def test_what_is_not_there_is_named(local: Workspace, material: tuple[Path, Path]) -> None:
    settings = {**quick_training(*material), "data": "/nowhere/data", "base": "no/such-model"}
    found = faults(local, "train", settings)
    assert found[0] == "data: there is no /nowhere/data"
    assert found[1].startswith("base: the base model no/such-model is not on this machine")
    asked = {"uploads": ["0" * 32], "model": "f" * 32}
    assert faults(local, "forecast", asked) == [
        f"uploads: there is no upload '{'0' * 32}'.",
        f"model: there is no bundle '{'f' * 32}'.",
    ]
    assert faults(local, "audit", {"dataset": "../../etc"}) == [
        "dataset: there is no data set '../../etc'."
    ]


@pytest.mark.parametrize(
    ("kind", "settings", "fault"),
    [
        ("audit", {}, "dataset: name a data set by its id, or its folder in data"),
        ("audit", {"dataset": "a", "data": "b"}, "dataset: name a data set by its id, or its"),
        ("audit", {"data": "x", "seed": -1}, "seed: must be 0 or more, not -1"),
        ("evaluate", {"data": "x", "models": []}, "models: must be a list of 1 or more, not []"),
        ("evaluate", {"data": "x", "models": ["a", "a"]}, "models: name each one once"),
        ("evaluate", {"data": "x", "models": ["a"], "split": "train"}, "split: must be"),
        ("forecast", {}, "uploads: name one or more, or paths in sources"),
        (
            "forecast",
            {"uploads": ["a"], "device": "cpu; rm -rf /"},
            "device: must be auto, cpu, mps, cuda or cuda:N, not",
        ),
        (
            "forecast",
            {"uploads": ["a"], "base_rate": "56"},
            "base_rate: 56 is more than 1. If it is in percent, write 56 %.",
        ),
        ("ingest", {"sources": ["x"]}, "name: must be given"),
        (
            "ingest",
            {"sources": ["x"], "name": "n", "split": {"rule": "time", "valid_from": "soon"}},
            "split: 'soon' is not a date.",
        ),
        (
            "ingest",
            {"sources": ["x"], "name": "n", "labels": "a", "labels_upload": "b"},
            "labels: give an upload or a path, not both",
        ),
        (
            "ingest",
            {"sources": ["x"], "name": "n", "task_file": "a", "task_upload": "b"},
            "task_file: give an upload or a path, not both",
        ),
        ("benchmark", {"data": "x", "phases": ["V"]}, "phases.0: must be"),
        ("dance", {}, "kind: 'dance' is none of train, evaluate, benchmark, forecast, ingest"),
    ],
)
def test_wrong_settings_are_refused(
    local: Workspace, kind: str, settings: dict[str, Any], fault: str
) -> None:
    assert faults(local, kind, settings)[0].startswith(fault)


def test_a_browser_may_name_ids_and_no_path(
    local: Workspace, material: tuple[Path, Path], tmp_path: Path
) -> None:
    model, data = material
    kept = local.datasets.register(data)
    by_path = quick_training(model, data)
    assert faults(local, "train", by_path, ids_only=True) == [
        "data: a path cannot be given here; name it by its id",
        f"base: {str(model)!r:.80} is a path; name a model or the id of a bundle.",
    ]
    (tmp_path / "r.xml").write_text("<x/>")
    asked = {"sources": [str(tmp_path / "r.xml")]}
    assert faults(local, "forecast", asked, ids_only=True) == [
        "sources: a path cannot be given here; name it by its id"
    ]
    upload = local.uploads.add("r.xml", io.BytesIO(b"<x/>"))
    run = submit(local, "forecast", {"uploads": [upload.id]}, ids_only=True)
    assert run.settings == {"uploads": [upload.id]}
    audit = submit(local, "audit", {"dataset": kept.id}, ids_only=True, title="Leaks?")
    assert (audit.state, audit.title, audit.device) == (RunState.QUEUED, "Leaks?", "cpu")


def test_settings_are_kept_as_given_and_presets_stay_presets(
    local: Workspace, material: tuple[Path, Path]
) -> None:
    settings = quick_training(*material, patience=None)
    kept = submit(local, "train", settings).settings
    assert kept == settings
    again = checked_settings("train", kept)
    assert again == kept


def test_a_benchmark_names_what_it_measures(local: Workspace, material: tuple[Path, Path]) -> None:
    run = submit(local, "benchmark", {"data": str(material[1]), "bases": ["embedded"]})
    assert run.settings == {"data": str(material[1]), "bases": ["embedded"]}
    wrong = {"data": str(material[1]), "bases": ["no such model"], "baselines": ["magic"]}
    with pytest.raises(ConfigError, match="baselines: there is no baseline 'magic'"):
        submit(local, "benchmark", wrong)
    with pytest.raises(ConfigError, match="bases: there is no model 'no such model' here"):
        submit(local, "benchmark", {**wrong, "baselines": ["tfidf"]})


def test_the_device_that_a_run_waits_for(local: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted_device("ingest", {"device": "cuda"}) == "cpu"
    monkeypatch.setattr(devices, "devices_here", lambda: ("cpu",))
    assert device_for(local, "train", {}) == "cpu"
    assert device_for(local, "train", {"device": "cuda"}) == "cuda"
    monkeypatch.setattr(devices, "devices_here", lambda: ("cuda:0", "cuda:1", "cpu"))
    assert device_for(local, "audit", {}) == "cpu"
    assert device_for(local, "train", {"device": "cuda:1"}) == "cuda:1"
    taken = []
    for _ in range(3):
        taken.append(device_for(local, "train", {"device": "auto"}))
        local.runs.submit("train", {}, device=taken[-1])
    assert taken == ["cuda:0", "cuda:1", "cuda:0"]


def test_the_devices_of_this_machine_end_with_the_cpu() -> None:
    assert devices_here()[-1] == "cpu"


def test_stop_resume_and_retry_before_it_began(
    local: Workspace, material: tuple[Path, Path]
) -> None:
    run = submit(local, "audit", {"data": str(material[1])})
    assert local.runs.request_stop(run.id).state is RunState.INTERRUPTED
    assert (local.runs.resume(run.id).state, local.runs.get(run.id).resuming) == (
        RunState.QUEUED,
        True,
    )
    local.runs.request_stop(run.id)
    assert not local.runs.retry(run.id).resuming
    with pytest.raises(JobError):
        local.runs.resume(run.id)


def test_the_end_of_a_log(local: Workspace) -> None:
    run = local.runs.submit("audit", {})
    assert log_tail(local, run.id) == []
    file = local.folder / "runs" / run.id / "worker.log"
    file.parent.mkdir()
    file.write_text("".join(f"line {n}\n" for n in range(20_000)) + "half")
    assert log_tail(local, run.id, 2) == ["line 19999", "half"]
    assert log_tail(local, run.id, 0) == []
    assert len(log_tail(local, run.id, 100_000)) < 7_000
    with pytest.raises(NotFoundError):
        log_tail(local, "../other")
