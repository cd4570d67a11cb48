"""CRPS, median error and coverage of binned quantities."""

import numpy as np
import pytest

from llm4top.evaluation.metrics.metrics import METRICS, measure
from llm4top.evaluation.metrics.ordinal import ordinal_losses
from llm4top.evaluation.predictions import Scores
from llm4top.forecasters.distribution import Bins
from llm4top.tasks.builtin import DURATION

BINS = Bins.of(DURATION)


def test_the_crps_is_the_integral_of_the_squared_difference():
    rng = np.random.default_rng(0)
    p, values = rng.dirichlet(np.ones(10), size=6), rng.uniform(0, 120, size=6)
    grid = np.linspace(0, 120, 240_001)
    nodes = np.array([0.0, *DURATION.bin_edges])
    found = ordinal_losses(p, np.zeros(6, dtype=np.int64), BINS, values)["crps"]
    for row, value, crps in zip(p, values, found, strict=True):
        reached = np.interp(grid, nodes, np.concatenate([[0], np.cumsum(row)[:-1]]))
        by_hand = np.trapezoid((reached - (grid >= value)) ** 2, grid)
        assert crps == pytest.approx(by_hand, abs=2e-3)


def test_values_beyond_the_last_edge_count_as_it():
    sure = np.eye(10)[[9, 9]]
    found = ordinal_losses(sure, np.array([9, 9]), BINS, [121.0, 400.0])
    assert found["crps"].tolist() == found["mae"].tolist() == [0.0, 0.0]
    assert found["coverage_80"].tolist() == [1.0, 1.0]


def test_a_forecast_of_the_truth_covers_80_percent_and_scores_best():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(10, 2.0))
    y = rng.choice(10, size=4000, p=p)
    nodes = np.array([0.0, *DURATION.bin_edges, 120.0])
    values = rng.uniform(nodes[y], nodes[y + 1])
    right = ordinal_losses(np.tile(p, (4000, 1)), y, BINS, values)
    wrong = ordinal_losses(np.tile(p[::-1], (4000, 1)), y, BINS, values)
    assert right["coverage_80"].mean() == pytest.approx(0.8, abs=0.03)
    assert right["crps"].mean() < wrong["crps"].mean()


def test_ordinal_tasks_have_the_metrics_with_intervals():
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(10), size=200)
    y = np.arange(200) % 10
    ids = tuple(f"NCT{i:08}" for i in range(200))
    scores = Scores("a", "valid", DURATION.labels, p, y, ids, BINS)
    figures = measure(scores, draws=100).figures
    assert list(figures) == [name for name in METRICS if name in figures]
    for name in ("crps", "mae", "coverage_80"):
        one = figures[name]
        assert one.lower < one.value < one.upper
    plain = Scores("a", "valid", DURATION.labels, p, y, ids)
    assert "crps" not in measure(plain, draws=100).figures
