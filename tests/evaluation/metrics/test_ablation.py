"""What each part of a blend adds: against a hand-written reference, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from llm4top.errors import CalibrationError, EvaluationError
from llm4top.evaluation.metrics.ablation import ablate_parts


def sources(n=400, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(int)
    odds = {"good": truth + rng.normal(0, 0.3, n), "noise": rng.normal(0, 1, n), "zero": 0 * truth}
    return {name: np.stack([np.zeros(n), one], axis=1) for name, one in odds.items()}, y


def test_differences_are_the_blends_less_those_without_a_part():
    logits, y = sources()
    found = ablate_parts(logits, y, split="valid", draws=200)
    assert (found.split, found.n, found.draws) == ("valid", 400, 200)

    def chance(names):
        return 1 / (1 + np.exp(-np.mean([logits[name][:, 1] for name in names], axis=0)))

    whole, rest = chance(logits), chance(["noise", "zero"])
    expected = {
        "roc_auc": roc_auc_score(y, whole) - roc_auc_score(y, rest),
        "brier": brier_score_loss(y, whole) - brier_score_loss(y, rest),
        "log_loss": log_loss(y, whole) - log_loss(y, rest),
    }
    good = found.without["good"]
    assert {name: one.value for name, one in good.items()} == pytest.approx(expected)
    assert good["roc_auc"].lower > 0.1
    assert good["brier"].upper < 0
    # A part that is always at one half only draws the others together: no rank changes.
    assert found.without["zero"]["roc_auc"].value == pytest.approx(0)
    assert [*found.without] == ["good", "noise", "zero"]


def test_three_labels():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    logits = {"right": 2 * np.eye(3)[y] + rng.normal(size=(60, 3)), "none": np.zeros((60, 3))}
    found = ablate_parts(logits, y, split="valid", draws=50).without
    assert found["right"]["roc_auc"].value > 0.2


def test_what_is_refused():
    logits, y = sources()
    with pytest.raises(EvaluationError, match="needs two parts or more"):
        ablate_parts({"good": logits["good"]}, y, split="valid")
    with pytest.raises(CalibrationError, match="differ in length"):
        ablate_parts(logits, y[:-1], split="valid")
