"""Leases: a lost machine's runs go back to the queue, and its worker is not heard any more."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from sqlalchemy import update

from llm4top.errors import DatabaseError, JobError, WorkspaceError
from llm4top.workspace.database import PASSWORD_VARIABLE, database_url, make_engine
from llm4top.workspace.leases import MOST_ATTEMPTS
from llm4top.workspace.run_rows import FolderStatus, apply_status
from llm4top.workspace.run_states import Process, Run, RunState, machine_name
from llm4top.workspace.tables import RunRow, now
from llm4top.workspace.workspace import Workspace
from tests.workspace.conftest import free_port
from tests.workspace.views.test_portfolio import item

pytestmark = pytest.mark.slow

OTHER = Process(1, 1.0, "other")
ENDED = -1.0
"""A lease that ended when it began."""


def taken(workspace: Workspace, lease: float = ENDED, process: Process = OTHER) -> Run:
    workspace.runs.submit("forecast", {}, title="Forecast of May")
    run = workspace.runs.claim(process, device="cpu", lease=lease)
    assert run is not None
    return run


def lost(workspace: Workspace) -> list[Run]:
    return workspace.runs.requeue_lost(lease=0)


def test_the_run_of_a_lost_machine_goes_back_and_the_log_says_from_where(
    workspace: Workspace,
) -> None:
    run = taken(workspace)
    (again,) = lost(workspace)
    assert (again.id, again.state, again.resuming, again.process) == (run.id, "queued", True, None)
    assert lost(workspace) == []
    entry = workspace.activity.list()[0]
    assert (entry.action, entry.subject) == ("queued again", run.id)
    assert entry.what == "Forecast of May: machine other was lost"
    event = workspace.runs.events(run.id)[-1].details
    assert event == {
        "state": "queued",
        "machine": "other",
        "attempt": 1,
        "error": "Machine other was lost in attempt 1.",
    }
    second = workspace.runs.claim(Process.current(), device="cpu")
    assert second is not None
    assert (second.attempt, second.machine) == (2, machine_name())


def test_a_lease_that_holds_is_respected_and_can_be_renewed(workspace: Workspace) -> None:
    run = taken(workspace)
    workspace.runs.renew(run.id, 1, 60)
    assert lost(workspace) == []
    assert workspace.runs.get(run.id).state is RunState.RUNNING


def test_runs_of_this_machine_and_those_without_a_lease_are_left_alone(
    workspace: Workspace,
) -> None:
    mine = taken(workspace, process=Process.current())
    older = taken(workspace)
    with workspace.session() as session:
        session.execute(update(RunRow).where(RunRow.id == older.id).values(lease=None))
    assert lost(workspace) == []
    assert workspace.runs.get(mine.id).state is RunState.RUNNING


def test_a_training_that_a_terminal_took_up_again_has_no_lease() -> None:
    row = RunRow(kind="train", state="interrupted", settings={}, lease=now())
    process = Process.current()
    apply_status(row, FolderStatus(RunState.RUNNING, now(), None, process, {}, {}))
    assert (row.pid, row.lease) == (process.pid, None)


def test_after_a_start_of_the_server_workers_get_a_whole_lease(
    tmp_path: Path, postgresql_url: str
) -> None:
    with Workspace.open(tmp_path, postgresql_url) as workspace:
        run = taken(workspace)
        assert workspace.runs.requeue_lost(lease=10_000) == []
        assert [found.id for found in lost(workspace)] == [run.id]


def test_a_run_that_was_asked_to_stop_or_lost_too_often_is_not_queued_again(
    workspace: Workspace,
) -> None:
    stopping = taken(workspace)
    workspace.runs.request_stop(stopping.id)
    (stopped,) = lost(workspace)
    assert stopped.state is RunState.INTERRUPTED
    assert stopped.error == "Machine other was lost in attempt 1."
    run = taken(workspace)
    for _ in range(MOST_ATTEMPTS - 1):
        assert lost(workspace)[0].state is RunState.QUEUED
        workspace.runs.claim(OTHER, device="cpu", lease=ENDED)
    assert lost(workspace)[0].state is RunState.INTERRUPTED
    assert workspace.runs.get(run.id).attempt == MOST_ATTEMPTS


def test_a_worker_that_ends_before_its_run_gives_it_back_on_a_server_alone(
    workspace: Workspace, database: str | None
) -> None:
    runs, here = workspace.runs, Process.current()
    stopped = runs.release(taken(workspace, process=here).id, "Stopped.", attempt=1)
    if database is None:
        assert (stopped.state, stopped.error) == (RunState.INTERRUPTED, "Stopped.")
        return
    assert (stopped.state, stopped.resuming) == (RunState.QUEUED, True)
    (entry,) = workspace.activity.list(action="queued again")
    assert entry.what == f"Forecast of May: the worker on machine {machine_name()} was stopped"
    with pytest.raises(JobError, match="attempt 1 of the run has ended; it is queued"):
        runs.release(stopped.id, "Stopped.", attempt=1)
    # Stopping may be repeated; being killed may be what the run does to its workers.
    for attempt in range(2, MOST_ATTEMPTS + 2):
        assert runs.claim(here, device="cpu") is not None
        assert runs.release(stopped.id, "Stopped.", attempt=attempt).state is RunState.QUEUED
    assert runs.claim(here, device="cpu") is not None
    killed = runs.release(stopped.id, "Gone.", attempt=MOST_ATTEMPTS + 2, killed=True)
    assert (killed.state, killed.error) == (
        RunState.INTERRUPTED,
        f"The worker on machine {machine_name()} is gone in attempt {MOST_ATTEMPTS + 2}.",
    )


def test_a_run_that_a_person_stopped_is_not_given_back(workspace: Workspace) -> None:
    run = taken(workspace, process=Process.current())
    workspace.runs.request_stop(run.id)
    stopped = workspace.runs.release(run.id, "Stopped on request.", attempt=1)
    assert (stopped.state, stopped.error) == (RunState.INTERRUPTED, "Stopped on request.")


def test_a_lost_worker_is_refused_by_every_write(workspace: Workspace) -> None:
    run = taken(workspace)
    runs = workspace.runs
    with workspace.acting_for(run):
        batch = workspace.forecasts.add(None, [item()])
    lost(workspace)

    def refused(said: str) -> None:
        acts = (
            lambda: runs.renew(run.id, 1),
            lambda: runs.finish(run.id, {}, attempt=1),
            lambda: runs.fail(run.id, "x", attempt=1),
            lambda: runs.interrupt(run.id, "x", attempt=1),
            lambda: runs.add_event(run.id, "progress", {"done": 1}, attempt=1),
        )
        for act in acts:
            with pytest.raises(JobError, match=said):
                act()
        with workspace.acting_for(run):
            for write in (
                lambda: workspace.batches.clear(batch),
                lambda: workspace.forecasts.add(None, [item()], batch=batch),
                lambda: workspace.activity.log("finished", "background", "it"),
                lambda: workspace.runs.submit("audit", {}),
            ):
                with pytest.raises(JobError, match=said):
                    write()
            # It may read: how else would it learn what has become of its run?
            assert runs.get(run.id).id == run.id

    refused("attempt 1 of the run has ended; it is queued")
    assert runs.claim(Process.current(), device="cpu") is not None
    refused("attempt 1 of the run has ended; it is at attempt 2")
    assert workspace.batches.get(batch).count == 1
    assert runs.finish(run.id, {}, attempt=2).state is RunState.DONE


def test_a_lane_of_a_machine_does_one_run_and_other_machines_have_their_own(
    workspace: Workspace,
) -> None:
    runs, here = workspace.runs, Process.current()
    for kind in ("train", "train", "forecast", "audit"):
        runs.submit(kind, {}, device="cpu")
    assert [runs.claim(here, device="cpu", kinds=("train",)) is None for _ in range(2)] == [0, 1]
    assert [runs.claim(here, device="cpu") is None for _ in range(2)] == [0, 1]
    assert [runs.claim(OTHER, device="cpu") is None for _ in range(3)] == [0, 0, 1]


def test_any_gpu_does_what_waits_for_any(workspace: Workspace) -> None:
    run = workspace.runs.submit("train", {}, device="cuda")
    assert workspace.runs.claim(OTHER, device="cpu") is None
    claimed = workspace.runs.claim(OTHER, device="cuda:1")
    assert claimed is not None
    assert (claimed.id, claimed.device) == (run.id, "cuda:1")


def test_a_name_can_be_given_to_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM4TOP_MACHINE", " ")
    assert machine_name() == socket.gethostname()
    monkeypatch.setenv("LLM4TOP_MACHINE", "gpu-2")
    assert Process.current().host == machine_name() == "gpu-2"
    assert Process.current().is_here
    assert not OTHER.is_here


def test_a_server_that_is_away_is_told_by_its_place_alone(tmp_path: Path) -> None:
    url = database_url(tmp_path, f"postgresql://me:s3cret@127.0.0.1:{free_port()}/trials")
    with pytest.raises(DatabaseError) as said:
        Workspace(tmp_path, make_engine(url)).runs.list()
    where = f"the database at 127.0.0.1:{url.port} does not answer (Connection refused)."
    assert said.value.message == where
    assert "the work goes on when it answers" in str(said.value)
    assert "s3cret" not in str(said.value)


@pytest.mark.parametrize(
    ("host", "other"), [("db.example", "db.example"), ("127.0.0.1", None), ("localhost", None)]
)
def test_it_is_known_whether_the_database_is_on_another_machine(
    tmp_path: Path, host: str, other: str | None
) -> None:
    engine = make_engine(database_url(tmp_path, f"postgresql://me@{host}/trials"))
    assert Workspace(tmp_path, engine).database_host == other


def test_a_password_can_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    monkeypatch.setenv(PASSWORD_VARIABLE, str(file))
    assert database_url(tmp_path, "postgresql://me@db/trials").password == "s3cret"
    assert database_url(tmp_path, "postgresql://me:own@db/trials").password == "own"
    monkeypatch.setenv(PASSWORD_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(WorkspaceError, match="password of the database cannot be read"):
        database_url(tmp_path, "postgresql://me@db/trials")
    monkeypatch.setenv(PASSWORD_VARIABLE, str(file))
    for held, said in (
        (b"s3cret\nmore", "it has more than one line"),
        (b"\xffs3", "it is not text"),
    ):
        file.write_bytes(held)
        with pytest.raises(WorkspaceError, match=rf"cannot be read \({said}\)") as caught:
            database_url(tmp_path, "postgresql://me@db/trials")
        assert "s3" not in str(caught.value)
