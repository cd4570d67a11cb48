"""A training as it is chosen on a page."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm4top.errors import ConfigError, DatasetError, TrainingError
from llm4top.paths import HOME_VARIABLE
from llm4top.testing import make_tiny_model
from llm4top.workspace.datasets import StoredDataset
from llm4top.workspace.jobs.jobs import submit
from llm4top.workspace.jobs.train_plan import (
    PlanCheck,
    TrainPlan,
    base_models,
    check_plan,
    measure_plan,
    seconds_a_trial,
    steps_of,
    time_check,
)
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace
from tests.workspace.tiny import save_tiny_dataset

BASE = "invented/tiny"


@pytest.fixture
def home(local: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a downloaded tiny model."""
    monkeypatch.setenv(HOME_VARIABLE, str(local.folder))
    make_tiny_model(local.folder / "models" / "invented--tiny")
    return local


@pytest.fixture
def dataset(home: Workspace, tmp_path: Path) -> StoredDataset:
    return home.datasets.register(save_tiny_dataset(tmp_path / "a folder"))


def plan(dataset: StoredDataset, **more: Any) -> TrainPlan:
    return TrainPlan(dataset.id, BASE, "quick", more={"max_tokens": 128, "device": "cpu", **more})


def test_models_that_can_be_trained_are_found(home: Workspace) -> None:
    found = base_models(home)
    assert found[BASE] == BASE
    assert found["embedded"] == "Embedded default, its base model"


def test_the_settings_are_those_that_a_run_takes(home: Workspace, dataset: StoredDataset) -> None:
    chosen = replace(plan(dataset), name="My model")
    run = submit(home, "train", chosen.settings(), ids_only=True)
    assert run.settings == {
        "dataset": dataset.id,
        "base": BASE,
        "preset": "quick",
        "name": "My model",
        "max_tokens": 128,
        "device": "cpu",
    }


def test_every_fault_of_the_settings_is_told(home: Workspace, dataset: StoredDataset) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(dataset, epoch=2, batch_size=0).config(home)
    assert list(caught.value.faults) == [
        "batch_size: must be 1 or more, not 0",
        "epoch: no such setting (did you mean epochs?)",
    ]


def test_the_command_line_is_the_same_training(home: Workspace, dataset: StoredDataset) -> None:
    from llm4top.cli.options import read_settings

    chosen = replace(plan(dataset, patience=None), name='Ünsafe; `rm` "x"')
    words = shlex.split(chosen.command(home))
    assert words[:2] == ["llm4top", "train"]
    options = list(zip(words[2::2], words[3::2], strict=True))
    assert options[:4] == [
        ("--data", dataset.name),
        ("--base", BASE),
        ("--out", "runs/nsafe-rm-x"),
        ("--preset", "quick"),
    ]
    pairs = [value for name, value in options[4:] if name == "--set"]
    assert read_settings(pairs) == {"name": chosen.name, **chosen.more}


def test_what_the_command_names_is_found_from_anywhere(
    home: Workspace, dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm4top.cli.train import data_folder
    from llm4top.forecasters.bundles.paths import embedded_folder
    from llm4top.forecasters.model.model_files import resolve_base

    inside = resolve_base("embedded").relative_to(embedded_folder())
    mine = home.bundles.add(embedded_folder(), name="mine")
    renamed = home.datasets.rename(dataset.id, "Größe; `rm` -rf")
    monkeypatch.chdir(tmp_path)
    for base, folder in (
        (BASE, home.folder / "models" / "invented--tiny"),
        ("embedded", embedded_folder() / inside),
        (mine.id, home.folder / "bundles" / "mine" / inside),
    ):
        words = shlex.split(replace(plan(renamed), base=base).command(home))
        options = dict(zip(words[2:6:2], words[3:7:2], strict=True))
        assert data_folder(Path(options["--data"])) == home.datasets.folder(dataset.id)
        assert resolve_base(options["--base"]).resolve() == folder.resolve()
        said = " ".join(words)
        assert dataset.id not in said
        assert str(home.folder) not in said


def test_a_name_that_two_data_sets_have_is_not_used(
    home: Workspace, dataset: StoredDataset, tmp_path: Path
) -> None:
    other = home.datasets.register(save_tiny_dataset(tmp_path / "another"), name=dataset.name)
    assert other.name == f"{dataset.name} 2"
    with pytest.raises(DatasetError, match="another data set has this name"):
        home.datasets.rename(other.id, f" {dataset.name} ")
    with pytest.raises(DatasetError, match=r"nor a data set of this name\.") as caught:
        home.datasets.called("nothing")
    assert other.name in (caught.value.hint or "")


def test_a_plan_is_checked_before_it_costs_time(home: Workspace, dataset: StoredDataset) -> None:
    checks = {check.name: check for check in check_plan(plan(dataset).config(home))}
    assert all(check.ok for check in checks.values()), checks
    assert checks["data"].detail.startswith("88 trials, task outcome")
    assert "needs about" in checks["memory"].detail
    assert "output folder" not in checks
    faulty = {c.name: c for c in check_plan(plan(dataset, max_tokens=9999).config(home))}
    assert faulty["prompts"].hint == "Set max_tokens to 4096 or less."


def test_the_time_is_told_as_an_earlier_training_took(
    home: Workspace, dataset: StoredDataset
) -> None:
    chosen = plan(dataset)
    told = time_check(chosen, home)
    assert told.ok is None
    assert told.detail.startswith("at most 3 steps of 16 trials. No similar training")
    run = done(home, chosen, {"seconds": 96.0, "steps": 6})
    config = chosen.config(home)
    assert seconds_a_trial([run], config, BASE) == 1
    assert steps_of(config, 48) == 3
    assert time_check(chosen, home).detail.startswith(
        "About 50\u00a0s, judging by an earlier training"
    )
    assert time_check(plan(dataset, max_tokens=256), home).ok is None
    assert seconds_a_trial([run], config, "other") is None
    assert steps_of(plan(dataset, max_steps=7).config(home), 48) == 7


def test_a_measurement_that_fails_says_why(
    home: Workspace, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm4top.training import pace
    from llm4top.workspace.jobs import process

    def fails(*_: Any) -> None:
        raise TrainingError("out of memory with one row at a time.", hint="Lower max_tokens.")

    monkeypatch.setattr(process, "lower_priority", lambda: None)
    monkeypatch.setattr(pace, "measured_pace", fails)
    (told,) = measure_plan(plan(dataset).config(home))
    assert told == PlanCheck(
        "time",
        None,
        "could not be measured: out of memory with one row at a time.",
        "Lower max_tokens.",
    )


def test_a_probe_has_no_steps_and_a_time_of_its_own(
    home: Workspace, dataset: StoredDataset
) -> None:
    chosen = plan(dataset, tuning="probe")
    told = time_check(chosen, home)
    assert (told.ok, told.detail) == (None, "none: a probe takes one pass over the trials.")
    checks = {check.name: check.detail for check in check_plan(chosen.config(home))}
    assert checks["time"].startswith("a few seconds for ")
    assert "'tuning=\"probe\"'" in chosen.command(home)


def done(workspace: Workspace, chosen: TrainPlan, result: dict[str, Any]) -> Run:
    from llm4top.workspace.run_states import Process

    submit(workspace, "train", chosen.settings(), ids_only=True)
    run = workspace.runs.claim(Process.current(), device="cpu")
    assert run is not None
    return workspace.runs.finish(run.id, result)
