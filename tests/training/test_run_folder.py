"""A run's folder: lock, state, events and identity."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from llm4top.errors import ResumeError, TrainingError
from llm4top.training.run_folder import RunFolder


def test_two_runs_cannot_write_one_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert not run.is_alive()
    with run.locked():
        assert run.is_alive()
        message = f"another run \\(process {os.getpid()}\\) is writing here"
        with pytest.raises(TrainingError, match=message), RunFolder(run.path).locked():
            pass
    assert not run.is_alive()
    with run.locked():
        pass


def _die_holding(path: Path) -> None:
    with RunFolder(path).locked():
        os.kill(os.getpid(), 9)


def test_a_killed_process_lets_go_of_the_folder(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_holding, args=(tmp_path,))
    process.start()
    process.join(120)
    assert process.exitcode == -9
    with RunFolder(tmp_path).locked():
        pass


def test_state_is_replaced_as_a_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.state() == {}
    run.set_state("running", step=1)
    run.set_state("done")
    assert run.state()["state"] == "done"
    assert "step" not in run.state()
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_events_are_appended_and_a_broken_line_is_skipped(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.events() == []
    run.add_event("log", loss=0.5)
    with run.events_file.open("a") as file:
        file.write('{"event": "lo')
    run.add_event("log", loss=0.25)
    assert [event["loss"] for event in run.events()] == [0.5, 0.25]


def test_a_resumed_run_must_be_the_same_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.settle_identity({"data": "a" * 64, "seed": 0, "sections": ("phase",)}, resume=False)
    run.settle_identity({"data": "a" * 64, "seed": 0, "sections": ("phase",)}, resume=True)
    with pytest.raises(ResumeError) as caught:
        run.settle_identity({"data": "b" * 64, "seed": 1, "sections": ("phase",)}, resume=True)
    text = str(caught.value)
    assert (
        'data ("aaaaaaaaaaaaaaa..." then, "bbbbbbbbbbbbbbb..." now), seed (0 then, 1 now)' in text
    )
    assert "sections" not in text
