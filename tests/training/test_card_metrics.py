"""The figures of a model card."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from llm4top.training._card_metrics import Figure, brier, f1, log_loss, measure, roc_auc


@pytest.fixture
def binary() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    p = np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.2, 200), 0.01, 0.99).round(2)
    return np.column_stack([1 - p, p]), y


def test_metrics_agree_with_scikit_learn(binary: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = binary
    assert log_loss(p, y) == pytest.approx(reference.log_loss(y, p))
    assert brier(p, y) == pytest.approx(reference.brier_score_loss(y, p[:, 1]))
    assert roc_auc(p, y) == pytest.approx(reference.roc_auc_score(y, p[:, 1]))
    assert f1(p, y) == pytest.approx(reference.f1_score(y, p[:, 1] >= 0.5))


def test_saying_nothing_true_has_no_f1() -> None:
    never = np.tile([1.0, 0.0], (4, 1))
    assert f1(never, np.array([1, 1, 0, 0])) == 0
    assert f1(never, np.zeros(4, dtype=int)) == 0


def test_many_labels() -> None:
    p, y = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), np.array([0, 1])
    assert brier(p, y) == pytest.approx((0.09 + 0.04 + 0.01 + 0.01 + 0.81 + 0.64) / 2)
    assert np.isnan(roc_auc(p, y))


def test_an_interval_holds_its_value_and_repeats_itself(
    binary: tuple[np.ndarray, np.ndarray],
) -> None:
    p, y = binary
    half = np.full_like(p, 0.5)
    figures = measure({"model": p, "coin": half}, y, split="valid", seed=3)
    assert (figures["n"], figures["split"], figures["draws"]) == (200, "valid", 1000)
    for figure in figures["forecasters"]["model"].values():
        assert figure["lower"] < figure["value"] < figure["upper"]
    coin = figures["forecasters"]["coin"]
    assert coin["roc_auc"] == {"value": 0.5, "lower": 0.5, "upper": 0.5}
    assert coin["log_loss"]["value"] == pytest.approx(np.log(2), abs=1e-6)
    assert figures == measure({"model": p, "coin": half}, y, split="valid", seed=3)


def test_what_cannot_be_measured_is_none() -> None:
    p = np.array([[0.4, 0.6], [0.3, 0.7]])
    figures = measure({"model": p}, np.array([1, 1]), split="valid")
    none = {"value": None, "lower": None, "upper": None}
    assert figures["forecasters"]["model"]["roc_auc"] == none
    assert Figure(float("nan"), 0.0, 1.0).to_dict()["value"] is None
