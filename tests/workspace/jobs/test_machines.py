"""Several machines on one PostgreSQL database: lost ones, frozen ones, a server that restarts.

A machine is a process with a name of its own; what it works on lies in the shared folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from llm4top.workspace.database import URL_VARIABLE
from llm4top.workspace.jobs.jobs import log_tail
from llm4top.workspace.run_states import MACHINE_VARIABLE, Run, RunState
from llm4top.workspace.workspace import Workspace
from tests.warm import hook
from tests.workspace.conftest import Server
from tests.workspace.tiny import over, wait_for

pytestmark = pytest.mark.slow

LEASE_S = 3.0

# A run of these tests waits for a file, reports all the while, and writes down that it was done.
WAITS = """
import time
from pathlib import Path
from llm4top.workspace.jobs import work as _work
from llm4top.progress import Progress

def do(job):
    while not Path(job.settings["until"]).exists():
        job.report(Progress("waiting", 1, 2))
        time.sleep(0.02)
    job.report(Progress("writing", 2, 2))
    with Path(job.settings["done"]).open("a") as file:
        file.write(f"{job.run.id} {job.run.attempt}\\n")
    return {"attempt": job.run.attempt, "resuming": job.run.resuming}

_work.do = do
"""


class Machine:
    """A process that serves the queue, under a name of its own."""

    def __init__(self, name: str, folder: Path, url: str):
        self.name = name
        command = [sys.executable, "-m", "llm4top.workspace", "--device", "cpu"]
        command += ["--folder", str(folder), "--lease", str(LEASE_S), "--grace", "5"]
        self._process = subprocess.Popen(
            command, env={**os.environ, MACHINE_VARIABLE: name, URL_VARIABLE: url}
        )

    def kill(self, run: Run) -> None:
        """Lose the machine: its supervisor, and the worker that is at the run."""
        assert run.machine == self.name
        assert run.pid is not None
        self._process.kill()
        os.kill(run.pid, signal.SIGKILL)
        self._process.wait()

    def freeze(self, run: Run) -> None:
        """Stop both in the middle of what they do."""
        assert run.pid is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        os.kill(run.pid, signal.SIGSTOP)

    def end(self) -> None:
        """End the supervisor; its end in order is tested elsewhere, and takes seconds."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)


class Yard:
    """The shared folder and database, and what the runs wait for."""

    def __init__(self, workspace: Workspace, folder: Path):
        self.workspace = workspace
        self.go, self._done = folder / "go", folder / "done"

    def submit(self, until: Path | None = None) -> Run:
        settings = {"until": str(until or self.go), "done": str(self._done)}
        return self.workspace.runs.submit("audit", settings, title="A", device="cpu")

    def begun(self, run: Run) -> Run:
        return wait_for(self.workspace, run, at_work, 60)

    def ended(self, run: Run) -> Run:
        ended = wait_for(self.workspace, run, over, 60)
        assert ended.state is RunState.DONE, log_tail(self.workspace, run.id)
        return ended

    def done(self) -> list[str]:
        return self._done.read_text().splitlines() if self._done.exists() else []


def at_work(run: Run) -> bool:
    return run.state is RunState.RUNNING and run.progress.get("stage") == "waiting"


@pytest.fixture
def yard(tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    hook(monkeypatch, tmp_path, WAITS)
    with Workspace.open(tmp_path / "home", postgresql_url) as workspace:
        yield Yard(workspace, tmp_path)


@pytest.fixture
def machine(yard: Yard, postgresql_url: str) -> Iterator[Callable[[str], Machine]]:
    """Starts machines, which end with the test."""
    made: list[Machine] = []

    def start(name: str) -> Machine:
        made.append(Machine(name, yard.workspace.folder, postgresql_url))
        return made[-1]

    yield start
    for one in made:
        one.end()
    for run in yard.workspace.runs.list(states=("running", "stopping")):
        if run.pid is not None:  # of a test that failed
            os.kill(run.pid, signal.SIGKILL)


def test_two_machines_share_the_queue_and_a_killed_one_and_a_killed_worker_lose_nothing(
    yard: Yard, machine: Callable[[str], Machine]
) -> None:
    runs = [yard.submit() for _ in range(4)]
    machines = {name: machine(name) for name in "ab"}
    first, second = yard.begun(runs[0]), yard.begun(runs[1])
    # One lane each: neither keeps the other from its device.
    assert {first.machine, second.machine} == {"a", "b"}
    machines[str(first.machine)].kill(first)
    assert second.pid is not None
    os.kill(second.pid, signal.SIGKILL)
    yard.go.touch()
    ends = [yard.ended(run) for run in runs]
    assert {end.machine for end in ends} == {second.machine}
    assert [end.attempt for end in ends] == [2, 2, 1, 1]
    assert ends[0].result == {"attempt": 2, "resuming": True}
    assert sorted(yard.done()) == sorted(f"{end.id} {end.attempt}" for end in ends)
    said = [entry.what for entry in yard.workspace.activity.list(action="queued again")]
    assert sorted(said) == [
        f"A: machine {first.machine} was lost",
        f"A: the worker on machine {second.machine} is gone",
    ]
    told = [e.details for e in yard.workspace.runs.events(runs[0].id, kind="state")]
    assert [(t["state"], t.get("machine")) for t in told] == [
        ("queued", None),
        ("running", first.machine),
        ("queued", first.machine),
        ("running", second.machine),
        ("done", second.machine),
    ]


def test_a_worker_that_comes_back_ends_and_writes_nothing_over_the_newer_attempt(
    yard: Yard, machine: Callable[[str], Machine]
) -> None:
    run = yard.submit()
    frozen = machine("a")
    begun = yard.begun(run)
    process = psutil.Process(begun.pid)
    frozen.freeze(begun)
    machine("b")
    again = wait_for(yard.workspace, run, lambda found: found.machine == "b" and at_work(found), 60)
    assert again.attempt == 2
    yard.go.touch()
    assert yard.ended(run).result == {"attempt": 2, "resuming": True}
    process.resume()
    # It is nobody's child here: whoever started it waits for it.
    process.wait(10)
    assert yard.done() == [f"{run.id} 2"]
    assert yard.workspace.runs.get(run.id).machine == "b"
    log = "\n".join(log_tail(yard.workspace, run.id))
    assert "Machine a ends its worker: " in log
    assert "attempt 1 of the run has ended; it is at attempt 2." in log


def test_a_restart_of_the_server_loses_nothing(
    yard: Yard, machine: Callable[[str], Machine], server: Server, tmp_path: Path
) -> None:
    first, second = yard.submit(tmp_path / "first"), yard.submit(tmp_path / "second")
    machine("a")
    machine("b")
    begun = [yard.begun(run) for run in (first, second)]
    server.stop()
    # One run ends while there is no database, which is away for longer than a lease.
    (tmp_path / "first").touch()
    time.sleep(1.5 * LEASE_S)
    server.start()
    assert yard.ended(first).attempt == 1
    (tmp_path / "second").touch()
    assert yard.ended(second).attempt == 1
    assert [yard.workspace.runs.get(run.id).machine for run in begun] == [r.machine for r in begun]
    assert sorted(yard.done()) == sorted(f"{run.id} 1" for run in begun)
    ended, paused = ("\n".join(log_tail(yard.workspace, run.id)) for run in begun)
    assert "does not answer" in ended
    assert ended.endswith("The database answers again.")
    assert "Another machine may take this run, so it pauses." in paused
    assert "The database answers again, and the run goes on." in paused
