"""A workspace on both databases: SQLite in a folder, and a PostgreSQL server of our own."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from llm4top.workspace.workspace import Workspace

SERVER_FOLDERS = "/usr/lib/postgresql/*/bin"


def server_programs():
    """The folder with PostgreSQL's own programs; None where it is not installed."""
    folders = [path.parent for path in Path("/").glob(f"{SERVER_FOLDERS[1:]}/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def as_nobody(folder):
    """What to put before a command: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "nobody")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


class Server:
    """A PostgreSQL server of our own, at ``url``."""

    def __init__(self, url, control, options):
        self.url = url
        self._control = control
        self._options = options

    def start(self):
        run_quietly(*self._control, *self._options, "start")

    def stop(self):
        run_quietly(*self._control, "-m", "immediate", "stop")


def run_quietly(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=120)


@pytest.fixture(scope="session")
def server():
    """A server that was started for these tests, and is stopped after them."""
    programs = server_programs()
    if programs is None:
        pytest.skip(f"no PostgreSQL server in {SERVER_FOLDERS}: apt-get install postgresql")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv")
    # Not under pytest's folder, which only root may enter.
    with tempfile.TemporaryDirectory(prefix="llm4top-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        before = as_nobody(folder)
        user = "nobody" if before else getpass.getuser()
        data, port = folder / "data", free_port()
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", user, "-E", "UTF8"]
        run_quietly(*before, *initdb, "--locale=C", "--no-sync")
        settings = f"-h 127.0.0.1 -p {port} -k {folder} -F"
        control = [*before, programs / "pg_ctl", "-D", data, "-w"]
        url = f"postgresql://{user}@127.0.0.1:{port}/postgres"
        made = Server(url, control, ["-l", folder / "log", "-o", settings])
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def postgresql_url(server):
    """The URL of an empty database of its own."""
    name = f"t{uuid4().hex}"
    address = server.url.replace("://", "+psycopg://")
    # A test may have restarted the server.
    engine = create_engine(address, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield server.url.rpartition("/")[0] + f"/{name}"
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """None for SQLite in the workspace's folder, else a PostgreSQL URL."""
    return request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None


@pytest.fixture
def workspace(tmp_path, database):
    """An empty workspace, once on each database."""
    with Workspace.open(tmp_path / "home", database) as opened:
        yield opened


@pytest.fixture
def local(tmp_path):
    """An empty workspace on SQLite."""
    with Workspace.open(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def made(tmp_path):
    """A data set in a folder, as a run leaves it."""
    from llm4top.data.dataset import make_dataset
    from llm4top.registry.trial import Trial

    trials = [Trial(phase="Phase 2", brief_title=f"Trial {n}") for n in range(4)]
    labels, splits = ["success", "failure"] * 2, ["train", "train", "valid", "test"]
    ids = [f"NCT0000000{n}" for n in range(4)]
    dataset = make_dataset(trials, labels, ids, splits, task="outcome", name="four")
    dataset.save(tmp_path / "made")
    return tmp_path / "made"


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """A language model's bundle, a baseline's, and what blends the two."""
    from llm4top.testing import make_tiny_model
    from tests.forecasters.test_blend import Parts

    folder = tmp_path_factory.mktemp("parts")
    return Parts(folder, make_tiny_model(folder / "tiny"), "full", "tfidf")


@pytest.fixture(scope="session")
def baseline_bundle(parts):
    """The folder of a TF-IDF baseline's bundle."""
    return parts.baseline


@pytest.fixture(scope="session")
def blend_bundle(parts, tmp_path_factory):
    """The folder of a bundle that blends a tiny language model with the baseline."""
    folder = tmp_path_factory.mktemp("blends") / "blend"
    parts.stack(folder)
    return folder
