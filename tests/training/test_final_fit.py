"""``final_fit: all`` end to end on a tiny model, and resumed after a stop among the folds."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llm4top.data.dataset import load_dataset
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.cross_fit import LearningRows
from llm4top.progress import Progress
from llm4top.training import final_fit as final_fit_module
from llm4top.training.config import TrainingConfig
from llm4top.training.final_fit import Choice
from llm4top.training.finalize import BASE_RATE, CHOSE, TFIDF
from llm4top.training.preflight import preflight
from llm4top.training.run import TrainingResult, train
from llm4top.training.run_folder import RunFolder
from llm4top.workspace.views import baseline_comparison

Settings = Callable[..., TrainingConfig]


def test_as_many_passes_over_other_rows() -> None:
    choice = Choice(100, 50, 30, 0.6, True, 1)
    assert [choice.steps_for(n) for n in (100, 150, 1)] == [30, 45, 1]
    assert Choice(100, 50, None, None, False, 1).steps_for(80) == 40
    assert Choice(100, 0, None, 0.6, False, 1).steps_for(80) is None


def test_a_choice_is_read_as_it_was_kept(tmp_path: Path) -> None:
    run, choice = RunFolder(tmp_path), Choice(100, 50, 30, 0.6, True, 1)
    assert Choice.read(run) is None
    choice.keep(run)
    assert Choice.read(run) == choice


def test_the_figures_have_the_names_that_the_studio_looks_for() -> None:
    assert baseline_comparison.CHOSE == CHOSE


def test_the_check_before_says_what_it_costs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(config: TrainingConfig) -> tuple[bool, str]:
        (check,) = [c for c in preflight(config).checks if c.name == "final fit"]
        return check.ok, check.detail

    config = settings(final_fit="all", folds=4)
    ok, detail = found(config)
    assert ok
    assert detail == (
        "6 trainings: one to choose the steps, 4 for out-of-fold predictions of 88 trials, one on "
        "all of them. It takes up to 6 times as long as one training."
    )
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert found(config) == (False, "a final fit on all rows runs in one process.")
    assert "final fit" not in {check.name for check in preflight(settings()).checks}


class Stops:
    """Asks for a stop as a fold's training takes its second step."""

    def __init__(self, part: str):
        self.part = part
        self.seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)
        if (progress.stage, progress.detail, progress.done) == ("training", self.part, 2):
            self.part = ""
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def finished(
    tiny_model_folder: Path, dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingConfig, TrainingResult, list[Progress], list[np.ndarray]]:
    """One run that is stopped in its second fold, and resumed."""
    from llm4top.training.config import make_config

    config = make_config(
        None,
        {
            "data": dataset_folder,
            "base": str(tiny_model_folder),
            "out": tmp_path_factory.mktemp("runs") / "all",
            "preset": "quick",
            "device": "cpu",
            "max_tokens": 128,
            "lora_rank": 4,
            "learning_rate": 1e-2,
            "epochs": 1,
            "batch_size": 8,
            "accumulation": 1,
            "gradient_checkpointing": False,
            "final_fit": "all",
            "folds": 3,
        },
    )
    stop = Stops("fold 2 of 3")
    with pytest.raises(KeyboardInterrupt):
        train(config, progress=stop)
    kept: list[np.ndarray] = []

    def cross_fit(*args: object, **more: object) -> object:
        found = original(*args, **more)
        kept.append(found.logits)
        return found

    original = final_fit_module.cross_fit
    seen: list[Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(final_fit_module, "cross_fit", cross_fit)
        result = train(config, progress=seen.append, resume=True)
    return config, result, seen, kept


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(finished: tuple) -> None:
    config, result, seen, _ = finished
    parts = [p.detail for p in seen if p.stage == "training"]
    assert list(dict.fromkeys(parts)) == ["fold 2 of 3", "fold 3 of 3", "all"]
    begun = [e["number"] for e in RunFolder(config.out).events() if e["event"] == "fold"]
    assert begun == [1, 2, 2, 3]
    assert RunFolder(config.out).state()["state"] == "done"
    assert not RunFolder(config.out).folds.exists()
    assert result.steps == 6
    steps = [p for p in seen if p.stage == "training" and p.detail == "all"][-1]
    assert steps.done == steps.total == round(result.best_step * 88 / 48)


@pytest.mark.slow
def test_the_bundle_learned_from_all_and_was_calibrated_out_of_fold(finished: tuple) -> None:
    config, result, _, (logits,) = finished
    assert result.bundle is not None
    loaded = load_bundle(result.bundle)
    data = load_dataset(config.data)
    learning = data.take([i for i, split in enumerate(data.splits) if split != "test"])
    rows = LearningRows.of(learning)
    expected = make_calibrator("venn-abers").fit(logits, rows.labels, rows.phases)
    assert loaded.calibration.to_dict() == expected.to_dict()
    assert loaded.manifest is not None
    assert loaded.manifest.final_fit is not None
    assert (loaded.manifest.final_fit.trials, loaded.manifest.final_fit.folds) == (88, 3)
    assert {loaded.trained_on_part(nct_id) for nct_id in learning.nct_ids} == {"train"}
    assert loaded.base_rates["all"].n == 88
    out_of_fold, chose = loaded.manifest.evaluations
    assert (out_of_fold.split, out_of_fold.n) == ("out-of-fold", 88)
    assert list(out_of_fold.forecasters) == [
        "this model, out-of-fold, calibrated",
        "this model, out-of-fold, not calibrated",
        TFIDF,
        BASE_RATE,
        "always success",
    ]
    assert (chose.split, chose.n) == ("valid", 40)
    assert tuple(chose.forecasters)[:2] == CHOSE
    assert result.metrics["n"] == 40
    assert result.out_of_fold["n"] == 88


@pytest.mark.slow
def test_the_card_says_which_protocol_it_was(finished: tuple) -> None:
    card = (finished[1].bundle / "MODEL_CARD.md").read_text()
    assert "with them the model was then fitted on all 88." in card
    assert "Calibrated on out-of-fold predictions of 88 trials, 3 folds" in card
    assert "Out-of-fold, on all trials that it learned from, n = 88" in card
    assert "These figures are not the bundle's: they are those of the model that chose" in card
    assert "Venn-Abers, fitted on out-of-fold predictions only." in card
