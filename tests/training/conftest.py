"""What the training tests share: a tiny model, an invented data set, settings for both."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm4top.data.dataset import Dataset, make_dataset
from llm4top.registry.trial import Intervention, Trial
from llm4top.training.config import TrainingConfig, make_config

PHASES = ("Phase 1", "Phase 2", "Phase 3")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices: threads would only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def invented_dataset(train: int = 48, valid: int = 40) -> Dataset:
    """Trials whose condition tells the label, in two splits; a few in a third."""
    rng = random.Random(0)
    trials, labels, splits = [], [], []
    for i in range(train + valid + 6):
        good = rng.random() < 0.5
        trials.append(
            Trial(
                phase=PHASES[i % 3],
                study_type="Interventional",
                brief_title=f"Study {i} of an invented compound",
                conditions=("hypertension",) if good else ("depression",),
                interventions=(Intervention(name=f"compound {i % 7}", type="Drug"),),
                keywords=("rare",) if i == 1 else (),
                criteria="Adults who have given informed consent. " * rng.randint(1, 6),
            )
        )
        labels.append("success" if good else "failure")
        splits.append("train" if i < train else "valid" if i < train + valid else "test")
    numbers = [f"NCT9{i:07d}" for i in range(len(trials))]
    return make_dataset(trials, labels, numbers, splits, task="outcome", name="invented")


@pytest.fixture(scope="session")
def make_data() -> Callable[..., Dataset]:
    """Makes an invented data set of so many rows."""
    return invented_dataset


@pytest.fixture(scope="session")
def tiny_model_folder(tiny_model: Path) -> Path:
    return tiny_model


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "invented"
    invented_dataset().save(folder)
    return folder


@pytest.fixture
def settings(tiny_model_folder: Path, dataset_folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """Makes settings of a run that takes seconds; any of them can be given."""

    def make(**chosen: Any) -> TrainingConfig:
        quick: dict[str, Any] = {
            "data": dataset_folder,
            "base": str(tiny_model_folder),
            "out": tmp_path / "run",
            "preset": "quick",
            "device": "cpu",
            "max_tokens": 192,
            "lora_rank": 4,
            "lora_alpha": 8,
            "learning_rate": 1e-2,
            "epochs": 2,
            "batch_size": 8,
            "accumulation": 1,
            "log_steps": 1,
            "gradient_checkpointing": False,
        }
        return make_config(None, {**quick, **chosen})

    return make
