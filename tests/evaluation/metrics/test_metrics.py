"""Every metric against scikit-learn, published examples and what must not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from llm4top.errors import ScoreError
from llm4top.evaluation.metrics.bootstrap import draw_counts, grouped
from llm4top.evaluation.metrics.metrics import METRICS, Measured, measure, measure_probabilities
from llm4top.evaluation.predictions import Scores
from tests.evaluation.kit import binary_scores, invented
from tests.profiles import examples


def values(measured: Measured) -> dict[str, float | None]:
    return {name: figure.value for name, figure in measured.figures.items()}


def by_scikit_learn(p: np.ndarray, y: np.ndarray, said: np.ndarray) -> dict[str, float]:
    half = p >= 0.5
    decided: dict[str, Any] = {
        "accuracy": reference.accuracy_score,
        "balanced_accuracy": reference.balanced_accuracy_score,
        "precision": lambda y, said: reference.precision_score(y, said, zero_division=0),
        "recall": reference.recall_score,
        "specificity": lambda y, said: reference.recall_score(y, said, pos_label=0),
        "f1": reference.f1_score,
        "mcc": reference.matthews_corrcoef,
    }
    return {
        "roc_auc": reference.roc_auc_score(y, p),
        "average_precision": reference.average_precision_score(y, p),
        "lift": reference.average_precision_score(y, p) / y.mean(),
        **{name: function(y, said) for name, function in decided.items()},
        **{f"{name}_at_half": function(y, half) for name, function in decided.items()},
        "log_loss": reference.log_loss(y, p),
        "brier": reference.brier_score_loss(y, p),
        "ap_decisions": reference.average_precision_score(y, half),
    }


@pytest.mark.parametrize("decimals", [None, 2, 1])
@pytest.mark.parametrize("n", [40, 1001])
def test_binary_metrics_are_scikit_learns(n: int, decimals: int | None) -> None:
    p, y = invented(n, decimals=decimals, seed=n)
    said = (p >= 0.35).astype(int)
    measured = values(measure(binary_scores(p, y), decisions=said, draws=10))
    expected = by_scikit_learn(p, y, said)
    assert {name: measured[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_drawn_rows_give_scikit_learns_metrics_of_those_rows() -> None:
    p, y = invented(60, decimals=1, seed=3)
    drawn = measure(binary_scores(p, y), decisions=(p > 0.3).astype(int), draws=5, seed=8).draws
    within = draw_counts(np.bincount(y), 0, 5, 8).astype(int)
    among_all = draw_counts(np.array([len(y)]), 0, 5, 8).astype(int)
    for k in range(5):
        rows, of_auc = (np.repeat(grouped(y), counts[k]) for counts in (among_all, within))
        expected = by_scikit_learn(p[rows], y[rows], p[rows] > 0.3)
        expected["roc_auc"] = reference.roc_auc_score(y[of_auc], p[of_auc])
        found = {name: drawn[name][k] for name in expected}
        assert found == pytest.approx(expected, abs=1e-12)


def test_metrics_of_many_labels_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(0, 4, 300)
    p = rng.multinomial(10, np.full(4, 0.25), 300) / 10  # with ties
    labels, ids = ("a", "b", "c", "d"), tuple(map(str, range(300)))
    measured = measure(
        Scores("model", "valid", labels, p, y, ids), reference=np.full((300, 4), 0.25), draws=20
    )
    said = p.argmax(axis=1)
    expected = {
        "roc_auc": reference.roc_auc_score(y, p, multi_class="ovr"),
        "accuracy": reference.accuracy_score(y, said),
        "balanced_accuracy": reference.balanced_accuracy_score(y, said),
        "macro_f1": reference.f1_score(y, said, average="macro"),
        "mcc": reference.matthews_corrcoef(y, said),
        "brier": reference.brier_score_loss(y, p, scale_by_half=False),
        "brier_skill": 1 - reference.brier_score_loss(y, p, scale_by_half=False) / 0.75,
        "brier_skill_own": 1
        - reference.brier_score_loss(y, p, scale_by_half=False)
        / (1 - ((np.bincount(y) / 300) ** 2).sum()),
    }
    found = values(measured)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    losses = -np.log(np.maximum(p[np.arange(300), y], 1e-15))
    assert found["log_loss"] == pytest.approx(losses.mean())
    assert set(found) == {*expected, "log_loss", "ece"}


def test_decisions_among_many_labels_can_be_given() -> None:
    p, y = np.full((6, 3), 1 / 3), np.array([0, 1, 2, 0, 1, 2])
    scores = Scores("model", "valid", ("a", "b", "c"), p, y, tuple("123456"))
    assert values(measure(scores, draws=5))["accuracy"] == pytest.approx(1 / 3)
    assert values(measure(scores, decisions=y, draws=5))["mcc"] == pytest.approx(1)


def test_hanley_and_mcneil_1982() -> None:
    """109 CT images in five ratings: an area of .893 (Radiology 143:29, Table II)."""
    ratings = np.arange(1, 6) / 6
    p = np.concatenate(
        [np.repeat(ratings, [33, 6, 6, 11, 2]), np.repeat(ratings, [3, 2, 2, 11, 33])]
    )
    y = np.repeat([0, 1], [58, 51])
    assert values(measure(binary_scores(p, y), draws=5))["roc_auc"] == pytest.approx(
        0.893, abs=5e-4
    )


def test_ece_by_hand() -> None:
    # Bins [.1, .2): .15, .15 with one event; [.9, 1]: .9, 1 with one event.
    p, y = np.array([0.15, 0.15, 0.9, 1.0]), np.array([0, 1, 1, 0])
    expected = 0.5 * abs(0.15 - 0.5) + 0.5 * abs(0.95 - 0.5)
    assert values(measure(binary_scores(p, y), draws=5))["ece"] == pytest.approx(expected)
    many = np.array([[0.6, 0.3, 0.1], [0.65, 0.3, 0.05], [0.1, 0.8, 0.1]])
    scores = Scores("model", "valid", ("a", "b", "c"), many, np.array([0, 2, 1]), ("1", "2", "3"))
    expected = (2 * abs(0.625 - 0.5) + abs(0.8 - 1)) / 3
    assert values(measure(scores, draws=5))["ece"] == pytest.approx(expected)


def test_calibration_of_two_scores_by_hand() -> None:
    """With two distinct scores the regression is saturated: it meets both frequencies."""
    p = np.repeat([0.2, 0.7], [10, 20])
    y = np.concatenate([np.repeat([0, 1], [7, 3]), np.repeat([0, 1], [8, 12])])
    found = values(measure(binary_scores(p, y), draws=5))

    def logit(q: float) -> float:
        return float(np.log(q / (1 - q)))

    slope = (logit(0.6) - logit(0.3)) / (logit(0.7) - logit(0.2))
    assert found["calibration_slope"] == pytest.approx(slope)
    a = found["calibration_intercept"]
    assert a is not None
    expected = 10 / (1 + np.exp(-a - logit(0.2))) + 20 / (1 + np.exp(-a - logit(0.7)))
    assert expected == pytest.approx(15)


@pytest.mark.parametrize("n", [200, 12_000])
def test_calibration_slope_is_logistic_regressions(n: int) -> None:
    p, y = invented(n, seed=1)
    z = np.log(p / (1 - p))
    fitted = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(z[:, None], y)
    found = values(measure(binary_scores(p, y), draws=5))
    assert found["calibration_slope"] == pytest.approx(fitted.coef_[0, 0], abs=1e-6)


def test_calibration_has_the_robust_wald_interval_of_its_fit() -> None:
    """By the normal equations, written out with the two-column design of the textbook."""
    p, y = invented(400, seed=2)
    found = measure(binary_scores(p, y), draws=5).figures
    z = np.log(p / (1 - p))
    fitted = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(z[:, None], y)
    design = np.column_stack([np.ones(400), z])
    for name, columns, chance in (
        ("calibration_slope", design, fitted.predict_proba(z[:, None])[:, 1]),
        (
            "calibration_intercept",
            design[:, :1],
            1 / (1 + np.exp(-z - found["calibration_intercept"].value)),
        ),
    ):
        bread = np.linalg.inv(columns.T @ (columns * (chance * (1 - chance))[:, None]))
        meat = columns.T @ (columns * ((y - chance) ** 2)[:, None])
        half = 1.96 * np.sqrt((bread @ meat @ bread)[-1, -1])
        one = found[name]
        assert (one.lower, one.upper) == pytest.approx(
            (one.value - half, one.value + half), abs=1e-4
        )


def test_calibration_of_extreme_scores_is_found_from_afar() -> None:
    y = np.tile([0, 1], 20)
    p = np.where(np.arange(40) < 20, 1e-150, 1e-140)
    found = measure(binary_scores(p, y), draws=5).figures["calibration_intercept"]
    assert found.value == pytest.approx(-np.log(1e-145), rel=0.05)


def test_skill_against_the_base_rate() -> None:
    p, y = invented(300)
    base = np.tile([1 - y.mean(), y.mean()], (300, 1))
    found = values(measure(binary_scores(p, y), reference=base, draws=5))
    errors = reference.brier_score_loss(y, p), y.mean() * (1 - y.mean())
    assert found["brier_skill"] == pytest.approx(1 - errors[0] / errors[1])
    assert found["brier_skill_own"] == pytest.approx(found["brier_skill"])
    far = values(measure(binary_scores(p, y), reference=np.tile([0.9, 0.1], (300, 1)), draws=5))
    assert far["brier_skill"] > far["brier_skill_own"] == found["brier_skill_own"]
    itself = measure(binary_scores(base[:, 1], y), reference=base, draws=50).figures["brier_skill"]
    assert (itself.value, itself.lower, itself.upper) == (0, 0, 0)
    truth = np.eye(2)[y]
    assert values(measure(binary_scores(p, y), reference=truth, draws=5))["brier_skill"] is None
    assert values(measure(binary_scores(p, y), draws=5))["brier_skill"] is None


def test_constant_scores() -> None:
    y = np.repeat([0, 1], [30, 70])
    measured = measure(binary_scores(np.full(100, 0.6), y), draws=50)
    found = values(measured)
    assert found["roc_auc"] == 0.5
    assert found["average_precision"] == pytest.approx(0.7)
    assert found["lift"] == pytest.approx(1)
    assert found["calibration_slope"] is None
    assert found["calibration_intercept"] == pytest.approx(np.log(0.7 / 0.3) - np.log(0.6 / 0.4))
    assert measured.figures["calibration_slope"].lower is None
    assert (measured.figures["roc_auc"].lower, measured.figures["roc_auc"].upper) == (0.5, 0.5)


def test_scores_that_differ_by_rounding_are_constant() -> None:
    p = np.where(np.arange(100) % 3 == 0, 0.6, np.nextafter(0.6, 1))
    found = values(measure(binary_scores(p, np.repeat([0, 1], 50)), draws=50))
    assert found["calibration_slope"] is None
    assert found["calibration_intercept"] == pytest.approx(-np.log(0.6 / 0.4))


def test_always_success() -> None:
    y = np.repeat([0, 1], [3, 7])
    found = values(measure(binary_scores(np.ones(10), y), draws=5))
    assert found["log_loss"] == pytest.approx(-0.3 * np.log(1e-15))
    assert found["brier"] == pytest.approx(0.3)
    assert found["f1"] == pytest.approx(2 * 7 / 17)
    assert (found["precision"], found["recall"], found["specificity"]) == (0.7, 1, 0)
    assert (found["mcc"], found["balanced_accuracy"]) == (0, 0.5)
    assert found["calibration_slope"] is None
    assert found["calibration_intercept"] is None


def test_nothing_decided_for() -> None:
    found = values(measure(binary_scores(np.full(10, 0.2), np.repeat([0, 1], 5)), draws=5))
    assert (found["precision"], found["recall"], found["f1"], found["mcc"]) == (0, 0, 0, 0)
    assert found["ap_decisions"] == 0.5


def test_separated_scores_have_no_slope() -> None:
    y = np.repeat([0, 1], 20)
    found = values(measure(binary_scores(np.linspace(0.1, 0.9, 40), y), draws=5))
    assert found["calibration_slope"] is None
    assert found["calibration_intercept"] is not None
    assert found["roc_auc"] == found["average_precision"] == 1


def test_one_score_of_exactly_one_has_infinite_log_odds() -> None:
    p, y = invented(50)
    p[7] = 1.0
    found = values(measure(binary_scores(p, y), draws=5))
    assert found["calibration_slope"] is found["calibration_intercept"] is None


def test_a_label_without_a_row_is_not_measured_against() -> None:
    p = np.array([[0.4, 0.6], [0.3, 0.7]])
    found, _ = measure_probabilities(p, np.array([1, 1]), draws=5)
    assert found["roc_auc"].value is None
    assert found["log_loss"].value == pytest.approx(-np.log([0.6, 0.7]).mean())


def test_measured_says_on_what() -> None:
    p, y = invented(50)
    measured = measure(binary_scores(p, y, forecaster="m", split="test"), draws=7)
    assert (measured.forecaster, measured.split, measured.n) == ("m", "test", 50)
    assert measured.counts == {"failure": int((y == 0).sum()), "success": int((y == 1).sum())}
    assert {len(drawn) for drawn in measured.draws.values()} == {7}
    assert list(measured.figures) == [m for m in METRICS if m in measured.figures]
    assert set(METRICS) - set(measured.figures) == {"macro_f1", "crps", "mae", "coverage_80"}
    assert all(figure.n == 50 for figure in measured.figures.values())
    assert measure(binary_scores(p, y), draws=7, keep_draws=False).draws == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"decisions": np.array([0, 1])}, "decisions are not label indices of its 4 rows"),
        ({"decisions": np.full(4, 0.5)}, "decisions are not label indices of its 4 rows"),
        ({"decisions": np.array([0, 1, 2, 0])}, "a decision is none of the task's labels"),
        ({"reference": np.full(4, 0.5)}, "the reference is not a table of probabilities of 4 rows"),
        ({"reference": np.full((4, 2), 2.0)}, "the reference is not a table of probabilities"),
    ],
)
def test_what_does_not_fit_the_rows_is_refused(given: dict[str, Any], said: str) -> None:
    scores = binary_scores(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 0, 1]))
    with pytest.raises(ScoreError, match=said):
        measure(scores, **given)


rows = st.lists(st.tuples(st.integers(1, 99), st.integers(0, 1)), min_size=4, max_size=60).filter(
    lambda rows: 0 < sum(y for _, y in rows) < len(rows)
)


def _split(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.array(rows, dtype=float).T
    return p / 100, y.astype(int)


@given(rows)
@examples(60)
def test_any_increasing_change_keeps_the_ranking(rows: list[tuple[int, int]]) -> None:
    p, y = _split(rows)
    first = measure(binary_scores(p, y), draws=20)
    second = measure(binary_scores(p**3 / 2 + 0.1, y), draws=20)
    for name in ("roc_auc", "average_precision", "lift"):
        assert first.figures[name] == second.figures[name]
        assert np.array_equal(first.draws[name], second.draws[name], equal_nan=True)


@given(rows)
@examples(60)
def test_swapping_the_labels_mirrors_the_metrics(rows: list[tuple[int, int]]) -> None:
    p, y = _split(rows)
    said = (p > 0.4).astype(int)
    first = values(measure(binary_scores(p, y), decisions=said, draws=5))
    second = values(measure(binary_scores(1 - p, 1 - y), decisions=1 - said, draws=5))
    same = ("roc_auc", "accuracy", "balanced_accuracy", "mcc", "log_loss", "brier")
    for name in same:
        assert second[name] == pytest.approx(first[name], abs=1e-9)
    assert second["recall"] == first["specificity"]
    if first["calibration_slope"] is not None:
        assert second["calibration_slope"] == pytest.approx(first["calibration_slope"], rel=1e-5)
        assert second["calibration_intercept"] == pytest.approx(
            -(first["calibration_intercept"] or 0), abs=1e-6
        )


@given(rows, st.randoms(use_true_random=False))
@examples(40)
def test_the_order_of_rows_is_no_matter(rows: list[tuple[int, int]], random: Any) -> None:
    p, y = _split(rows)
    order = np.array(random.sample(range(len(p)), len(p)))
    first = values(measure(binary_scores(p, y), draws=5))
    second = values(measure(binary_scores(p[order], y[order]), draws=5))
    for name, value in first.items():
        assert second[name] == (value if value is None else pytest.approx(value, abs=1e-9))


@given(rows)
@examples(60)
def test_metrics_stay_within_their_bounds(rows: list[tuple[int, int]]) -> None:
    p, y = _split(rows)
    measured = measure(binary_scores(p, y), draws=20)
    signed = {"mcc", "mcc_at_half"}
    unbounded = {"log_loss", "lift", "brier_skill", "brier_skill_own"}
    without_an_event = {"average_precision"}  # has no value in a draw without one
    for name, drawn in measured.draws.items():
        if name not in signed | unbounded:
            inside = (drawn >= 0) & (drawn <= 1 + 1e-12)
            assert (inside | (np.isnan(drawn) & (name in without_an_event))).all(), name
    assert (np.abs(measured.draws["mcc"]) <= 1 + 1e-12).all()
