"""Evaluations during a training look at few enough validation trials to stay cheap."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.training import run
from llm4top.training.config import TrainingConfig, make_config
from llm4top.training.memory import evaluation_count, evaluation_rows, evaluation_size

NEEDED = {"data": "d", "base": "b", "out": "o"}


def config(**chosen: Any) -> TrainingConfig:
    return make_config(None, {**NEEDED, **chosen})


def test_evaluations_are_counted_as_the_trainer_makes_them() -> None:
    # 1 797 trials are 113 steps of 16: one evaluation every 56 steps, and one at the end.
    assert evaluation_count(config(epochs=3), 1797) == 7
    assert evaluation_count(config(max_steps=6), 1797) == 1
    assert evaluation_count(config(max_steps=112), 1797) == 2
    assert evaluation_count(config(epochs=1, evals_per_epoch=1000), 160) == 10


@pytest.mark.parametrize("preset", ["quick", "standard", "thorough"])
@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("train", [1797, 12_000])
def test_all_evaluations_take_at_most_a_tenth(preset: str, tuning: str, train: int) -> None:
    made = config(preset=preset, tuning=tuning)
    looked = evaluation_count(made, train) * evaluation_size(made, train, 100_000)
    # One forward pass a look; at least two more for a trial that is learnt from.
    learnt = train * made.epochs * (3 if tuning == "full" else 2)
    assert looked <= 0.1 * learnt * 1.01
    assert looked >= 0.09 * learnt


def test_the_setting_overrides_the_budget() -> None:
    assert evaluation_size(config(eval_trials="all"), 1000, 901) == 901
    assert evaluation_size(config(eval_trials=250), 1000, 901) == 250
    assert evaluation_size(config(eval_trials=5000), 1000, 901) == 901
    assert evaluation_size(config(max_steps=1), 1000, 901) == 32
    assert evaluation_size(config(max_steps=1), 1000, 20) == 20


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=300),
    st.integers(1, 320),
    st.integers(0, 2**32 - 1),
)
def test_rows_are_distinct_in_order_and_keep_the_labels_shares(
    labels: list[int], size: int, seed: int
) -> None:
    rows = evaluation_rows(labels, size, seed)
    assert rows == sorted(set(rows))
    assert len(rows) == min(size, len(labels))
    assert rows == evaluation_rows(labels, size, seed)
    kinds = Counter(labels)
    if size >= len(kinds):
        taken = Counter(labels[row] for row in rows)
        assert set(taken) == set(kinds)
        for label, n in kinds.items():
            assert abs(taken[label] - n * len(rows) / len(labels)) <= len(kinds)


def test_another_seed_looks_at_other_rows() -> None:
    labels = [random.Random(0).randint(0, 1) for _ in range(500)]
    assert evaluation_rows(labels, 50, 0) != evaluation_rows(labels, 50, 1)


def test_a_run_evaluates_on_those_rows_alone(
    settings: Callable[..., TrainingConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    def stop(*_: Any, **given: Any) -> None:
        seen.update(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "finetune", stop)
    with pytest.raises(KeyboardInterrupt):
        run.train(settings(eval_trials=34, out=tmp_path / "a"))
    assert len(seen["eval_prompts"]) == len(seen["eval_targets"]) == 34
    assert set(seen["eval_targets"]) == {0, 1}
