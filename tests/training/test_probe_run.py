"""A run that fits a frozen probe: on the command line, stopped and resumed, fitted on all rows."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from llm4top.cli.app import app
from llm4top.data.dataset import load_dataset
from llm4top.errors import TrainingError
from llm4top.forecasters.bundles.paths import PROBE_FILE
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.finetuning import probe as fitting
from llm4top.progress import Progress
from llm4top.training.config import TrainingConfig
from llm4top.training.preflight import preflight
from llm4top.training.run import train
from llm4top.training.run_folder import RunFolder

pytestmark = pytest.mark.slow

Settings = Callable[..., TrainingConfig]


def cli(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    return result


def test_from_the_command_line_to_figures(
    tiny_model_folder: Path, dataset_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    where = ("--data", dataset_folder, "--base", tiny_model_folder, "--out", out)
    result = cli("train", *where, "--tuning", "probe", "--device", "cpu", "--max-tokens", 192)
    said = " ".join(result.stderr.split())
    assert "evaluations none: one pass over 88 trials; layer and penalty are chosen on" in said
    assert "time a few seconds for" in said
    assert "Best of 2 layers on the validation trials: layer " in said
    assert " steps in " not in said
    manifest = read_manifest(out / "bundle")
    assert manifest.language is not None
    settings = manifest.language.tuning.settings
    assert {"probe_layer", "probe_pooling", "tuning", "precision"} <= set(settings)
    assert not {"lora_rank", "epochs", "learning_rate"} & set(settings)
    assert manifest.calibration == "venn-abers"
    assert manifest.reload_check is not None
    assert not (out / "checkpoints").exists()

    cli("bundle", "verify", out)
    measured = json.loads(cli("evaluate", out, "--data", dataset_folder, "--format", "json").stdout)
    assert measured["tables"]


def stopping_at(done: int) -> Callable[[Progress], None]:
    def progress(now: Progress) -> None:
        if now.stage == "training" and now.done >= done:
            signal.raise_signal(signal.SIGINT)

    return progress


def test_one_that_was_stopped_reads_the_rest_only(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_CHUNK", 16)
    config = settings(tuning="probe", precision="fp32")
    whole = train(config.model_copy(update={"out": tmp_path / "whole"}))
    assert whole.steps == 0
    with pytest.raises(KeyboardInterrupt):
        train(config, progress=stopping_at(30))
    run = RunFolder(config.out)
    assert run.state()["state"] == "interrupted"
    assert len(list(run.checkpoints.glob("states-*"))) == 2
    resumed = train(config, resume=True)
    assert 0 < resumed.tokens < whole.tokens
    assert [one["eval_log_loss"] for one in resumed.tried] == pytest.approx(
        [one["eval_log_loss"] for one in whole.tried], abs=1e-5
    )
    one, other = (load_bundle(r.out / "bundle", device="cpu") for r in (whole, resumed))
    trials = list(load_dataset(config.data).trials)[:8]
    assert np.abs(one.logits(trials) - other.logits(trials)).max() < 1e-3


def test_a_final_fit_reads_no_trial_twice(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = fitting.prompt_states

    def counting(model: Any, prompts: Any, *args: Any, **options: Any) -> Any:
        read.extend(map(tuple, prompts))
        return original(model, prompts, *args, **options)

    monkeypatch.setattr(fitting, "prompt_states", counting)
    result = train(settings(tuning="probe", final_fit="all", folds=3))
    assert len(read) == len(set(read)) <= 88
    assert result.bundle is not None
    assert (result.bundle / PROBE_FILE).is_file()
    assert result.out_of_fold["n"] == 88


def test_preflight_counts_what_a_probe_takes(settings: Settings) -> None:
    needs = {}
    for tuning in ("probe", "lora"):
        report = preflight(settings(tuning=tuning, batch_size=8))
        assert report.ok
        assert report.memory is not None
        needs[tuning] = report.memory
        assert ("time" in [check.name for check in report.checks]) == (tuning == "probe")
    assert needs["probe"].activations < needs["lora"].activations
    # 88 trials, two layers, two vectors of 32 float32 numbers.
    assert needs["probe"].disk == 88 * 2 * 2 * 32 * 4
    assert needs["probe"].weights == needs["lora"].weights


def test_one_process_fits_a_probe(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="a probe is fitted by one process"):
        train(settings(tuning="probe"))
