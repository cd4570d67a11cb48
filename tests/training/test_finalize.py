"""The figures of a model card."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from llm4top.forecasters.bundles.figures import Evaluation
from llm4top.training.finalize import card_figures


@pytest.fixture
def binary() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    p = np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.2, 200), 0.01, 0.99).round(2)
    return np.column_stack([1 - p, p]), y


def test_figures_are_scikit_learns(binary: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = binary
    figures = card_figures({"model": p}, y, split="valid")["forecasters"]["model"]
    assert {name: one["value"] for name, one in figures.items()} == pytest.approx(
        {
            "log_loss": reference.log_loss(y, p),
            "brier": reference.brier_score_loss(y, p[:, 1]),
            "roc_auc": reference.roc_auc_score(y, p[:, 1]),
            "f1": reference.f1_score(y, p[:, 1] >= 0.5),
        },
        abs=1e-6,
    )


def test_an_interval_holds_its_value_and_repeats_itself(
    binary: tuple[np.ndarray, np.ndarray],
) -> None:
    p, y = binary
    half = np.full_like(p, 0.5)
    figures = card_figures({"model": p, "coin": half}, y, split="valid", seed=3)
    assert (figures["n"], figures["split"], figures["draws"]) == (200, "valid", 1000)
    for figure in figures["forecasters"]["model"].values():
        assert figure["lower"] < figure["value"] < figure["upper"]
    coin = figures["forecasters"]["coin"]
    assert coin["roc_auc"] == {"value": 0.5, "lower": 0.5, "upper": 0.5}
    assert coin["log_loss"]["value"] == pytest.approx(np.log(2), abs=1e-6)
    assert figures == card_figures({"model": p, "coin": half}, y, split="valid", seed=3)


def test_each_phase_has_the_figures_of_its_own_rows(binary: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = binary
    # The last five rows are of a phase with too few to measure, ten are of two phases.
    phases = [{"II"}] * 90 + [{"II", "III"}] * 10 + [{"III"}] * 95 + [{"IV"}] * 5
    found = card_figures({"model": p, "coin": p[::-1]}, y, split="valid", phases=phases)
    assert {phase: one["n"] for phase, one in found["phases"].items()} == {
        "all": 200,
        "II": 100,
        "III": 105,
    }
    figures = found["phases"]["II"]["figures"]
    assert figures["prevalence"]["value"] == pytest.approx(y[:100].mean(), abs=1e-6)
    assert figures["roc_auc"]["value"] == pytest.approx(
        reference.roc_auc_score(y[:100], p[:100, 1]), abs=1e-6
    )
    for name in ("brier", "calibration_slope", "calibration_intercept", "ece"):
        assert figures[name]["lower"] < figures[name]["value"] < figures[name]["upper"]
    assert Evaluation.model_validate(found).phases["III"].n == 105
    assert card_figures({"model": p}, y, split="valid")["phases"] == {}


def test_the_manifest_takes_them(binary: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = binary
    figures = card_figures({"model": p}, y, split="valid")
    assert Evaluation.model_validate(figures).forecasters["model"]["f1"].value is not None


def test_what_cannot_be_measured_is_none() -> None:
    none = {"value": None, "lower": None, "upper": None}
    one_label = card_figures(
        {"model": np.array([[0.4, 0.6], [0.3, 0.7]])}, np.array([1, 1]), split="valid"
    )["forecasters"]["model"]
    assert one_label["roc_auc"] == none
    assert one_label["log_loss"]["value"] == pytest.approx(-np.log([0.6, 0.7]).mean(), abs=1e-6)
    many = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    three = card_figures({"model": many}, np.array([0, 1]), split="valid")["forecasters"]["model"]
    assert three["f1"] == three["roc_auc"] == none
    assert three["brier"]["value"] == pytest.approx((0.09 + 0.04 + 0.01 + 0.01 + 0.81 + 0.64) / 2)
