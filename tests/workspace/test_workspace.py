"""Opening a workspace, and what its database promises to those who share it."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from llm4top.errors import MissingExtraError, WorkspaceError
from llm4top.workspace import database as _engine
from llm4top.workspace.database import URL_VARIABLE
from llm4top.workspace.tables import ForecastRow, RunEventRow, RunRow
from llm4top.workspace.workspace import Workspace

HEAVY = ("torch", "transformers", "sklearn", "peft", "pyarrow", "nicegui")


def pragma(workspace, name):
    with workspace.session(write=False) as session:
        return session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()


def test_the_home_folder_is_the_workspace_unless_told(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "home"))
    with Workspace.open() as workspace:
        assert workspace.folder == tmp_path / "home"
    assert {p.name for p in (tmp_path / "home").iterdir() if p.is_dir()} == {
        "uploads",
        "datasets",
        "bundles",
        "runs",
    }


def test_nobody_else_can_read_it(local):
    local.runs.submit("audit", {})
    for path in (local.folder, *local.folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) in (0o700, 0o600), path


def test_sqlite_is_set_up_for_several_processes(local):
    assert pragma(local, "journal_mode") == "wal"
    assert pragma(local, "foreign_keys") == 1
    assert pragma(local, "busy_timeout") == 30_000
    assert pragma(local, "secure_delete") == 1
    assert pragma(local, "synchronous") == 2


def test_foreign_keys_and_states_hold(workspace):
    for row in (
        RunEventRow(run_id="nothing", kind="x", details={}),
        RunRow(kind="train", state="dancing", settings={}),
    ):
        with pytest.raises(IntegrityError), workspace.session() as session:
            session.add(row)


def test_an_error_undoes_the_whole_transaction(workspace):
    def half():
        with workspace.session() as session:
            session.add(RunRow(kind="train", state="queued", settings={}))
            session.flush()
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        half()
    assert workspace.runs.count() == 0


def test_a_reader_does_not_wait_for_a_long_write(workspace):
    workspace.runs.submit("audit", {})
    with workspace.session() as session:
        session.execute(text("UPDATE runs SET title = 'half written'"))
        (seen,) = workspace.runs.list()
        assert seen.title == ""


def test_writers_wait_for_each_other_and_none_is_refused(workspace):
    run = workspace.runs.submit("audit", {})
    errors = []

    def write(n):
        try:
            for k in range(15):
                workspace.runs.add_event(run.id, "note", {"n": n, "k": k})
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(workspace.runs.events(run.id, kind="note")) == 90


def test_a_writer_that_has_read_first_is_not_refused(local):
    """In SQLite a transaction that begins by reading fails where another writes in between."""
    run = local.runs.submit("audit", {})
    ready = threading.Event()

    def slow():
        with local.session() as session:
            row = session.get(RunRow, run.id)
            ready.set()
            time.sleep(0.3)
            row.title = "slow"

    thread = threading.Thread(target=slow)
    thread.start()
    ready.wait(5)
    local.runs.add_event(run.id, "note", {})
    thread.join()
    assert local.runs.get(run.id).title == "slow"


def test_a_locked_database_is_told_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(_engine, "BUSY_TIMEOUT_S", 0.1)
    with Workspace.open(tmp_path) as one, Workspace.open(tmp_path) as two:
        said = r"the database did not answer: database is locked\. Nothing was changed"
        with one.session() as session:
            session.execute(text("DELETE FROM runs"))
            with pytest.raises(WorkspaceError, match=said):
                two.runs.submit("audit", {})


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_an_intact_database(tmp_path, database):
    code = """
        import sys
        from pathlib import Path
        from llm4top.workspace.workspace import Workspace
        workspace = Workspace.open(Path(sys.argv[1]), sys.argv[2] or None)
        said = {"record": "r", "task": "t", "label": "l", "bundle": "b", "probability": 0.5}
        print("go", flush=True)
        while True:
            workspace.forecasts.add(None, [said | {"text": "x" * 2000}] * 100)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), database or ""]
    for wait in (0.15, 0.4):
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"go\n"
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        with Workspace.open(tmp_path, database) as workspace:
            # A batch of a hundred is one transaction: all of it is there, or nothing.
            assert workspace.forecasts.count() % 100 == 0
            if database is None:
                assert pragma(workspace, "integrity_check") == "ok"
            workspace.forecasts.add(None, [])


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match=r"the folder cannot be used.*set LLM4TOP_HOME"):
        Workspace.open(tmp_path / "file")


def test_other_databases_are_refused_without_repeating_the_password(tmp_path, monkeypatch):
    for url, said in (
        ("mysql://me:hush@there/x", "'mysql' is not a database that LLM4TOP can use"),
        ("hush hush", "the database URL cannot be read"),
        ("postgresql://me:hush@there:hush/x", "the database URL cannot be read"),
    ):
        with pytest.raises(WorkspaceError, match=said) as caught:
            Workspace.open(tmp_path, url)
        assert "hush" not in str(caught.value)
    monkeypatch.setattr(_engine, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "llm4top\[postgresql\]"'):
        Workspace.open(tmp_path, "postgresql://me@there/x")


def test_a_server_that_does_not_answer_is_told_without_the_password(tmp_path):
    with pytest.raises(WorkspaceError, match="the database cannot be opened") as caught:
        Workspace.open(tmp_path, "postgresql://me:hush@127.0.0.1:1/x")
    assert "hush" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


def test_the_url_can_come_from_the_environment(tmp_path, postgresql_url, monkeypatch):
    monkeypatch.setenv(URL_VARIABLE, postgresql_url)
    with Workspace.open(tmp_path) as workspace:
        assert workspace.engine.dialect.name == "postgresql"
        assert not (tmp_path / "llm4top.db").exists()


def test_the_program_never_writes_sql_with_values_in_it(workspace):
    """Statements are made by SQLAlchemy with parameters; the table's name is all that is ours."""
    hostile = "'; DROP TABLE runs; --"
    run = workspace.runs.submit("audit", {hostile: hostile}, title=hostile, device=hostile)
    assert workspace.runs.get(run.id).title == hostile
    assert workspace.runs.list(kind=hostile, states=(hostile,)) == []
    assert workspace.runs.count() == 1


def test_many_ids_in_one_question(workspace):
    """More rows than one statement may have variables."""
    said = {"record": "r", "task": "t", "label": "l", "bundle": "b", "probability": 0.5}
    workspace.forecasts.add(None, [said] * 3000)
    with workspace.session(write=False) as session:
        assert session.query(ForecastRow).count() == 3000


@pytest.mark.parametrize("module", ["llm4top.workspace", "llm4top.workspace.workspace"])
def test_importing_it_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_opening_and_listing_loads_nothing_heavy(tmp_path):
    code = (
        "import sys\nfrom llm4top.workspace.workspace import Workspace\n"
        "with Workspace.open() as w:\n"
        "    w.runs.list(); w.uploads.list(); w.datasets.list(); w.forecasts.list()\n"
        "    w.bundles.list()\n"
        "print(*[m for m in ('torch', 'transformers', 'sklearn') if m in sys.modules])"
    )
    home = {**os.environ, "LLM4TOP_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=home
    )
    assert done.stdout.split() == []
