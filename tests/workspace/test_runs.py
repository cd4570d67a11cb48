"""The queue: every change legal, atomic, and made by one worker only."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from llm4top.errors import JobError, NotFoundError
from llm4top.workspace.run_states import TRANSITIONS, Process, RunState
from llm4top.workspace.tables import RunRow
from llm4top.workspace.workspace import Workspace

ME = Process.current()
DEAD = Process(ME.pid, ME.started - 1000, ME.host)


def begun(runs, **settings):
    runs.submit("train", settings)
    return runs.claim(ME)


def in_state(runs, state):
    """A run in that state, by the way a run gets there."""
    run = runs.submit("train", {})
    if state == "queued":
        return run
    runs.claim(ME)
    match state:
        case "stopping":
            runs.request_stop(run.id)
        case "done":
            runs.finish(run.id, {})
        case "failed":
            runs.fail(run.id, "It broke.")
        case "interrupted":
            runs.interrupt(run.id, "It was stopped.")
    return runs.get(run.id)


def test_a_run_from_its_beginning_to_its_end(workspace):
    runs = workspace.runs
    run = runs.submit("train", {"data": "d", "lr": 0.1}, title="A training")
    assert (run.state, run.settings, run.title) == (
        "queued",
        {"data": "d", "lr": 0.1},
        "A training",
    )
    claimed = runs.claim(ME, device="cpu")
    assert (claimed.id, claimed.state, claimed.attempt) == (run.id, "running", 1)
    assert claimed.process == ME
    assert claimed.device == "cpu"
    runs.add_event(run.id, "progress", {"step": 1, "total": 2}, attempt=1)
    done = runs.finish(run.id, {"bundle": "b"}, attempt=1)
    assert (done.state, done.result, done.process) == ("done", {"bundle": "b"}, None)
    assert done.created <= done.started <= done.finished
    assert done.progress == {"step": 1, "total": 2}
    assert runs.get(run.id) == done
    told = [(e.kind, e.details) for e in runs.events(run.id)]
    assert told == [
        ("state", {"state": "queued"}),
        ("state", {"state": "running", "machine": ME.host}),
        ("progress", {"step": 1, "total": 2}),
        ("state", {"state": "done", "machine": ME.host}),
    ]


def test_times_are_in_utc_whatever_the_database(workspace):
    run = workspace.runs.submit("audit", {})
    again = workspace.runs.get(run.id)
    assert again.created == run.created
    assert again.created.utcoffset().total_seconds() == 0


def test_events_are_read_on_from_the_last_one_seen(workspace):
    runs = workspace.runs
    run, other = begun(runs), runs.submit("audit", {})
    for step in range(5):
        runs.add_event(run.id, "progress", {"step": step})
        runs.add_event(other.id, "note", {})
    first = runs.events(run.id, kind="progress", limit=2)
    rest = runs.events(run.id, after=first[-1].id)
    assert [e.details["step"] for e in (*first, *rest)] == [0, 1, 2, 3, 4]
    assert {e.run_id for e in rest} == {run.id}


@pytest.mark.parametrize("state", list(RunState))
def test_only_legal_changes_are_made(workspace, state):
    runs = workspace.runs
    acts = {
        RunState.RUNNING: lambda r: runs.claim(ME) or _never(),
        RunState.DONE: lambda r: runs.finish(r, {}),
        RunState.FAILED: lambda r: runs.fail(r, "x"),
        RunState.INTERRUPTED: lambda r: runs.interrupt(r, "x"),
        RunState.QUEUED: lambda r: runs.resume(r),
    }
    for target, act in acts.items():
        run = in_state(runs, state)
        legal = target in TRANSITIONS[state]
        if legal:
            act(run.id)
            assert runs.get(run.id).state is target
        else:
            with pytest.raises(JobError):
                act(run.id)
            assert runs.get(run.id) == run
        _clear(runs)


def _never():
    raise JobError("nothing waits.")


def _clear(runs):
    for run in runs.list(limit=None):
        if run.state is RunState.QUEUED:
            runs.request_stop(run.id)
        elif run.state.is_active:
            runs.interrupt(run.id, "x")
        runs.delete(run.id)


def test_an_illegal_change_is_told_in_words(workspace):
    run = in_state(workspace.runs, "done")
    with pytest.raises(JobError, match=f"run {run.id}: the run is done and cannot be resumed"):
        workspace.runs.retry(run.id)


def test_unknown_kinds_and_runs_are_told(workspace):
    with pytest.raises(
        JobError, match=r"'dance' is not a kind of run\. Kinds are: train, evaluate"
    ):
        workspace.runs.submit("dance", {})
    for act in (workspace.runs.get, workspace.runs.request_stop, workspace.runs.delete):
        with pytest.raises(NotFoundError, match="there is no run 'nothing'"):
            act("nothing")
    with pytest.raises(NotFoundError):
        workspace.runs.events("nothing")
    with pytest.raises(NotFoundError):
        workspace.runs.add_event("nothing", "note", {})


def test_stopping(workspace):
    runs = workspace.runs
    waiting = in_state(runs, "queued")
    stopped = runs.request_stop(waiting.id)
    assert (stopped.state, stopped.error) == ("interrupted", "Stopped before it began.")
    running = in_state(runs, "running")
    assert runs.request_stop(running.id).state == "stopping"
    assert runs.request_stop(running.id).state == "stopping"
    assert runs.finish(running.id, {}).state == "done"
    with pytest.raises(JobError, match="the run is done and cannot be stopped"):
        runs.request_stop(running.id)


def test_resume_and_retry_queue_again(workspace):
    runs = workspace.runs
    run = in_state(runs, "failed")
    assert run.error == "It broke."
    again = runs.resume(run.id)
    assert (again.state, again.resuming, again.error, again.finished) == (
        "queued",
        True,
        None,
        None,
    )
    assert runs.claim(ME).attempt == 2
    runs.interrupt(run.id, "stopped")
    assert runs.retry(run.id).resuming is False


def test_first_come_first_served_and_a_resumed_run_waits_behind(workspace):
    runs = workspace.runs
    first, second = (runs.submit("audit", {"n": n}) for n in range(2))
    runs.request_stop(first.id)
    runs.resume(first.id)
    assert [runs.claim(ME).id, runs.claim(ME).id, runs.claim(ME)] == [second.id, first.id, None]


def test_a_worker_takes_only_what_it_can_do(workspace):
    runs = workspace.runs
    gpu = runs.submit("train", {}, device="cuda:0")
    any_device = runs.submit("audit", {})
    assert runs.claim(ME, device="cpu").id == any_device.id
    assert runs.claim(ME, device="cpu") is None
    assert runs.claim(ME, device="cuda:0", kinds=("audit",)) is None
    assert runs.claim(ME, device="cuda:0").id == gpu.id


def test_no_two_workers_take_one_run(workspace):
    runs = workspace.runs
    for n in range(40):
        runs.submit("audit", {"n": n})
    barrier = threading.Barrier(8)

    def work(_):
        barrier.wait()
        taken = []
        while (run := runs.claim(ME)) is not None:
            taken.append(run.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [i for ids in pool.map(work, range(8)) for i in ids]
    assert len(taken) == len(set(taken)) == 40
    assert {run.attempt for run in runs.list(limit=None)} == {1}


def test_one_of_many_changes_wins(workspace):
    runs = workspace.runs
    run = begun(runs)
    barrier = threading.Barrier(6)

    def end(n):
        barrier.wait()
        try:
            return runs.finish(run.id, {"n": n}).result["n"]
        except JobError:
            return None

    with ThreadPoolExecutor(6) as pool:
        won = [n for n in pool.map(end, range(6)) if n is not None]
    assert [runs.get(run.id).result["n"]] == won


def test_a_worker_thought_dead_is_not_heard_any_more(workspace):
    runs = workspace.runs
    run = begun(runs)
    runs.interrupt(run.id, "thought dead")
    runs.resume(run.id)
    runs.claim(ME)
    for act in (
        lambda: runs.finish(run.id, {}, attempt=1),
        lambda: runs.fail(run.id, "x", attempt=1),
        lambda: runs.add_event(run.id, "progress", {}, attempt=1),
    ):
        with pytest.raises(JobError, match="attempt 1 of the run has ended; it is at attempt 2"):
            act()
    assert runs.finish(run.id, {}, attempt=2).state == "done"


def test_a_run_whose_process_is_gone_is_interrupted_or_on_a_server_queued_again(tmp_path, database):
    with Workspace.open(tmp_path, database) as workspace:
        alive, gone = workspace.runs.submit("train", {}), workspace.runs.submit("train", {})
        workspace.runs.claim(ME)
        # The id of the dead process was given to another one: it is not taken for it.
        workspace.runs.claim(DEAD)
    with Workspace.open(tmp_path, database) as workspace:
        assert workspace.runs.get(alive.id).state == "running"
        orphan = workspace.runs.get(gone.id)
        assert orphan.process is None
        if database is None:
            assert orphan.state == "interrupted"
            assert orphan.error.startswith("The process stopped unexpectedly")
            orphan = workspace.runs.resume(gone.id)
        assert (orphan.state, orphan.resuming) == ("queued", True)


def test_a_run_on_another_machine_is_left_alone(workspace):
    workspace.runs.submit("train", {})
    run = workspace.runs.claim(Process(1, 1.0, "another-machine"))
    assert workspace.runs.settle_orphans() == []
    assert workspace.runs.get(run.id).state == "running"


def test_a_killed_worker_loses_nothing_it_had_told(tmp_path, database):
    code = """
        import sys, time
        from pathlib import Path
        from llm4top.workspace.run_states import Process
        from llm4top.workspace.workspace import Workspace
        ws = Workspace.open(Path(sys.argv[1]), sys.argv[2] or None)
        ws.runs.claim(Process.current())
        run = ws.runs.claim(Process.current())
        for step in range(100_000):
            ws.runs.add_event(run.id, "progress", {"step": step})
            if step == 20:
                print("go", flush=True)
    """
    with Workspace.open(tmp_path, database) as workspace:
        workspace.runs.submit("train", {})
        run = workspace.runs.submit("train", {})
        worker = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), database or ""],
            stdout=subprocess.PIPE,
        )
        try:
            assert worker.stdout.readline() == b"go\n"
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
        events = workspace.runs.events(run.id, kind="progress", limit=None)
        assert [e.details["step"] for e in events] == list(range(len(events)))
        assert len(events) > 20
        assert workspace.runs.get(run.id).progress == events[-1].details
        assert len(workspace.runs.settle_orphans()) == 2
    with Workspace.open(tmp_path, database) as workspace:
        if database is None:
            with workspace.session() as session:
                answer = session.connection().exec_driver_sql("PRAGMA integrity_check").scalar()
                assert answer == "ok"
            workspace.runs.resume(run.id)
        assert workspace.runs.claim(ME).attempt == 2


def test_what_no_database_can_hold_is_made_harmless(workspace):
    strange = {"loss": float("nan"), "text": "a\0b\ud800c", "deep": [{"x": float("inf")}], "é": "ü"}
    run = workspace.runs.submit("train", strange, title="t\0\udfff")
    kept = workspace.runs.get(run.id)
    assert kept.settings == {"loss": None, "text": "ab?c", "deep": [{"x": None}], "é": "ü"}
    assert kept.title == "t?"


def test_listing(workspace):
    runs = workspace.runs
    for kind in ("train", "audit", "train"):
        runs.submit(kind, {})
    claimed = runs.claim(ME)
    assert [r.id for r in runs.list(states=("running",))] == [claimed.id]
    assert len(runs.list(kind="train")) == runs.count(kind="train") == 2
    everything = runs.list()
    assert [r.created for r in everything] == sorted((r.created for r in everything), reverse=True)
    assert runs.list(limit=1, offset=1) == everything[1:2]
    assert runs.count(states=("queued", "running"), kind="audit") == 1


def test_deleting_a_run(workspace):
    runs = workspace.runs
    run = in_state(runs, "running")
    folder = runs.folder(run.id)
    folder.mkdir()
    (folder / "log.txt").write_text("secret")
    with pytest.raises(JobError, match=r"the run is running\. Stop it first\."):
        runs.delete(run.id)
    runs.finish(run.id, {})
    runs.delete(run.id)
    assert not folder.exists()
    with pytest.raises(NotFoundError):
        runs.events(run.id)


@pytest.fixture
def terminal(tmp_path):
    """A run folder as a training in a terminal leaves it."""
    from llm4top.training.run_folder import RunFolder

    folder = RunFolder(tmp_path / "my-run")
    folder.path.mkdir()
    folder.config_file.write_text("data: d\nepochs: 2\n")
    return folder


def test_a_training_from_a_terminal_is_adopted_and_followed(workspace, terminal):
    runs = workspace.runs
    with terminal.locked():
        terminal.set_state("running")
        terminal.add_event("step", loss=0.7)
        run = runs.adopt(terminal.path)
        assert (run.state, run.kind, run.title) == ("running", "train", "my-run")
        assert run.settings == {"data": "d", "epochs": 2}
        assert run.process == ME
        assert runs.settle_orphans() == []
        assert runs.request_stop(run.id).state == "stopping"
        terminal.add_event("step", loss=0.6)
        assert runs.adopt(terminal.path).state == "stopping"
        terminal.bundle.mkdir()
        terminal.set_state("done")
    done = runs.adopt(str(terminal.path))
    assert (done.id, done.state, done.result) == (run.id, "done", {"bundle": str(terminal.bundle)})
    assert [e.details["loss"] for e in runs.events(run.id, kind="folder")] == [0.7, 0.6]
    assert [e.details["state"] for e in runs.events(run.id, kind="state")] == [
        "running",
        "stopping",
        "done",
    ]
    assert runs.folder(run.id) == terminal.path
    runs.delete(run.id)
    assert terminal.path.exists()


def test_a_killed_training_is_adopted_as_interrupted(workspace, terminal):
    terminal.set_state("running")
    run = workspace.runs.adopt(terminal.path)
    assert (run.state, run.process) == ("interrupted", None)


def test_a_training_that_ended_unseen_is_done_when_the_workspace_is_opened(
    tmp_path, database, terminal
):
    with Workspace.open(tmp_path / "home", database) as workspace:
        with terminal.locked():
            terminal.set_state("running")
            run = workspace.runs.adopt(terminal.path)
            terminal.set_state("done")
        with workspace.session() as session:
            session.execute(update(RunRow).values(pid_started=1.0))  # as if it had ended
    with Workspace.open(tmp_path / "home", database) as workspace:
        assert workspace.runs.get(run.id).state == "done"


def test_the_queue_has_an_end(workspace, monkeypatch):
    monkeypatch.setattr("llm4top.workspace.runs.MOST_WAITING", 2)
    first = workspace.runs.submit("audit", {})
    workspace.runs.submit("audit", {})
    with pytest.raises(JobError, match=r"2 runs are waiting already\. Let some of them finish"):
        workspace.runs.submit("audit", {})
    workspace.runs.request_stop(first.id)
    assert workspace.runs.submit("audit", {}).state == "queued"


def test_what_the_folder_said_before_a_worker_took_the_run_is_history(workspace, terminal):
    terminal.set_state("interrupted", reason="stopped on request")
    run = workspace.runs.adopt(terminal.path)
    assert (run.state, run.error) == ("interrupted", "stopped on request")
    workspace.runs.resume(run.id)
    assert workspace.runs.adopt(terminal.path).state == "queued"
    workspace.runs.claim(ME)
    assert workspace.runs.adopt(terminal.path).state == "running"


def test_a_folder_without_a_run_is_not_adopted(workspace, tmp_path):
    with pytest.raises(JobError, match="no run was begun here"):
        workspace.runs.adopt(tmp_path)


def test_process_identity():
    assert ME.is_alive
    assert ME.pid == os.getpid()
    assert not DEAD.is_alive
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = Process.of(child.pid)
    assert process.is_alive
    child.kill()
    time.sleep(0.1)
    assert not process.is_alive  # although nobody has waited for it yet
    child.communicate()
    assert Process.of(child.pid) is None
    assert json.dumps(process.host)
