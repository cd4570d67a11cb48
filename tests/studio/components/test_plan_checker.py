"""Checks and measurements of a training: one process at a time, ended by what comes after it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from llm4top.errors import JobError
from llm4top.studio.components import plan_checker
from llm4top.studio.components.plan_checker import PlanChecker
from llm4top.training.config import TrainingConfig, make_config
from llm4top.workspace.jobs.train_plan import PlanCheck

FOUND = PlanCheck("time", True, "About 3 min.")
ANSWERS = f"import sys; sys.stdin.read(); print({json.dumps([asdict(FOUND)])!r})"
WAITS = "import sys, time; sys.stdin.read(); sys.argv[1] == 'measure' and time.sleep(60);" + ANSWERS


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    return make_config(overrides={"data": tmp_path, "base": "tiny", "out": tmp_path / "run"})


def test_a_check_ends_the_measurement_before_it(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_checker, "_COMMAND", WAITS)

    async def change_meanwhile() -> None:
        checker, other = PlanChecker(), PlanChecker()
        measuring = asyncio.create_task(checker.measure(config))
        waiting = asyncio.create_task(other.measure(config))
        await asyncio.sleep(0.2)
        assert other._process is None, "another visitor's measurement waits for this one"
        assert await checker.check(config) == [FOUND]
        with pytest.raises(JobError, match="the measurement did not finish: the process ended"):
            await measuring
        other.end()
        with pytest.raises(JobError, match=r"called off|did not finish"):
            await waiting

    asyncio.run(change_meanwhile())


def test_what_is_measured_is_what_the_process_says(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_checker, "_COMMAND", ANSWERS)
    assert asyncio.run(PlanChecker().measure(config)) == [FOUND]
