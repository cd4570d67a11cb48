"""Supervisors: who dies, and what becomes of the runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from llm4top.workspace.jobs import supervisor as _supervisor
from llm4top.workspace.jobs.jobs import log_tail
from llm4top.workspace.jobs.process import wait_gone
from llm4top.workspace.jobs.supervisor import Supervisor
from llm4top.workspace.run_states import Process, Run, RunState
from llm4top.workspace.workspace import Workspace
from tests.warm import hook
from tests.workspace.tiny import over, wait_for

pytestmark = pytest.mark.slow

# In the workers of these tests a run waits for a file, and writes down that it was done.
WAITS = """
import time
from pathlib import Path
from llm4top.workspace.jobs import work as _work
from llm4top.progress import Progress

def do(job):
    print("doing it", flush=True)
    job.report(Progress("waiting", 1, 2))
    while not Path(job.settings["until"]).exists():
        time.sleep(0.02)
    with Path(job.settings["done"]).open("a") as file:
        file.write(job.run.id + "\\n")
    return {"device": job.device}

_work.do = do
"""


class Yard:
    """Where the runs of a test wait, and where they write that they are done."""

    def __init__(self, folder: Path, workspace: Workspace):
        self.go = folder / "go"
        self.done = folder / "done"
        self.workspace = workspace

    def submit(self, device: str = "cpu", until: Path | None = None, kind: str = "audit") -> Run:
        settings = {"until": str(until or self.go), "done": str(self.done)}
        return self.workspace.runs.submit(kind, settings, device=device)

    def finished(self) -> list[str]:
        return self.done.read_text().split() if self.done.exists() else []


@pytest.fixture(autouse=True)
def waiting_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook(monkeypatch, tmp_path, WAITS)


@pytest.fixture
def yard(tmp_path: Path, local: Workspace) -> Yard:
    return Yard(tmp_path, local)


@pytest.fixture
def supervise(local: Workspace) -> Iterator[Callable[..., Supervisor]]:
    """Starts supervisors that end with the test."""
    made: list[Supervisor] = []

    def start(workspace: Workspace = local, **more: Any) -> Supervisor:
        devices = more.pop("devices", ("cpu",))
        more = {"poll": 0.05, "grace": 10, **more}
        made.append(Supervisor(workspace, devices=devices, **more))
        made[-1].start()
        return made[-1]

    yield start
    for supervisor in made:
        supervisor.stop()


def running(run: Run) -> bool:
    return run.state is RunState.RUNNING and run.progress.get("stage") == "waiting"


def test_the_queue_is_worked_off_on_both_databases(
    workspace: Workspace, tmp_path: Path, supervise: Callable[..., Supervisor]
) -> None:
    yard = Yard(tmp_path, workspace)
    yard.go.touch()
    runs = [yard.submit() for _ in range(2)]
    supervise(workspace)
    done = [wait_for(workspace, run, over) for run in runs]
    assert [run.state for run in done] == [RunState.DONE] * 2
    assert done[0].result == {"device": "cpu"}
    assert yard.finished() == [run.id for run in runs]
    assert "doing it" in log_tail(workspace, runs[0].id)


def test_one_device_does_one_run_and_two_do_two(
    yard: Yard, supervise: Callable[..., Supervisor]
) -> None:
    first, second, other = yard.submit(), yard.submit(), yard.submit("cuda:0")
    supervise(devices=("cuda:0", "cpu"))
    wait_for(yard.workspace, first, running)
    wait_for(yard.workspace, other, running)
    assert yard.workspace.runs.get(second.id).state is RunState.QUEUED
    yard.go.touch()
    ends = [wait_for(yard.workspace, run, over) for run in (first, second, other)]
    assert [run.result["device"] for run in ends] == ["cpu", "cpu", "cuda:0"]


def test_light_work_does_not_wait_for_a_training_on_the_cpu(
    yard: Yard, supervise: Callable[..., Supervisor]
) -> None:
    heavy = [yard.submit(kind="train"), yard.submit(kind="benchmark")]
    light = [yard.submit(kind="forecast"), yard.submit(kind="ingest")]
    gpu = [yard.submit("cuda:0", kind="train"), yard.submit("cuda:0", kind="forecast")]
    supervise(devices=("cuda:0", "cpu"))
    for runs in (heavy, light, gpu):
        wait_for(yard.workspace, runs[0], running)
        assert yard.workspace.runs.get(runs[1].id).state is RunState.QUEUED
    yard.go.touch()
    for run in (*heavy, *light, *gpu):
        assert wait_for(yard.workspace, run, over).state is RunState.DONE


def test_two_supervisors_do_each_run_once(yard: Yard, supervise: Callable[..., Supervisor]) -> None:
    yard.go.touch()
    runs = [yard.submit() for _ in range(4)]
    with Workspace.open(yard.workspace.folder) as again:
        supervise()
        other = supervise(again)
        ends = [wait_for(yard.workspace, run, over) for run in runs]
        other.stop()
    assert {run.attempt for run in ends} == {1}
    assert sorted(yard.finished()) == sorted(run.id for run in runs)


def test_killing_the_supervisor_leaves_its_worker_at_work(
    yard: Yard, supervise: Callable[..., Supervisor]
) -> None:
    first, second = yard.submit(), yard.submit()
    command = [sys.executable, "-m", "llm4top.workspace", "--device", "cpu"]
    with subprocess.Popen([*command, "--folder", str(yard.workspace.folder)]) as server:
        began = wait_for(yard.workspace, first, running)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    supervise()
    time.sleep(0.3)
    # The next supervisor finds a live worker: it repairs nothing and starts no second one.
    same = yard.workspace.runs.get(first.id)
    assert (same.state, same.process) == (RunState.RUNNING, began.process)
    assert yard.workspace.runs.get(second.id).state is RunState.QUEUED
    yard.go.touch()
    ends = [wait_for(yard.workspace, run, over) for run in (first, second)]
    assert [(run.state, run.attempt) for run in ends] == [(RunState.DONE, 1)] * 2


def test_killing_a_worker_interrupts_its_run_and_the_next_one_begins(
    yard: Yard, supervise: Callable[..., Supervisor]
) -> None:
    first, second = yard.submit(), yard.submit()
    supervise()
    process = wait_for(yard.workspace, first, running).process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    killed = wait_for(yard.workspace, first, over)
    assert killed.state is RunState.INTERRUPTED
    assert "The process stopped unexpectedly" in (killed.error or "")
    yard.go.touch()
    assert wait_for(yard.workspace, second, over).state is RunState.DONE
    yard.workspace.runs.resume(first.id)
    assert wait_for(yard.workspace, first, over).attempt == 2


def test_both_killed_are_repaired_at_the_next_start(
    yard: Yard, supervise: Callable[..., Supervisor]
) -> None:
    run = yard.submit()
    command = [sys.executable, "-m", "llm4top.workspace", "--device", "cpu"]
    with subprocess.Popen([*command, "--folder", str(yard.workspace.folder)]) as server:
        process = wait_for(yard.workspace, run, running).process
        assert process is not None
        os.kill(server.pid, signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        server.wait()
    assert wait_gone(process, 5)
    supervise()
    assert yard.workspace.runs.get(run.id).state is RunState.INTERRUPTED


def test_stopping_interrupts_what_is_at_work_and_keeps_what_waits(yard: Yard) -> None:
    first, second = yard.submit(), yard.submit()
    supervisor = Supervisor(yard.workspace, devices=("cpu",), poll=0.05, grace=10)
    supervisor.start()
    supervisor.start()  # a second call does nothing
    wait_for(yard.workspace, first, running)
    supervisor.stop()
    assert not supervisor.is_running
    assert yard.workspace.runs.get(first.id).state is RunState.INTERRUPTED
    assert yard.workspace.runs.get(second.id).state is RunState.QUEUED


def test_stopping_may_leave_workers_to_finish(yard: Yard) -> None:
    run = yard.submit()
    supervisor = Supervisor(yard.workspace, devices=("cpu",), poll=0.05)
    supervisor.start()
    wait_for(yard.workspace, run, running)
    (worker,) = (lane.process for lane in supervisor._lanes if lane.process)
    supervisor.stop(keep_working=True)
    yard.go.touch()
    assert wait_for(yard.workspace, run, over).state is RunState.DONE
    assert worker.wait(10) == 0


def test_a_run_that_is_asked_to_stop_stops(
    yard: Yard, supervise: Callable[..., Supervisor]
) -> None:
    run = yard.submit()
    supervise()
    wait_for(yard.workspace, run, running)
    yard.workspace.runs.request_stop(run.id)
    stopped = wait_for(yard.workspace, run, over)
    assert (stopped.state, stopped.error) == (
        RunState.INTERRUPTED,
        "Stopped on request; it can be resumed.",
    )
    assert yard.finished() == []


def test_a_frozen_worker_is_killed_from_outside(
    yard: Yard, supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_supervisor, "_OVERDUE_S", 0.2)
    monkeypatch.setattr(_supervisor, "_REPAIR_EVERY_S", 0.1)
    run = yard.submit()
    supervise(grace=0.2)
    process = wait_for(yard.workspace, run, running).process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    yard.workspace.runs.request_stop(run.id)
    assert wait_for(yard.workspace, run, over, 20).state is RunState.INTERRUPTED
    assert not process.is_alive


def test_a_pid_that_went_to_a_stranger_is_not_touched(
    yard: Yard, supervise: Callable[..., Supervisor]
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        now = Process.of(stranger.pid)
        assert now is not None
        run = yard.submit()
        yard.workspace.runs.claim(replace(now, started=now.started - 3600), device="cpu")
        yard.workspace.runs.request_stop(run.id)
        supervise()
        assert wait_for(yard.workspace, run, over).state is RunState.INTERRUPTED
        time.sleep(0.2)
        assert stranger.poll() is None
        stranger.kill()


def test_a_worker_that_cannot_begin_is_not_started_again_at_once(
    yard: Yard,
    supervise: Callable[..., Supervisor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = tmp_path / "begun"
    code = f"import os\nwith open({str(begun)!r}, 'a') as f: f.write('x')\nos._exit(3)\n"
    hook(monkeypatch, tmp_path, code)
    run = yard.submit()
    supervise()
    time.sleep(1.6)
    assert 1 <= len(begun.read_text()) <= 2
    assert yard.workspace.runs.get(run.id).state is RunState.QUEUED


def test_a_database_password_is_not_among_the_arguments(
    local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def remember(command: list[str], **more: Any) -> None:
        seen.update(command=command, **more)

    class Engine:
        url = make_url("postgresql+psycopg://me:s3cret@db.example/trials")

    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(_supervisor.subprocess, "Popen", remember)
        patch.setattr(local, "engine", Engine())
        Supervisor(local)._worker("cpu; rm -rf $(x)")
    assert "s3cret" not in " ".join(seen["command"])
    assert seen["env"]["LLM4TOP_DATABASE_URL"] == Engine.url.render_as_string(hide_password=False)
    assert seen["env"]["OMP_WAIT_POLICY"] == "PASSIVE"
    assert seen["start_new_session"]
    assert "shell" not in seen
    assert "cpu; rm -rf $(x)" in seen["command"]
