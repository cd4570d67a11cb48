"""How many candidates each rung has, for how many steps, and who goes on."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from llm4top.training.selection.candidates import best_of, make_rungs, rung_steps, whole_steps


@pytest.mark.parametrize(
    ("candidates", "eta", "counts"),
    [(1, 3, [1]), (2, 3, [2, 1]), (4, 3, [4, 2, 1]), (9, 3, [9, 3, 1]), (5, 2, [5, 3, 2, 1])],
)
def test_each_rung_keeps_one_in_eta_until_one_is_left(candidates, eta, counts):
    rungs = make_rungs(candidates, eta)
    assert [rung.candidates for rung in rungs] == counts
    assert [rung.keep for rung in rungs] == [*counts[1:], 1]
    assert rungs[-1].share == 1
    for before, after in pairwise(rungs):
        assert after.share == pytest.approx(eta * before.share)


def test_probes_meet_the_others_in_the_last_rung(settings):
    rungs = make_rungs(4, 3, probes=2)
    assert [(rung.candidates, rung.keep) for rung in rungs] == [(4, 2), (2, 1), (3, 1)]
    assert [(rung.candidates, rung.share) for rung in make_rungs(0, 3, probes=2)] == [(2, 1)]
    assert whole_steps(settings(tuning="probe"), 48) == 0


def test_steps():
    assert [rung_steps(900, share, 20) for share in (1 / 9, 1 / 3, 1)] == [100, 300, 900]
    assert rung_steps(90, 1 / 9, 20) == 20
    assert rung_steps(9, 1 / 9, 20) == 9


def test_whole_steps_are_those_a_run_takes(settings):
    # 48 rows in batches of 8: 6 steps an epoch; tests/training/test_run.py sees such runs.
    assert whole_steps(settings(epochs=2, batch_size=8), 48) == 12
    assert whole_steps(settings(epochs=1.5, batch_size=5, accumulation=2), 48) == 8
    assert whole_steps(settings(epochs=2, batch_size=8, max_steps=5), 48) == 5


def test_the_least_log_losses_go_on_and_failures_never():
    losses = {"a": 0.7, "b": 0.5, "c": math.inf, "d": 0.6}
    assert best_of(losses, 2) == (["b", "d"], ["a", "c"])
    assert best_of(losses, 4) == (["b", "d", "a"], ["c"])
    assert best_of({"a": 0.5, "b": 0.5}, 1) == (["a"], ["b"])
    assert best_of({"a": math.inf}, 1) == ([], ["a"])
