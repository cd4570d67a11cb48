import numpy as np
import pytest

from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.calibration.calibrated import Calibrated
from llm4top.forecasters.support_fit import Judged
from llm4top.forecasters.support_slices import coverage_table
from tests.forecasters.test_support_fit import N, learnt, world


def later(drift=0.0, seed=1):
    """Full copies and copies without criteria, whose forecasts are known to hold a signal."""
    rows, logits, copies, _, starts = world(0.5, seed=seed, drift=drift)
    rates = measure_base_rates(2, rows.phases, rows.labels.tolist())
    chances = {name: 1 / (1 + np.exp(-values[:, 1])) for name, values in logits.items()}
    forecasts = {
        name: Calibrated(np.column_stack([1 - c, c]), c * 0.97, 1 - (1 - c) * 0.97)
        for name, c in chances.items()
    }
    return Judged.of(rows, copies, forecasts, rates, starts)


def cells(table):
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_each_kind_of_copy_has_its_figures():
    table = coverage_table(learnt(0.5), [later(seed=1), later(seed=2)])
    found = cells(table)
    assert list(found) == ["full", "no criteria"]
    assert {row["n"] for row in found.values()} == {str(2 * N)}
    full, thin = found["full"], found["no criteria"]
    assert float(full["Brier"]) < float(thin["Brier"]) < float(thin["of the base rate"])
    assert int(thin["width"]) > int(full["width"])
    # 2 cuts, 2 phases of about 300 trials, 3 groups each
    assert int(full["groups"]) == 12


def test_the_intervals_of_a_cut_are_not_learnt_from_its_own_outcomes():
    stage, quiet = learnt(0.5), later(seed=1)
    drifted = later(seed=2, drift=3.0)
    calm = cells(coverage_table(stage, [quiet, later(seed=3)]))["full"]
    shifted = cells(coverage_table(stage, [quiet, drifted]))["full"]
    # The drift widens the other cut's intervals, and its own cut stays uncovered in part.
    covered = [int(found["covered"].strip("<>%\xa0 ")) for found in (calm, shifted)]
    assert covered[0] >= 90
    assert covered[1] <= 75
    assert int(shifted["width"]) > int(calm["width"])


def test_copies_of_one_pattern_are_chosen_whole():
    both = later()
    one = both.of_pattern("no criteria")
    assert len(one.trials) == len(one.labels) == len(one.starts) == N
    assert set(one.patterns) == {"no criteria"}
    assert all(trial.criteria is None for trial in one.trials)
    assert (one.calibrated.lower == both.calibrated.lower[N:]).all()


def test_leaving_one_cut_out_needs_two():
    with pytest.raises(ValueError, match="two or more"):
        coverage_table(learnt(0.5), [later()])
