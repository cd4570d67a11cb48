"""A model and a data set that train in a second, for the tests of runs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm4top.data.dataset import make_dataset
from llm4top.registry.trial import Intervention, Trial
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace

RECORD = """<clinical_study>
  <id_info><nct_id>NCT9000000{n}</nct_id></id_info>
  <brief_title>{title}</brief_title>
  <study_type>Interventional</study_type>
  <phase>Phase 2</phase>
  <condition>hypertension</condition>
  <intervention><intervention_type>Drug</intervention_type>
    <intervention_name>compound {n}</intervention_name></intervention>
</clinical_study>
"""


def save_tiny_dataset(folder: Path, train: int = 48, valid: int = 40, *, phases: int = 3) -> Path:
    """Invented trials of so many phases, whose condition tells the label."""
    rng = random.Random(0)
    trials, labels = [], []
    for i in range(train + valid):
        good = rng.random() < 0.5
        trials.append(
            Trial(
                phase=f"Phase {i % phases + 1}",
                study_type="Interventional",
                brief_title=f"Study {i} of an invented compound",
                conditions=("hypertension",) if good else ("depression",),
                interventions=(Intervention(name=f"compound {i % 7}", type="Drug"),),
            )
        )
        labels.append("success" if good else "failure")
    splits = ["train" if i < train else "valid" for i in range(len(trials))]
    numbers = [f"NCT9{i:07d}" for i in range(len(trials))]
    make_dataset(trials, labels, numbers, splits, task="outcome", name="invented").save(folder)
    return folder


def quick_training(model: Path, data: Path, **more: Any) -> dict[str, Any]:
    """Settings of a training run that takes a second."""
    return {
        "data": str(data),
        "base": str(model),
        "preset": "quick",
        "device": "cpu",
        "max_tokens": 128,
        "lora_rank": 4,
        "lora_alpha": 8,
        "learning_rate": 1e-2,
        "batch_size": 8,
        "accumulation": 1,
        "log_steps": 1,
        "patience": None,
        "gradient_checkpointing": False,
        **more,
    }


def wait_for(
    workspace: Workspace, run: Run, until: Callable[[Run], bool], seconds: float = 120
) -> Run:
    """The run, once ``until`` holds for it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = workspace.runs.get(run.id)
        if until(found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"it never came to that: {workspace.runs.get(run.id)}")


def over(run: Run) -> bool:
    return run.state.is_over


def in_training(run: Run) -> bool:
    """Whether some steps of the training have been made, and some are left."""
    return run.progress.get("stage") == "training" and run.progress["done"] >= 2
