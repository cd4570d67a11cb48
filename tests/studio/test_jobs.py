"""What the job drawer says of a run, and how often it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4top.studio import _jobs
from llm4top.studio._jobs import JobWatch, clock, share_of, standing_of, title_of
from llm4top.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path):  # type: ignore[no-untyped-def]
    with Workspace.open(tmp_path / "home") as made:
        yield made


def test_it_counts_what_runs_and_else_what_waits(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = JobWatch(workspace)
    assert watch.look().summary == "0 running"
    workspace.runs.submit("train", {}, title="Mine")
    assert watch.look().summary == "0 running", "a look holds for a moment"
    watch.forget()
    assert watch.look().summary == "1 waiting"
    monkeypatch.setattr(_jobs, "EVERY", 0)
    run = workspace.runs.submit("audit", {})
    workspace.runs.request_stop(run.id)
    jobs = watch.look()
    assert [r.title for r in jobs.active] == ["Mine"]
    assert [r.id for r in jobs.recent] == [run.id]


def test_a_run_is_told_in_words(workspace: Workspace) -> None:
    run = workspace.runs.submit("train", {})
    assert title_of(run) == "Training"
    assert standing_of(run) == "Waiting for its turn"
    workspace.runs.request_stop(run.id)
    assert standing_of(workspace.runs.get(run.id)) == "Interrupted. Stopped before it began."


def test_progress_is_told_with_its_share_and_the_time_left(workspace: Workspace) -> None:
    from dataclasses import replace

    from llm4top.workspace import RunState

    queued = workspace.runs.submit("train", {}, title="Mine")
    progress = {"stage": "Learning", "done": 25, "total": 100, "eta_seconds": 4000}
    run = replace(queued, state=RunState.RUNNING, progress=progress)
    assert standing_of(run) == "Learning, 25\u00a0%, about 1\u00a0h 07\u00a0min left"
    assert share_of(run) == 0.25
    assert standing_of(replace(run, progress={})) == "Working"
    assert share_of(replace(run, progress={"done": 3, "total": 0})) is None
    assert share_of(replace(run, progress={"done": 9, "total": 3})) == 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5\u00a0s"), (61, "1\u00a0min"), (3600, "1\u00a0h 00\u00a0min")]
)
def test_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words
