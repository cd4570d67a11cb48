"""A training's folder followed into MLflow, without a training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm4top.evaluation.mlflow_runs import MlflowTarget
from llm4top.training.config import TrainingConfig
from llm4top.training.mlflow_follower import NOTE_FILE, Follower, followed
from llm4top.training.run_folder import RunFolder
from tests.mlflow_kit import history, runs_in

pytestmark = pytest.mark.usefixtures("mlflow_settings")

FIGURES: dict[str, Any] = {
    "split": "valid",
    "n": 40,
    "forecasters": {
        "this model, calibrated": {"roc_auc": {"value": 0.7, "lower": 0.6, "upper": 0.8}},
        "base rate of the phase": {"roc_auc": {"value": 0.5, "lower": 0.4, "upper": 0.6}},
    },
    "phases": {
        "all": {"n": 40, "figures": {"ece": {"value": 0.1, "lower": 0.0, "upper": 0.2}}},
    },
}
Settings = Callable[..., TrainingConfig]


def begin(config: TrainingConfig) -> RunFolder:
    run = RunFolder(config.out)
    run.path.mkdir(parents=True, exist_ok=True)
    if not run.identity_file.exists():
        run.settle_identity({"data": "d" * 64, "base": "b" * 64}, resume=False)
    run.record("running")
    run.add_event("begin", resume=False, device="cpu, as asked for.", dtype="float32")
    return run


def log(run: RunFolder, *steps: int) -> None:
    for step in steps:
        run.add_event("log", step=step, epoch=step / 10, loss=1 / step, tokens_per_second=900.0)


def target(tmp_path: Path) -> MlflowTarget:
    return MlflowTarget.parse(f"mlflow:{tmp_path / 'store'}")


def test_figures_arrive_as_they_come(settings: Settings, tmp_path: Path) -> None:
    config = settings()
    follower = Follower(config, "top", target(tmp_path), pytest.fail)
    RunFolder(config.out).path.mkdir()
    RunFolder(config.out).record("failed", "the base model cannot be read")
    assert follower.send()
    assert not (tmp_path / "store").exists()  # nothing was begun, so there is no run
    assert not (config.out / NOTE_FILE).exists()
    run = begin(config)
    log(run, 1, 2)
    run.add_event("evaluation", step=2, epoch=0.2, eval_log_loss=0.6, eval_seconds=1.0)
    assert follower.send()
    (found,) = runs_in(tmp_path / "store")
    assert found.info.status == "RUNNING"
    assert found.data.params["lora_rank"] == "4"
    assert found.data.params["data"] == str(config.data)
    assert found.data.params["data_sha256"] == "d" * 64
    assert found.data.metrics["eval/log_loss"] == 0.6
    assert found.data.metrics["tokens_per_second"] == 900.0
    assert found.data.metrics["system/memory_mib"] > 10
    assert found.inputs.dataset_inputs[0].dataset.name == "top"
    log(run, 3)
    run.add_event("figures", **FIGURES)
    run.add_event("reload", n=32, max_difference=1e-9, tolerance=1e-6)
    run.record("done")
    assert follower.send()
    (found,) = runs_in(tmp_path / "store")
    assert found.info.status == "FINISHED"
    metrics = found.data.metrics
    assert metrics["valid/n"] == 40
    assert metrics["valid/this-model-calibrated/roc_auc_lower"] == 0.6
    assert metrics["valid/base-rate-of-the-phase/roc_auc"] == 0.5
    assert metrics["valid/by-phase/all/ece_upper"] == 0.2
    assert metrics["reload/max_difference"] == 1e-9
    assert history(tmp_path / "store", found, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_a_resumed_training_is_the_same_run(settings: Settings, tmp_path: Path) -> None:
    config = settings()
    where = target(tmp_path)
    with followed(config, "top", where, pytest.fail):
        run = begin(config)
        log(run, 1, 2)
        run.record("interrupted", "stopped on request")
    (stopped,) = runs_in(tmp_path / "store")
    assert stopped.info.status == "KILLED"
    with followed(config, "top", where, pytest.fail):
        begin(config)
        log(run, 3, 4)
        run.record("done")
    (found,) = runs_in(tmp_path / "store")
    assert found.info.run_id == stopped.info.run_id
    assert found.info.status == "FINISHED"
    assert [step for step, _ in history(tmp_path / "store", found, "loss")] == [1, 2, 3, 4]
    note = json.loads((config.out / NOTE_FILE).read_text())
    assert note["sent"] == len(run.events())


def test_a_server_that_is_away_ends_nothing_and_is_told_once(
    settings: Settings, tmp_path: Path
) -> None:
    config = settings()
    told: list[str] = []
    away = MlflowTarget.parse("mlflow:http://127.0.0.1:9")
    follower = Follower(config, "top", away, told.append)
    run = begin(config)
    log(run, 1)
    assert not follower.send()
    assert not follower.send()
    assert told == [
        "MLflow (127.0.0.1) cannot be written to: it gives no answer. The training goes on "
        f"without it. All figures are in {config.out}/events.jsonl; they are sent if MLflow is "
        "back before the end, or when the training is resumed."
    ]
    # Another place, later: it gets everything.
    with followed(config, "top", target(tmp_path), pytest.fail):
        begin(config)
        log(run, 2)
    (found,) = runs_in(tmp_path / "store")
    assert [step for step, _ in history(tmp_path / "store", found, "loss")] == [1, 2]


def test_no_path_and_no_free_text_goes_to_another_machine(
    settings: Settings, tmp_path: Path
) -> None:
    config = settings(
        context_of_use="For the acquisition of Acme.", licence="Acme's own", name="plain-name"
    )
    elsewhere = MlflowTarget("https://tracking.invalid", "tracking.invalid")
    begin(config)
    follower = Follower(config, "top", elsewhere, pytest.fail)
    sent = follower._params()
    assert sent["lora_rank"] == 4
    assert sent["data_sha256"] == "d" * 64
    text = json.dumps(sent)
    for private in (str(tmp_path), str(config.data), config.base, "Acme"):
        assert private not in text
    public = settings(base="Qwen/Qwen3-8B")
    assert Follower(public, "top", elsewhere, pytest.fail)._params()["base"] == "Qwen/Qwen3-8B"
