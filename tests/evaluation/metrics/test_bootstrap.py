"""Draws: stratified, repeatable, paired, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from llm4top.evaluation.metrics.bootstrap import bootstrap, draw_counts, grouped, interval, whole
from llm4top.evaluation.metrics.metrics import measure
from llm4top.evaluation.metrics.statistic import BinaryStatistic
from tests.evaluation.kit import binary_scores, invented


def test_a_draw_keeps_each_labels_rows() -> None:
    sizes = np.array([30, 1, 12])
    counts = draw_counts(sizes, 0, 50, 3)
    assert counts.shape == (50, 43)
    for low, high in ((0, 30), (30, 31), (31, 43)):
        assert (counts[:, low:high].sum(axis=1) == high - low).all()
    # Each row is drawn once in the mean: 50 draws of 30 rows, standard error sqrt(1 / 50).
    assert np.abs(counts[:, :30].mean(axis=0) - 1).max() < 0.6


def test_a_draw_without_strata_takes_any_rows_and_may_lack_a_label() -> None:
    y = np.array([0] * 9 + [1])
    seen = bootstrap(
        lambda counts: {"events": counts[:, 9].astype(float), "rows": counts.sum(axis=1)},
        y,
        draws=2000,
    )
    assert (seen["rows"] == 10).all()
    # None with chance .9 to the tenth.
    assert (seen["events"] == 0).mean() == pytest.approx(0.9**10, abs=0.04)
    kept = bootstrap(lambda counts: {"events": counts[:, 9]}, y, draws=50, stratified=True)
    assert (kept["events"] == 1).all()


def test_a_draw_depends_on_its_number_and_the_seed_alone() -> None:
    sizes = np.array([7, 9])
    every = draw_counts(sizes, 0, 20, 5)
    assert np.array_equal(every[4:9], draw_counts(sizes, 4, 9, 5))
    assert not np.array_equal(every, draw_counts(sizes, 0, 20, 6))


@pytest.mark.parametrize("n", [500, 5000])
def test_the_number_of_threads_changes_no_bit(n: int) -> None:
    p, y = invented(n)
    statistic = BinaryStatistic(np.column_stack([1 - p, p]), y)
    one, three = (bootstrap(statistic.ordinary, y, draws=200, seed=1, threads=t) for t in (1, 3))
    for name, drawn in one.items():
        assert np.array_equal(drawn, three[name], equal_nan=True)


def test_the_same_seed_gives_the_same_bits() -> None:
    p, y = invented(3000)
    first, second = (measure(binary_scores(p, y), seed=9) for _ in range(2))
    assert first.figures == second.figures
    assert all(np.array_equal(v, second.draws[k], equal_nan=True) for k, v in first.draws.items())
    assert first.figures != measure(binary_scores(p, y), seed=10).figures


def test_forecasters_on_the_same_rows_are_paired() -> None:
    p, y = invented(400)
    first, second = measure(binary_scores(p, y)), measure(binary_scores(p * 0.9, y))
    assert np.array_equal(first.draws["roc_auc"], second.draws["roc_auc"])
    gap = (first.draws["brier"] - second.draws["brier"]).std()
    assert gap < first.draws["brier"].std() / 2


def test_intervals_are_the_textbooks() -> None:
    """The accuracy of draws is binomial: its spread is known."""
    y = np.repeat([0, 1], 400)
    p = np.where(np.arange(800) % 4 == 0, 1 - y, y) * 0.8 + 0.1  # three in four are right
    figure = measure(binary_scores(p, y)).figures["accuracy"]
    half_width = 1.96 * np.sqrt(0.75 * 0.25 / 800)
    assert figure.value == 0.75
    assert figure.lower == pytest.approx(0.75 - half_width, abs=0.004)
    assert figure.upper == pytest.approx(0.75 + half_width, abs=0.004)


def test_what_depends_on_the_prevalence_has_its_uncertainty_too() -> None:
    # "Always success" is right as often as there is success: binomial, and known.
    y = np.repeat([0, 1], [398, 503])
    found = measure(binary_scores(np.ones(901), y)).figures
    share, half = 503 / 901, 1.96 * np.sqrt(503 * 398 / 901**3)
    assert found["brier"].value == pytest.approx(1 - share)
    assert found["brier"].lower == pytest.approx(1 - share - half, abs=0.004)
    assert found["brier"].upper == pytest.approx(1 - share + half, abs=0.004)
    assert found["accuracy"].upper - found["accuracy"].lower == pytest.approx(2 * half, abs=0.006)
    assert found["f1"].lower < found["f1"].value < found["f1"].upper
    assert (found["roc_auc"].lower, found["roc_auc"].upper) == (0.5, 0.5)


def test_the_calibration_intercept_has_the_spread_that_theory_gives() -> None:
    p, y = invented(400)
    figure = measure(binary_scores(p, y)).figures["calibration_intercept"]
    half = 1.96 / np.sqrt((p * (1 - p)).sum())
    assert figure.lower is not None
    assert figure.upper is not None
    assert figure.upper - figure.lower == pytest.approx(2 * half, rel=0.2)


@pytest.mark.parametrize("rare", [1, 3])
def test_rows_of_one_label_alone_are_a_draw_like_any_other(rare: int) -> None:
    p, _ = invented(30)
    y = np.repeat([0, 1], [30 - rare, rare])
    found = measure(binary_scores(p, y), draws=300).figures
    for name in ("brier", "log_loss", "accuracy", "ece", "f1", "roc_auc"):
        assert found[name].lower is not None
        assert found[name].lower <= found[name].upper
    # Most draws have a row of the rarer label, and those alone have these.
    for name in ("average_precision", "lift", "calibration_intercept"):
        assert found[name].value is not None
        assert found[name].lower is not None


def test_draws_without_a_value_are_left_out() -> None:
    values = np.append(np.arange(1.0, 101.0), [np.nan, np.inf])
    assert interval(values) == pytest.approx((3.475, 97.525))
    for few in (np.full(3, np.nan), np.array([1.0, np.nan, np.nan])):
        assert np.isnan(interval(few)).all()


def test_the_whole_sample_counts_every_row_once() -> None:
    assert whole(lambda counts: {"rows": counts.sum(axis=1)}, 12) == {"rows": 12}
    assert grouped(np.array([1, 0, 1, 0])).tolist() == [1, 3, 0, 2]


def test_memory_does_not_grow_with_the_draws() -> None:
    p, y = invented(50_000)
    statistic = BinaryStatistic(np.column_stack([1 - p, p]), y)
    peaks = []
    for draws in (4, 40):
        tracemalloc.start()
        bootstrap(statistic.ordinary, y, draws=draws, threads=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3
    assert peaks[1] < 40 * 8 * 50_000 / 2
