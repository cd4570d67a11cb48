"""``llm4top train`` through its command, on a random tiny model and invented trials."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import llm4top
from llm4top.cli.app import app
from llm4top.cli.watch import Lines, details
from llm4top.data.dataset import make_dataset
from llm4top.progress import Progress
from llm4top.registry.trial import Intervention, Trial
from tests.mlflow_kit import runs_in
from tests.warm import slow_training

pytestmark = pytest.mark.slow

EXAMPLES = Path(llm4top.__file__).parent / "examples"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 100 invented trials, 60 to learn from and 40 to check."""
    trials = [
        Trial(
            phase="Phase 2",
            conditions=("asthma",),
            interventions=(Intervention("drug" if n % 2 else "placebo"),),
        )
        for n in range(100)
    ]
    folder = tmp_path_factory.mktemp("data") / "invented"
    make_dataset(
        trials,
        ["success" if n % 2 else "failure" for n in range(100)],
        [f"NCT{90000000 + n}" for n in range(100)],
        ["train"] * 60 + ["valid"] * 40,
        task="outcome",
    ).save(folder)
    return folder


def arguments(data: Path, base: Path, out: Path, *more: object) -> list[str]:
    small = ["--preset", "quick", "--max-tokens", "256", "--set", "lora_rank=4"]
    paths = ["--data", str(data), "--base", str(base), "--out", str(out), "--device", "cpu"]
    return ["train", *paths, *small, *map(str, more)]


def train(*args: object) -> Result:
    return CliRunner().invoke(app, list(map(str, args)), env={"COLUMNS": "120"})


@pytest.mark.usefixtures("mlflow_settings")
def test_from_a_data_set_to_a_forecast(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    logged = ("--log-to", f"mlflow:{store}")
    result = train(*arguments(data, tiny_model, tmp_path / "run", *logged))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path}/run/bundle\n"
    text = result.stderr
    assert "Checks before the start" in text
    assert "Training" in text
    assert "On 40 trials of the split valid:" in text
    assert "TF-IDF + logistic regression" in text
    assert "gives the same probabilities (largest difference" in text
    assert f"Next: llm4top forecast PATHS --model {tmp_path}/run" in text
    (run,) = runs_in(store)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["valid/n"] == 40
    assert run.data.tags["llm4top.bundle_folder"] == f"{tmp_path}/run/bundle"
    verified = train("bundle", "verify", tmp_path / "run")
    assert verified.exit_code == 0, verified.output
    forecast = train(
        "forecast", EXAMPLES / "example.xml", "--model", tmp_path / "run", "--format", "csv"
    )
    assert forecast.exit_code == 0, forecast.output


def test_a_dry_run_checks_and_stops(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = train(*arguments(data, tiny_model, tmp_path / "run", "--dry-run"))
    assert result.exit_code == 0, result.output
    assert "✓  memory" in result.stderr
    assert "✓  tokenizer" in result.stderr
    said = " ".join(result.stderr.split())
    time = re.search(r"Time: .* for at most (\d+) steps and their evaluations: ", said)
    assert time, said
    assert int(time[1]) > 0
    assert re.search(r"slowest of 4 measured steps\) .*: [\d ]+ tokens a second\.", said)
    assert re.search(r"Memory: [\d.]+ [MG]B at the peak of these steps, ", said)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_of_several_processes_says_it_once_and_trains_nothing(
    data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    command = arguments(data, tiny_model, tmp_path / "run", "--shard", "--dry-run")
    result = train(*command)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert "2 processes, each on its own." in said
    assert re.search(r"needs about [\d.]+ MB on each device \(weights .*, then ", said)
    assert said.endswith(
        "Time: not measured under torchrun; without it, --dry-run measures one process."
    )
    monkeypatch.setenv("RANK", "1")
    assert train(*command).output == ""


def test_a_dry_run_judges_gpus_that_are_not_here(
    data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = arguments(data, tiny_model, tmp_path / "run", "--shard", "--gpus", "8x80")
    result = train(*command, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "80.0 GB free on each." in " ".join(result.stderr.split())
    assert "Time:" not in result.stderr
    alone = train(*command)
    assert alone.exit_code == 2
    assert "it goes with --dry-run alone." in alone.stderr


def test_a_process_that_torchrun_started_again_resumes(
    data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with monkeypatch.context() as broken:
        broken.setattr("llm4top.training.run.finetune", lambda *_, **__: 1 / 0)
        first = train(*arguments(data, tiny_model, tmp_path / "run"))
    assert isinstance(first.exception, ZeroDivisionError)
    result = train(*arguments(data, tiny_model, tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert f"resumes the run in {tmp_path}/run." in " ".join(result.stderr.split())


@pytest.mark.parametrize("place", ["wandb", "mlflow:https://tracking.invalid"])
def test_a_place_to_log_to_is_checked_first(
    data: Path, tiny_model: Path, tmp_path: Path, place: str
) -> None:
    result = train(*arguments(data, tiny_model, tmp_path / "run", "--log-to", place))
    assert result.exit_code == 2
    assert "is no place to log to." in result.stderr or "add --allow-remote." in result.stderr
    assert "Checks before the start" not in result.stderr


def test_faults_are_found_before_the_start(data: Path, tmp_path: Path) -> None:
    result = train(*arguments(data, tmp_path / "nothing", tmp_path / "run"))
    assert result.exit_code == 2
    assert "✗  base model" in result.stderr
    assert result.stderr.endswith("The run would fail and was not started: see ✗ above.\n")
    assert not (tmp_path / "run").exists()


def test_all_wrong_settings_are_told_at_once(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    wrong = ("--epochs", "-1", "--set", "lora_rnk=4", "--set", "patience=never")
    result = train(*arguments(data, tiny_model, tmp_path / "run", *wrong))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: the training settings are wrong.")
    assert "lora_rnk: no such setting (did you mean lora_rank?)" in result.stderr
    assert "epochs: must be" in result.stderr
    assert "patience: must be" in result.stderr


@pytest.mark.parametrize("pair", ["lora_rank", "=4", "x=[1"])
def test_a_setting_is_key_and_value(pair: str) -> None:
    result = train("train", "--set", pair)
    assert result.exit_code == 2
    assert "--set" in result.stderr


def test_nothing_given_names_what_is_missing() -> None:
    result = train("train")
    assert result.exit_code == 2
    for name in ("data", "base", "out"):
        assert f"{name}: must be given" in result.stderr


def test_flags_go_before_the_file(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"data: {data}\nbase: {tiny_model}\nout: {tmp_path}/run\nseed: 1\nmax_tokens: 9\n"
    )
    result = train("train", "--config", file, "--max-tokens", 256, "--dry-run")
    assert result.exit_code == 0, result.output


def test_ctrl_c_keeps_a_checkpoint_and_resume_ends_the_run(
    data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_training(monkeypatch, tmp_path, fast=1)
    out = tmp_path / "run"
    steps = ("--set", "max_steps=8", "--set", "checkpoint_steps=1", "--epochs", 4)
    long = arguments(data, tiny_model, out, *steps)
    with subprocess.Popen(
        [sys.executable, "-m", "llm4top", *long], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "validation log-loss" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert f"Stopped. Resume with: llm4top train --config {out}/config.yaml --resume" in rest
    assert "Traceback" not in rest
    result = train("train", "--config", out / "config.yaml", "--resume")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}/bundle\n"


def test_figures_leave_out_what_is_unknown() -> None:
    assert details(Progress("training")) == ""
    known = Progress(
        "training",
        1,
        9,
        figures={
            "loss": 0.6931,
            "log_loss": 0.65,
            "tokens_per_second": 1234.5,
            "eta_seconds": 90.0,
        },
    )
    assert details(known) == "loss 0.693, validation log-loss 0.650, 1234 tokens/s, 2\xa0min left"


def test_a_log_gets_a_line_for_each_phase_and_figure(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines(Progress("preflight"))
    lines(Progress("training", 0, 10))
    lines(Progress("training", 1, 10))
    lines(Progress("training", 2, 10, figures={"log_loss": 0.7}))
    lines(Progress("training", 3, 10, figures={"log_loss": 0.7}))
    lines(Progress("done", detail="runs/x"))
    assert capsys.readouterr().err.splitlines() == [
        "Checking",
        "Training 0/10",
        "Training 2/10: validation log-loss 0.700",
        "Done: runs/x",
    ]
