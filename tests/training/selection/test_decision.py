"""When a blend is taken, which forecaster is chosen, and the sentences that say why."""

from __future__ import annotations

import numpy as np
import pytest

from llm4top.data.dataset import make_dataset
from llm4top.errors import TooFewRowsError
from llm4top.evaluation.reports.report import Figure
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.registry.trial import Trial
from llm4top.training.selection.baselines import BASE_RATE, BaselineModel
from llm4top.training.selection.decision import Finalists, assess_blend, decide
from llm4top.training.selection.selection_file import (
    SelectionScorer,
    StackOutcome,
    is_gain,
    row_losses,
)

N = 900
NOT_TRIED = StackOutcome(taken=False, reason="No blend was tried (--no-stack).")


def odds(values):
    return np.stack([np.zeros(len(values)), values], axis=1)


def world(seed=0):
    """Two parts of the truth, and what came true: ``[2, n]`` and ``[n]``."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(0, 1.2, (2, N))
    return parts, (rng.random(N) < 1 / (1 + np.exp(-parts.sum(axis=0)))).astype(np.int64)


def finalists(language, baseline, y):
    scorer = SelectionScorer(y, draws=300)
    rate = np.tile([1 - y.mean(), y.mean()], (len(y), 1))
    p = softmax(odds(baseline))
    baseline = BaselineModel("tfidf", p, scorer.losses({"b": odds(baseline)}))
    base_rate = BaselineModel(BASE_RATE, rate, scorer.losses({"r": np.log(rate)}))
    losses = scorer.losses({"language": odds(language)})
    return Finalists("tiny", odds(language), losses, baseline, base_rate, scorer)


def valid(y, years=None):
    """Validation rows with a start date each: by position, unless the years are given."""
    years = [1980 + i // 20 for i in range(len(y))] if years is None else years
    return make_dataset(
        [Trial(phase="Phase 2", conditions=(f"condition {i}",)) for i in range(len(y))],
        ["success" if event else "failure" for event in y],
        [f"NCT{i:08d}" for i in range(len(y))],
        ["valid"] * len(y),
        task="outcome",
        start_dates=[f"{year}-01-01" for year in years],
    )


def test_two_that_know_different_things_are_stacked():
    parts, y = world()
    both = finalists(parts[0], parts[1], y)
    stack, pool, losses = assess_blend(both, valid(y))
    assert stack.taken
    assert is_gain(stack.gain)
    assert stack.newest.n == pytest.approx(0.3 * N, abs=20)
    assert stack.newest.value < 0
    assert min(pool.weights) > 0.5
    assert stack.weights == dict(zip(pool.sources, pool.weights, strict=True))
    assert stack.reason.startswith("The blend is taken: its log-loss is lower than that of ")
    assert "fitted on the older validation trials, it is lower on the newest" in stack.reason
    decision = decide(both, stack, losses, "In time.")
    assert (decision.kind, decision.name) == ("stack", "tiny + TF-IDF + logistic regression")
    assert decision.why[0].startswith("Chosen: tiny + TF-IDF + logistic regression (the language")
    assert decision.why[2] == "In time."
    assert "beats the base rate by phase by" in decision.why[4]


def test_a_copy_is_not_stacked():
    parts, y = world()
    stack, _, losses = assess_blend(finalists(parts[0], parts[0], y), valid(y))
    assert not stack.taken
    assert "the difference could be chance" in stack.reason or "higher than that of" in stack.reason
    assert decide(finalists(parts[0], parts[0], y), stack, losses, "").kind != "stack"


def test_a_gain_that_does_not_hold_in_time_is_none():
    # The language model knows something of the older trials, and misleads about the newest.
    parts, y = world()
    language = parts[0].copy()
    newest = np.arange(N) >= int(0.7 * N)
    language[newest] *= -0.6
    stack, _, _ = assess_blend(finalists(language, parts[1], y), valid(y))
    assert is_gain(stack.gain)
    assert stack.newest.value > 0
    assert not stack.taken
    assert "but fitted on the older validation trials it is worse on the newest" in stack.reason


def test_trials_that_cannot_be_ordered_are_not_checked_in_time():
    parts, y = world()
    stack, _, _ = assess_blend(finalists(parts[0], parts[1], y), valid(y, [2000] * N))
    assert stack.taken
    assert stack.newest is None
    assert "It was not checked in time (" in stack.reason


@pytest.mark.parametrize(("language", "kind"), [(1.0, "language"), (0.1, "baseline")])
def test_without_a_stack_the_lower_log_loss_is_chosen(language, kind):
    parts, y = world()
    noise = np.random.default_rng(5).normal(size=N)
    both = finalists(parts.sum(axis=0) * language + noise * (1 - language), parts[1], y)
    decision = decide(both, NOT_TRIED, None, "")
    assert decision.kind == kind
    first, second = ("tiny", "TF-IDF") if kind == "language" else ("TF-IDF", "tiny")
    assert decision.why[1].startswith(first)
    assert f"has a lower log-loss than {second}" in decision.why[1]
    assert "could be chance" not in decision.why[1]
    assert decision.why[3] == "No blend was tried (--no-stack)."


def test_a_tie_is_told():
    parts, y = world()
    noise = np.random.default_rng(5).normal(0, 0.05, N)
    decision = decide(finalists(parts[0] + noise, parts[0], y), NOT_TRIED, None, "")
    assert "The difference could be chance: use the one that costs less to run." in decision.why[1]


def test_what_does_not_beat_the_base_rate_is_told():
    _, y = world()
    rng = np.random.default_rng(9)
    both = finalists(rng.normal(size=N), rng.normal(size=N), y)
    decision = decide(both, NOT_TRIED, None, "")
    assert (
        "does not clearly beat the base rate by phase: its log-loss minus the base rate's is "
        in decision.why[4]
    )
    assert decision.why[4].endswith("Do not rely on it.")


def test_the_judge_scales_everyone_alike():
    parts, y = world()
    scorer = SelectionScorer(y, draws=200)
    plain = scorer.losses({"a": odds(parts[0])})
    loud = scorer.losses({"a": odds(9 * parts[0] + 3)})
    assert loud == pytest.approx(plain, abs=0.02)
    same = scorer.mean(plain - loud)
    assert abs(same.value) < 1e-3
    figure = scorer.mean(plain)
    assert figure.lower < figure.value < figure.upper
    assert figure.n == N


def test_losses_and_gains():
    p = np.array([[0.2, 0.8], [1.0, 0.0]])
    assert row_losses(p, np.array([1, 1])) == pytest.approx([-np.log(0.8), -np.log(1e-15)])
    assert is_gain(Figure(value=-1.0, lower=-2.0, upper=-0.1, n=5))
    assert not is_gain(Figure(value=-1.0, lower=-2.0, upper=0.0, n=5))
    assert not is_gain(Figure(value=-1.0, lower=None, upper=None, n=5))


def test_too_few_rows_to_choose_by():
    y = [0, 1] * 10
    with pytest.raises(
        TooFewRowsError, match="20 rows, 10 of the rarest label: 25 and 7 are the least"
    ):
        SelectionScorer.of(valid(y), draws=100, split="valid")
    assert len(SelectionScorer.of(valid([0, 1] * 13), draws=100, split="valid").y) == 26
