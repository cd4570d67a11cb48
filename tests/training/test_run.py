"""Training runs end to end on a tiny model: learning, stopping, being killed, going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from llm4top.errors import BundleError, ConfigError, PreflightError, ResumeError, TrainingError
from llm4top.forecasters.language import LanguageForecaster
from llm4top.progress import Progress
from llm4top.training import finalize
from llm4top.training import run as _run
from llm4top.training.config import TrainingConfig
from llm4top.training.finalize import BASE_RATE, MODEL, TFIDF, UNCALIBRATED
from llm4top.training.run import TrainingResult, train
from llm4top.training.run_folder import RunFolder
from tests.warm import hook

pytestmark = pytest.mark.slow

Settings = Callable[..., TrainingConfig]


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "bundle" / "adapter_model.safetensors")


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


class Seen(list[Progress]):
    """Keeps what it is told, and may send this process a signal at a step of the training."""

    def __init__(self, signal_at: int | None = None, number: int = signal.SIGINT):
        super().__init__()
        self.signal_at = signal_at
        self.number = number

    def __call__(self, progress: Progress) -> None:
        self.append(progress)
        if progress.stage == "training" and progress.done == self.signal_at:
            self.signal_at = None
            os.kill(os.getpid(), self.number)


@pytest.fixture(scope="module")
def finished(
    tiny_model_folder: Path, dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingResult, Seen]:
    """One uninterrupted run, which several tests look at."""
    from llm4top.training.config import make_config

    config = make_config(None, {**shared(tiny_model_folder, dataset_folder), **LEARNS})
    seen = Seen()
    out = tmp_path_factory.mktemp("runs") / "finished"
    return train(config.model_copy(update={"out": out}), progress=seen), seen


def shared(model: Path, data: Path) -> dict[str, Any]:
    return {
        "data": data,
        "base": str(model),
        "out": "unused",
        "preset": "quick",
        "device": "cpu",
        "max_tokens": 192,
        "lora_rank": 4,
        "lora_alpha": 8,
        "batch_size": 8,
        "accumulation": 1,
        "log_steps": 1,
        "gradient_checkpointing": False,
    }


LEARNS: dict[str, Any] = {"learning_rate": 2e-2, "epochs": 3, "lora_dropout": 0.1, "patience": None}


def test_a_run_learns_and_its_bundle_gives_the_same(finished: tuple[TrainingResult, Seen]) -> None:
    result, _ = finished
    run = RunFolder(result.out)
    logged = [event for event in run.events() if event["event"] == "log"]
    assert logged[-1]["loss"] < 0.9 * logged[0]["loss"]
    assert result.reload_difference is not None
    assert result.reload_difference <= 1e-4
    manifest = json.loads((run.bundle / "manifest.json").read_text())
    assert manifest["reload_check"]["max_difference"] == result.reload_difference
    assert manifest["language"]["tuning"]["method"] == "lora"
    assert manifest["data"]["counts"] == {"train": 48, "valid": 40}
    assert set(manifest["base_rates"]) == {"Phase 1", "Phase 2", "Phase 3", "all"}
    assert run.state()["state"] == "done"
    assert not run.checkpoints.exists()
    assert not run.is_alive()


def test_figures_stand_beside_the_baselines(finished: tuple[TrainingResult, Seen]) -> None:
    metrics = finished[0].metrics
    assert list(metrics["forecasters"]) == [
        MODEL,
        UNCALIBRATED,
        TFIDF,
        BASE_RATE,
        "always success",
    ]
    assert metrics["n"] == 40
    model = metrics["forecasters"][MODEL]
    assert set(model) == {"log_loss", "brier", "roc_auc", "f1"}
    assert model["roc_auc"]["lower"] <= model["roc_auc"]["value"] <= model["roc_auc"]["upper"]


def test_a_watcher_hears_of_every_phase_and_step(finished: tuple[TrainingResult, Seen]) -> None:
    result, seen = finished
    phases = list(dict.fromkeys(progress.stage for progress in seen))
    assert phases == ["preflight", "prompts", "training", "calibration", "bundle", "check", "done"]
    training = [progress for progress in seen if progress.stage == "training"]
    assert {p.done for p in training} == set(range(result.steps + 1))
    assert {p.total for p in training} == {result.steps}
    last = training[-1]
    assert last.figures["eta_seconds"] == 0.0
    assert None not in (
        last.figures["loss"],
        last.figures["log_loss"],
        last.figures["tokens_per_second"],
    )


def test_the_settings_as_used_lie_with_the_run(finished: tuple[TrainingResult, Seen]) -> None:
    from llm4top.training.config import make_config

    text = (finished[0].out / "config.yaml").read_text()
    assert text.startswith("# The settings of this run as used by llm4top")
    again = make_config(finished[0].out / "config.yaml")
    assert again.seed == 0
    assert again.learning_rate == 2e-2


def test_prompts_show_what_the_training_trials_have(finished: tuple[TrainingResult, Seen]) -> None:
    manifest = json.loads((finished[0].out / "bundle" / "manifest.json").read_text())
    sections = manifest["language"]["prompt"]["spec"]["sections"]
    assert {"phase", "conditions", "criteria"} <= set(sections)
    assert "smiles" not in sections


def test_a_finished_run_is_neither_resumed_nor_overwritten(
    finished: tuple[TrainingResult, Seen], settings: Settings
) -> None:
    config = settings(out=finished[0].out, **LEARNS)
    with pytest.raises(PreflightError, match=r"holds a run already \(done\)"):
        train(config)
    with pytest.raises(ResumeError, match="the run is finished"):
        train(config, resume=True)
    assert RunFolder(config.out).state()["state"] == "done"


DIES = """
import os, signal
from llm4top.forecasters.finetuning import checkpoint as checkpoints

save = checkpoints.save_optimiser

def half(folder, *rest):
    if folder.name.endswith("checkpoint-STEP"):
        os.kill(os.getpid(), signal.SIGKILL)
    save(folder, *rest)

checkpoints.save_optimiser = half
"""


def kill(config: TrainingConfig, step: int, folder: Path) -> None:
    """Run in another process that is killed (SIGKILL) while it saves the checkpoint of a step."""
    file = folder / "config.yaml"
    file.write_text(config.to_yaml())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM4TOP_HOME", str(folder / "home"))
        patch.setenv("OMP_NUM_THREADS", "1")
        hook(patch, folder, DIES.replace("STEP", str(step)))
        done = subprocess.run(
            [sys.executable, "-m", "llm4top", "train", "--config", str(file)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]


def test_a_run_killed_while_it_saves_goes_on_to_the_same_weights(
    finished: tuple[TrainingResult, Seen], settings: Settings, tmp_path: Path
) -> None:
    config = settings(**LEARNS)
    kill(config, 12, tmp_path)
    run = RunFolder(config.out)
    assert run.state()["state"] == "running"
    assert not run.is_alive()
    complete = sorted(path.name for path in run.checkpoints.glob("checkpoint-*"))
    assert complete[-1] == "checkpoint-9"
    assert list(run.checkpoints.glob(".unfinished-*"))
    result = train(config, resume=True)
    assert furthest(adapter(finished[0].out), adapter(config.out)) == 0
    assert result.metrics == finished[0].metrics
    assert result.best_log_loss == finished[0].best_log_loss


def test_a_polite_end_leaves_a_checkpoint_and_goes_on_to_the_same_weights(
    finished: tuple[TrainingResult, Seen], settings: Settings
) -> None:
    config = settings(**LEARNS)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(config, progress=Seen(signal_at=4, number=signal.SIGTERM))
    assert signal.getsignal(signal.SIGINT) is handler
    run = RunFolder(config.out)
    assert run.state()["state"] == "interrupted"
    assert (run.checkpoints / "checkpoint-4").is_dir()
    train(config, resume=True)
    assert furthest(adapter(finished[0].out), adapter(config.out)) == 0


def test_another_run_is_not_resumed(settings: Settings) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(settings(**LEARNS), progress=Seen(signal_at=2))
    other = settings(**{**LEARNS, "learning_rate": 1e-3, "seed": 5})
    with pytest.raises(ResumeError) as caught:
        train(other, resume=True)
    assert "learning_rate (0.02 then, 0.001 now), seed (0 then, 5 now)" in str(caught.value)
    assert RunFolder(other.out).state()["state"] == "interrupted"


def test_a_run_under_way_is_left_alone(settings: Settings) -> None:
    config = settings()
    with RunFolder(config.out).locked(), pytest.raises(TrainingError, match="another run"):
        train(config)


def test_a_run_that_would_fail_leaves_nothing(settings: Settings) -> None:
    config = settings(max_tokens=64)
    with pytest.raises(PreflightError, match="the question alone"):
        train(config)
    assert not config.out.exists()


@pytest.mark.parametrize("error", [TrainingError("the loss is nan."), RuntimeError("a bug")])
def test_a_failure_is_written_down(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(_run, "finetune", fail)
    config = settings()
    with pytest.raises(type(error)):
        train(config)
    state = RunFolder(config.out).state()
    assert state["state"] == "failed"
    assert str(error) in state["message"]


def test_a_bundle_that_forecasts_otherwise_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(finalize.RELOAD_TOLERANCE, "float32", -1.0)
    with pytest.raises(BundleError, match="other probabilities"):
        train(settings(epochs=1))


def test_a_reloaded_bundle_is_compared_on_equal_batches(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 a trial's logits depend on the batch that it is in, by more than is allowed."""
    own = LanguageForecaster.answer_logits

    def batched(self: LanguageForecaster, trials: Any, **more: Any) -> Any:
        return own(self, trials, **more) + (0.5 if len(trials) > 32 else 0.0) * np.array([1, 0])

    monkeypatch.setattr(LanguageForecaster, "answer_logits", batched)
    result = train(settings(epochs=1, calibration="platt"))
    assert result.reload_difference is not None
    assert result.reload_difference <= 1e-4


def test_full_tuning_carries_its_model(settings: Settings) -> None:
    result = train(settings(tuning="full", learning_rate=1e-3, epochs=1, calibration="platt"))
    assert result.bundle is not None
    assert (result.bundle / "base" / "model.safetensors").is_file()
    assert result.reload_difference is not None
    assert result.reload_difference <= 1e-4


def test_no_calibration_is_possible_too(settings: Settings) -> None:
    result = train(settings(calibration="none", epochs=1))
    assert MODEL not in result.metrics["forecasters"]


def test_labels_of_class_weights_are_checked(settings: Settings) -> None:
    with pytest.raises((ConfigError, PreflightError), match="class_weights"):
        train(settings(class_weights={"a": 1.0}))


WATCHED = """
from pathlib import Path
import torch
from safetensors.torch import save_file
from llm4top.training import run as _run

finetune = _run.finetune

def watched(*args, **options):
    result = finetune(*args, **options)
    rank = torch.distributed.get_rank()
    trained = {n: p.detach() for n, p in result.model.named_parameters() if p.requires_grad}
    save_file(trained, Path("FOLDER") / f"weights-{rank}.safetensors")
    return result

_run.finetune = watched
"""


def test_two_processes_end_at_the_weights_of_one_with_the_double_batch(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Under torchrun, and through the command, of which one process alone speaks."""
    # 48 rows by 2 x 5: the last step is short, and one process gets rows that weigh nothing.
    shape = {**LEARNS, "lora_dropout": 0.0, "epochs": 1, "precision": "fp32"}
    together = settings(**shape, batch_size=5, out=tmp_path / "together")
    file = tmp_path / "config.yaml"
    file.write_text(together.to_yaml())
    hook(monkeypatch, tmp_path, WATCHED.replace("FOLDER", str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    done = subprocess.run(
        [*command, "-m", "llm4top", "train", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{together.out}/bundle\n"
    assert done.stderr.count("Checks before the start") == 1
    alone = settings(**shape, batch_size=10, out=tmp_path / "alone")
    train(alone)
    left, right = (load_file(tmp_path / f"weights-{rank}.safetensors") for rank in (0, 1))
    assert furthest(left, right) == 0
    assert furthest(adapter(together.out), adapter(alone.out)) < 1e-5
    losses = [
        [event["loss"] for event in RunFolder(config.out).events() if event["event"] == "log"]
        for config in (together, alone)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert [e["event"] for e in RunFolder(together.out).events()].count("begin") == 1
