"""What the job drawer says of a run, and how often it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4top.errors import DatabaseError
from llm4top.studio import jobs as _jobs
from llm4top.studio.jobs import JobWatch, share_of, status_text, title_of
from llm4top.text import about, duration
from llm4top.workspace.run_states import Process
from llm4top.workspace.workspace import Workspace


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
    watch.refresh()
    assert watch.look().summary == "1 waiting"
    monkeypatch.setattr(_jobs, "EVERY", 0)
    run = workspace.runs.submit("audit", {})
    workspace.runs.request_stop(run.id)
    jobs = watch.look()
    assert [r.title for r in jobs.active] == ["Mine"]
    assert [r.id for r in jobs.recent] == [run.id]


def test_it_says_that_the_database_is_away_and_keeps_what_it_knew(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_jobs, "EVERY", 0)
    watch = JobWatch(workspace)
    run = workspace.runs.submit("train", {})
    assert watch.look().away == ""

    def away(**_: object) -> None:
        raise DatabaseError("the database at db:5432 does not answer (refused).", hint="Wait.")

    with monkeypatch.context() as patch:
        patch.setattr(workspace.runs, "list", away)
        jobs = watch.look()
    assert jobs.summary == "No database"
    assert jobs.away == "the database at db:5432 does not answer (refused). Wait."
    assert [r.id for r in jobs.active] == [run.id]
    assert watch.look().summary == "1 waiting"


def test_the_machine_of_a_run_is_told_where_it_is_another(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.runs.submit("train", {}, device="cpu")
    run = workspace.runs.claim(Process.current(), device="cpu")
    assert run is not None
    assert status_text(run) == "Working"
    monkeypatch.setenv("LLM4TOP_MACHINE", "desk")
    assert status_text(run) == f"Working on {run.machine}"
    failed = workspace.runs.fail(run.id, "It broke.")
    assert status_text(failed) == f"Failed on {run.machine}. It broke."
    monkeypatch.delenv("LLM4TOP_MACHINE")
    assert status_text(failed) == "Failed. It broke."


def test_a_run_is_told_in_words(workspace: Workspace) -> None:
    run = workspace.runs.submit("train", {})
    assert title_of(run) == "Training"
    assert status_text(run) == "Waiting to start"
    workspace.runs.request_stop(run.id)
    assert status_text(workspace.runs.get(run.id)) == "Interrupted. Stopped before it began."


def test_progress_is_told_with_its_share_and_the_time_left(workspace: Workspace) -> None:
    from dataclasses import replace

    from llm4top.workspace.run_states import RunState

    queued = workspace.runs.submit("train", {}, title="Mine")
    progress = {"stage": "Learning", "done": 25, "total": 100, "eta_seconds": 4000}
    run = replace(queued, state=RunState.RUNNING, progress=progress)
    assert (
        status_text(run)
        == "Learning: 25 of 100 (25\u00a0%), about 1\u00a0h 07\u00a0min left in this stage"
    )
    alone = replace(run, kind="forecast", progress={**progress, "eta_seconds": 43.2})
    assert status_text(alone) == "Learning: 25 of 100 (25\u00a0%), about 45\u00a0s left"
    assert share_of(run) == 0.25
    assert status_text(replace(run, progress={})) == "Working"
    assert share_of(replace(run, progress={"done": 3, "total": 0})) is None
    assert share_of(replace(run, progress={"done": 9, "total": 3})) == 1


def test_a_waiting_run_says_what_for_and_how_long(workspace: Workspace) -> None:
    working = workspace.runs.submit("train", {}, title="Walk", device="cpu")
    waiting = workspace.runs.submit("benchmark", {}, title="Bench", device="cpu")
    last = workspace.runs.submit("evaluate", {}, device="cpu")
    light = workspace.runs.submit("forecast", {}, device="cpu")
    workspace.runs.claim(Process.current(), device="cpu")
    progress = {"stage": "training", "done": 3, "total": 9, "eta_seconds": 660}
    workspace.runs.add_event(working.id, "progress", progress)
    active = JobWatch(workspace).look().active
    time_left = "“Walk” (about 11\u00a0min left in this stage)"
    assert status_text(waiting, active) == f"Waiting for {time_left}"
    assert status_text(last, active) == f"Waiting for {time_left} and 1 more in the queue"
    assert status_text(light, active) == "Waiting to start"
    rest = [run for run in active if run.id != working.id]
    assert status_text(last, rest) == "Waiting for 1 earlier in the queue"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"),
        (7, "a few seconds"),
        (43, "about 45\u00a0s"),
        (58, "about 1\u00a0min"),
        (61, "about 1\u00a0min"),
        (4000, "about 1\u00a0h 07\u00a0min"),
    ],
)
def test_an_estimate_is_no_finer_than_it_is_known(seconds: float, words: str) -> None:
    assert about(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5\u00a0s"), (61, "1\u00a0min"), (3600, "1\u00a0h 00\u00a0min")]
)
def test_clock(seconds: float, words: str) -> None:
    assert duration(seconds) == words
