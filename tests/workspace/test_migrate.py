"""Old databases are brought up to date once, with a copy; newer and foreign ones are refused."""

import re
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from llm4top.errors import WorkspaceError
from llm4top.workspace import migrate
from llm4top.workspace.tables import Base
from llm4top.workspace.workspace import Workspace
from tests.workspace.views.test_portfolio import item

pytestmark = pytest.mark.slow

STEPS = migrate.STEPS


def set_revision(workspace, step):
    with workspace.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :step"), {"step": step})


def test_head_is_the_newest_step():
    assert ScriptDirectory(str(STEPS)).get_heads() == [migrate.HEAD]


def test_the_steps_make_the_tables_that_the_program_uses(workspace):
    def comparable(thing, name, kind, reflected, compared):
        # SQLite does not tell that a column of an index runs downwards.
        return name != "ix_forecasts_newest"

    options = {"compare_type": True, "include_object": comparable}
    with workspace.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_the_newest_forecasts_are_found_by_their_index(local):
    query = "EXPLAIN QUERY PLAN SELECT * FROM forecasts ORDER BY created DESC, batch, position"
    with local.session(write=False) as session:
        plan = session.connection().exec_driver_sql(query).all()
    assert [row[-1] for row in plan] == ["SCAN forecasts USING INDEX ix_forecasts_newest"]


def test_opening_twice_changes_nothing(tmp_path, database):
    with Workspace.open(tmp_path, database) as workspace:
        run = workspace.runs.submit("audit", {})
    with Workspace.open(tmp_path, database) as workspace:
        assert workspace.runs.get(run.id) == run
    assert not (tmp_path / "backups").exists()


def test_a_newer_database_is_refused_in_words_and_left_as_it_is(tmp_path, database):
    with Workspace.open(tmp_path, database) as workspace:
        set_revision(workspace, "9999")
    said = r"written by a newer version of LLM4TOP \(its tables are at step 9999.*Update LLM4TOP"
    with pytest.raises(WorkspaceError, match=said):
        Workspace.open(tmp_path, database)
    assert not (tmp_path / "backups").exists()


def test_a_database_of_another_program_is_refused(tmp_path, postgresql_url):
    with closing(sqlite3.connect(tmp_path / "llm4top.db")) as other:
        other.execute("CREATE TABLE uploads (x)")
        other.commit()
    engine = create_engine(postgresql_url.replace("://", "+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE customers (x int)"))
    engine.dispose()
    for url in (None, postgresql_url):
        with pytest.raises(WorkspaceError, match="holds tables that LLM4TOP did not make"):
            Workspace.open(tmp_path, url)


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "llm4top.db").write_bytes(b"not a database at all, " * 100)
    with pytest.raises(WorkspaceError, match="this file is not a database, or it is damaged"):
        Workspace.open(tmp_path)
    assert (tmp_path / "llm4top.db").read_bytes().startswith(b"not a database")


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """The program of the next version: one more step, which rebuilds a table with children."""
    import shutil

    steps = tmp_path / "migrations"
    shutil.copytree(STEPS, steps, ignore=shutil.ignore_patterns("__pycache__"))
    step = '''
        """The step of the next version."""
        import sqlalchemy as sa
        from alembic import op

        revision, down_revision, branch_labels, depends_on = "0005", "0004", None, None

        def upgrade():
            rebuild = "always" if op.get_bind().dialect.name == "sqlite" else "never"
            with op.batch_alter_table("runs", recreate=rebuild) as table:
                table.add_column(sa.Column("colour", sa.Text()))
            BREAK
    '''
    file = steps / "versions" / "v0005_next.py"

    def install(breaks=False):
        end = "raise OSError('the disk broke')" if breaks else "pass"
        file.write_text(textwrap.dedent(step).replace("BREAK", end))
        monkeypatch.setattr(migrate, "STEPS", steps)
        monkeypatch.setattr(migrate, "HEAD", "0005")

    return install


def columns(workspace):
    with workspace.engine.connect() as connection:
        return connection.execute(text("SELECT * FROM runs")).keys()


def test_an_old_database_is_migrated_and_a_sqlite_file_is_copied_first(
    tmp_path, database, next_version
):
    home = tmp_path / "home"
    with Workspace.open(home, database) as workspace:
        run = workspace.runs.submit("audit", {"x": 1})
    next_version()
    with Workspace.open(home, database) as workspace:
        assert "colour" in columns(workspace)
        assert workspace.runs.get(run.id) == run
        # Rebuilding the table of runs has not taken their events along.
        assert len(workspace.runs.events(run.id)) == 1
    if database is None:
        (copy,) = (home / "backups").iterdir()
        assert re.fullmatch(r"llm4top-0004-\d{8}T\d{12}\.db", copy.name)
        assert copy.stat().st_mode & 0o777 == 0o600
        with closing(sqlite3.connect(copy)) as old:
            assert old.execute("SELECT id FROM runs").fetchall() == [(run.id,)]


def test_forecasts_from_before_there_were_batches_get_one(tmp_path, database):
    with Workspace.open(tmp_path, database) as workspace:
        batch = workspace.forecasts.add(None, [item(record="b.xml"), item(record="a.xml")])
        before = workspace.batches.get(batch)
        with workspace.session() as session:
            for table in ("drafts", "left_out", "batches"):
                session.execute(text(f"DROP TABLE {table}"))
            session.execute(text("ALTER TABLE runs DROP COLUMN lease"))
        set_revision(workspace, "0001")
    with Workspace.open(tmp_path, database) as workspace:
        (after,) = workspace.batches.list()
        assert (after.id, after.count, after.name) == (batch, 2, "a.xml")
        assert abs((after.created - before.created).total_seconds()) < 1
        assert workspace.batches.left_out(batch) == []


def test_a_migration_that_breaks_changes_nothing(tmp_path, database, next_version):
    home = tmp_path / "home"
    with Workspace.open(home, database) as workspace:
        run = workspace.runs.submit("audit", {})
    next_version(breaks=True)
    with pytest.raises(OSError, match="the disk broke"):
        Workspace.open(home, database)
    next_version()
    with Workspace.open(home, database) as workspace:
        assert workspace.runs.get(run.id) == run
        assert len(workspace.runs.events(run.id)) == 1


def test_processes_that_open_a_new_workspace_at_once_migrate_once(tmp_path, database):
    code = """
        import sys
        from pathlib import Path
        from llm4top.workspace.workspace import Workspace
        sys.stdin.read(1)
        with Workspace.open(Path(sys.argv[1]), sys.argv[2] or None) as workspace:
            workspace.runs.submit("audit", {})
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), tmp_path, database or ""]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    openers = [subprocess.Popen(list(map(str, command)), **pipes) for _ in range(4)]
    for opener in openers:
        opener.stdin.write(b"g")
        opener.stdin.flush()
    said = [opener.communicate(timeout=60)[1] for opener in openers]
    assert said == [b""] * 4
    with Workspace.open(tmp_path, database) as workspace:
        assert workspace.runs.count() == 4


def test_a_folder_that_cannot_be_locked_is_told(tmp_path):
    (tmp_path / ".migrate.lock").mkdir()
    with pytest.raises(WorkspaceError, match=r"the folder cannot be written.*set LLM4TOP_HOME"):
        Workspace.open(tmp_path)
