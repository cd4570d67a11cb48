"""Bundles of tiny models for the bundle tests, and an intruder to plant in them."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.bundles.figures import Evaluation
from llm4top.forecasters.bundles.manifest import BundleFacts, DataEntry, Manifest, TuningEntry
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.finetuning.lora import add_lora
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.prompts.prompt import PromptSpec
from llm4top.registry.trial import Intervention, Trial
from llm4top.tasks.builtin import OUTCOME
from llm4top.tasks.task import Task

GRADES = Task(
    name="grades",
    kind="multiclass",
    question="Which of three invented grades fits this trial?",
    labels=("low", "middle", "high"),
    answers=("No", "Yes", "a"),
)


def invented(count: int = 40) -> list[Trial]:
    return [
        Trial(
            phase=("Phase 1", "Phase 2", "Phase 3")[i % 3],
            study_type="Interventional",
            brief_title=f"Study {i} of an invented compound",
            conditions=(("asthma", "malaria", "depression")[i % 3],),
            interventions=(Intervention(name=f"compound {i % 7}", type="Drug"),),
            criteria="Adults who have given written informed consent. " * (i % 5),
        )
        for i in range(count)
    ]


TRIALS = invented()
LABELS = [int(i % 3 > 0) for i in range(len(TRIALS))]

EVALUATION: dict[str, Any] = {
    "split": "valid",
    "n": 40,
    "draws": 1000,
    "seed": 0,
    "forecasters": {
        "this model, calibrated": {
            "roc_auc": {"value": 0.612345, "lower": 0.5, "upper": 0.7},
            "brier": {"value": 0.231, "lower": 0.21, "upper": 0.25},
        },
        "TF-IDF + logistic regression": {
            "roc_auc": {"value": 0.7, "lower": 0.6, "upper": 0.8},
            "brier": {"value": 0.22, "lower": 0.2, "upper": 0.24},
        },
        "base rate of the phase": {
            "roc_auc": {"value": None, "lower": None, "upper": None},
            "brier": {"value": 0.25, "lower": 0.24, "upper": 0.26},
        },
    },
}


def tuning(method: str) -> TuningEntry:
    return TuningEntry(method=method, settings={"epochs": 3.0, "lora_rank": 4})


def facts(task: Task = OUTCOME, **changes: Any) -> BundleFacts:
    values: dict[str, Any] = {
        "data": DataEntry(
            name="invented trials",
            sha256="a" * 64,
            counts={"train": 40, "valid": 20},
            licence="TOP: non-commercial use only",
        ),
        "base_rates": measure_base_rates(len(task.labels), [t.phase for t in TRIALS], LABELS),
        "evaluations": (Evaluation.model_validate(EVALUATION),),
        "licence": "Apache-2.0",
        "seed": 7,
        "config_sha256": "b" * 64,
    }
    return BundleFacts(**{**values, **changes})


@dataclass
class Made:
    """A forecaster with its calibration, as training leaves them."""

    forecaster: LanguageForecaster
    calibration: Calibrator
    logits: np.ndarray
    method: str

    def save(self, folder: Path, **options: Any) -> Manifest:
        options.setdefault("facts", facts(self.forecaster.task))
        options.setdefault("tuning", tuning(self.method))
        return save_bundle(
            folder,
            **{
                "name": "tiny-outcome",
                "forecaster": self.forecaster,
                "calibration": self.calibration,
                **options,
            },
        )

    def probabilities(self) -> np.ndarray:
        return self.calibration.predict(self.logits).probabilities


def make(
    base: Path | str, method: str, *, task: Task = OUTCOME, calibration: str = "venn-abers"
) -> Made:
    """A "tuned" forecaster: its new weights are random, which tests storage as well as any."""
    loaded = load_base(base, device="cpu")
    model = loaded.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        if method == "lora":
            model = add_lora(loaded.model, rank=4, alpha=8, dropout=0.0)
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.data.normal_(std=0.3)
            model.eval()
        if method == "full":
            for weight in model.parameters():
                weight.data.add_(torch.randn_like(weight), alpha=0.05)
    forecaster = LanguageForecaster.from_model(
        loaded, task, model=model, spec=PromptSpec(max_tokens=256)
    )
    logits = forecaster.answer_logits(TRIALS)
    y = LABELS if len(task.labels) == 2 else [i % len(task.labels) for i in range(len(TRIALS))]
    return Made(forecaster, make_calibrator(calibration).fit(logits, y), logits, method)


class Canary:
    """Unpickling it writes a file: the proof that a planted pickle ran."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo ran > {self.path}",)


def pickles(canary: Path, scratch: Path) -> dict[str, bytes]:
    """The same intruder as each kind of pickle a careless loader would run."""
    torch.save(Canary(canary), scratch / "zip")
    torch.save(Canary(canary), scratch / "old", _use_new_zipfile_serialization=False)
    np.save(scratch / "array.npy", np.array([Canary(canary)], dtype=object), allow_pickle=True)
    return {
        "pickle": pickle.dumps(Canary(canary)),
        "text pickle": pickle.dumps(Canary(canary), protocol=0),
        "torch.save": (scratch / "zip").read_bytes(),
        "old torch.save": (scratch / "old").read_bytes(),
        "object array": (scratch / "array.npy").read_bytes(),
    }


def vouch(folder: Path, **changes: Any) -> None:
    """Make the manifest vouch for the files as they are now, as a hostile author would.

    ``changes`` replace fields of it; those of ``language`` are changed one by one.
    """
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name, entry in manifest["files"].items():
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            entry.update(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    if "language" in changes:
        changes["language"] = {**manifest["language"], **changes["language"]}
    manifest.update(changes)
    path.write_text(json.dumps(manifest))


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
