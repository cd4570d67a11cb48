"""Invented data sets and forecasters for the tests of evaluations."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from llm4top.data.dataset import Dataset, make_dataset
from llm4top.forecasters.bundles.manifest import DataEntry
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.calibration.methods import NoCalibration
from llm4top.forecasters.forecaster import Forecaster
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task

PHASES = ("Phase 1", "Phase 1/Phase 2", "Phase 2")
CONDITIONS = {"success": "hypertension", "failure": "depression"}


def invented(
    *,
    train: int = 60,
    valid: int = 60,
    test: int = 60,
    seed: int = 0,
    text: str = "",
    task: str = "outcome",
) -> Dataset:
    """Trials whose condition tells the label three times in four, with dates and statuses."""
    rng = random.Random(seed)
    labels_of = {"outcome": ("failure", "success"), "completion": ("stopped", "completed")}[task]
    trials, labels, splits, starts, statuses = [], [], [], [], []
    for i in range(train + valid + test):
        good = rng.random() < 0.5
        told = good if rng.random() < 0.75 else not good
        trials.append(
            Trial(
                phase=PHASES[i % 3],
                conditions=(CONDITIONS["success" if told else "failure"],),
                criteria=f"Adults who have given informed consent {text}".strip(),
                sponsor_class="Industry" if i % 4 else "NIH",
            )
        )
        labels.append(labels_of[good])
        splits.append("train" if i < train else "valid" if i < train + valid else "test")
        starts.append(f"{1995 + i % 15}-03" if i % 10 else None)
        statuses.append("Completed" if good or rng.random() < 0.3 else "Terminated")
    return make_dataset(
        trials,
        labels,
        [f"NCT9{i:07d}" for i in range(len(trials))],
        splits,
        task=task,
        start_dates=starts,
        statuses=statuses,
        name="invented",
    )


def by_condition(trials: Sequence[Trial]) -> np.ndarray:
    """Probabilities that follow the condition, no two alike."""
    event = np.array([0.7 if CONDITIONS["success"] in t.conditions else 0.3 for t in trials])
    event = event + np.linspace(0, 0.05, len(trials))
    return np.stack([1 - event, event], axis=1)


class Scored:
    """A model that is a function from trials to probabilities, or to logits."""

    def __init__(self, score: Callable[[Sequence[Trial]], np.ndarray], *, logits: bool):
        self._score = score
        self._logits = logits

    def label_logits(self, trials: Sequence[Trial], **_: object) -> np.ndarray:
        found = np.asarray(self._score(trials), dtype=np.float64)
        return found if self._logits else np.log(np.maximum(found, 1e-300))


def source(
    score: Callable[[Sequence[Trial]], np.ndarray] = by_condition,
    *,
    name: str = "mine",
    task: Dataset | None = None,
    calibration: object = None,
    data_sha256: str | None = None,
    learnt: TrainedOn | None = None,
) -> Forecaster:
    """A forecaster that is a function: of probabilities, or of logits with a ``calibration``."""
    data = data_sha256 and DataEntry(name="invented", sha256=data_sha256, counts={})
    return Forecaster(
        task=get_task("outcome") if task is None else task.task,
        kind="language",
        name=name,
        label=name,
        identity=f"{name}-0123",
        calibration=calibration or NoCalibration(),  # type: ignore[arg-type]
        data=data or None,
        trained_on=learnt,
        trained_on_text="nothing",
        model=Scored(score, logits=calibration is not None),  # type: ignore[arg-type]
    )
