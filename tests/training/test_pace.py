"""The estimate of a training's time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4top.data.dataset import load_dataset
from llm4top.training import pace as pace_module
from llm4top.training.config import make_config
from llm4top.training.pace import Pace, measured_pace
from tests.workspace.tiny import quick_training, save_tiny_dataset


def test_the_estimate_comes_with_its_range_and_what_it_rests_on() -> None:
    pace = Pace((1000.0, 500.0), tokens=540_000.0, steps=40, trainings=1, memory=2_700_000_000)
    assert pace.seconds == pytest.approx((891, 540, 1188))
    assert pace.time_in_words == (
        "about 15\u00a0min (9\u00a0min to 20\u00a0min, by the fastest and the slowest of 2 "
        "measured steps) for at most 40 steps and their evaluations: 667 tokens a second."
    )
    assert pace.memory_in_words == (
        "2.7 GB at the peak of these steps, the program and its libraries included."
    )


def test_folds_and_the_final_fit_take_their_time_too() -> None:
    pace = Pace((1000.0,), tokens=1000.0, steps=2, trainings=7, memory=0)
    assert pace.seconds[1] == 7
    assert "for 7 trainings of at most 2 steps" in pace.time_in_words


@pytest.mark.slow
def test_a_few_steps_are_measured_and_nothing_is_left(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny_dataset(tmp_path / "data")
    config = make_config(
        overrides={**quick_training(tiny_model, folder), "out": tmp_path / "run", "epochs": 3}
    )
    data = load_dataset(folder)
    whole = measured_pace(config, data)
    assert len(whole.rates) == 4
    assert whole.steps == 18
    assert whole.tokens / (18 * 8) == pytest.approx(126, abs=3)
    least, most = whole.seconds[1:]
    assert 0 < least <= whole.seconds[0] <= most
    assert whole.memory > 10_000_000
    monkeypatch.setattr(pace_module, "_SECONDS", 0.0)
    assert len(measured_pace(config, data).rates) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
