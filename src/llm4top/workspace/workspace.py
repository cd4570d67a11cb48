"""The workspace: one folder and one database with everything a person has made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from llm4top.errors import WorkspaceError
from llm4top.paths import home_folder
from llm4top.workspace.activity import Activity
from llm4top.workspace.batches import Batches
from llm4top.workspace.bundles import Bundles
from llm4top.workspace.database import (
    DATABASE_FILE,
    EngineTransactions,
    database_url,
    make_engine,
    prepare_file,
    waiting_for_database,
)
from llm4top.workspace.datasets import Datasets
from llm4top.workspace.deletion import Eraser
from llm4top.workspace.drafts import Drafts
from llm4top.workspace.forecasts import Forecasts
from llm4top.workspace.leases import AttemptCheck
from llm4top.workspace.migrate import bring_up_to_date
from llm4top.workspace.run_states import Run
from llm4top.workspace.runs import Runs
from llm4top.workspace.uploads import Uploads

FOLDERS = ("uploads", "datasets", "bundles", "runs")


class Workspace:
    """One folder with a database; see ``open``. All parts can be used from several threads.

    ``uploads``, ``datasets``, ``bundles``, ``forecasts``, ``batches``, ``drafts`` and ``runs`` hold
    what their names say, by id; ``activity`` is the log of what was done.
    """

    def __init__(self, folder: Path, engine: Engine):
        self.folder = folder
        self.engine = engine
        self._transactions = EngineTransactions(engine)
        self._eraser = Eraser(engine, folder)
        self.uploads = Uploads(self._transactions, folder / "uploads", self._eraser)
        self.datasets = Datasets(self._transactions, folder / "datasets", self._eraser)
        self.bundles = Bundles(self._transactions, folder / "bundles", self._eraser)
        self.runs = Runs(self._transactions, folder / "runs", self._eraser)
        self.forecasts = Forecasts(self._transactions)
        self.batches = Batches(self._transactions, self._eraser)
        self.drafts = Drafts(self._transactions, self._eraser)
        self.activity = Activity(self._transactions)

    @classmethod
    def open(cls, folder: Path | None = None, url: str | None = None) -> Workspace:
        """Open the workspace in ``folder`` (``home_folder()`` if None), making it where needed.

        The database is SQLite in the folder, or the PostgreSQL database at ``url`` or at
        ``$LLM4TOP_DATABASE_URL``. Tables of an older version are brought up to date first; a
        SQLite file is copied to ``backups`` before. Runs whose process is gone become
        "interrupted".

        Raises ``WorkspaceError`` where the folder cannot be written, the database cannot be
        opened, or a newer version of LLM4TOP wrote it.
        """
        path = (home_folder() if folder is None else Path(folder)).absolute()
        address = database_url(path, url)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in FOLDERS:
                (path / name).mkdir(exist_ok=True, mode=0o700)
            # A folder that an older version or a person made may be readable by others.
            (path / "uploads").chmod(0o700)
            prepare_file(address)
        except OSError as error:
            raise WorkspaceError(
                f"the folder cannot be used ({error.strerror or error}).",
                where=str(path),
                hint="Choose one that you may write to: set LLM4TOP_HOME.",
            ) from error
        engine = make_engine(address)
        try:
            bring_up_to_date(engine, path)
            workspace = cls(path, engine)
            workspace.runs.settle_orphans()
            workspace.sweep()
        except BaseException:
            engine.dispose()
            raise
        return workspace

    @property
    def database(self) -> str:
        """Where its database is, for a person: without user and password."""
        url = self.engine.url
        if url.get_backend_name() == "sqlite":
            return f"{DATABASE_FILE} in the folder"
        return f"{url.database} on {url.host or 'this machine'}"

    @property
    def database_host(self) -> str | None:
        """The other machine that its database is on; None where it is on this one."""
        host = self.engine.url.host
        # None and a path are a socket of this machine.
        here = host is None or host.startswith("/") or host in ("localhost", "::1")
        return None if here or str(host).startswith("127.") else host

    def session(self, *, write: bool = True) -> AbstractContextManager[Session]:
        """A session for one short transaction: committed at its end, undone by an error.

        One with ``write=False`` never waits for writers.
        """
        return self._transactions(write=write)

    @contextmanager
    def acting_for(self, run: Run) -> Iterator[None]:
        """While the block lasts, this process works for that attempt of the run only.

        All its writes raise ``JobError`` once the attempt has ended: a worker that was thought
        lost writes nothing over what its successor does. In this thread a database that is away
        is waited for.
        """
        self._transactions.check = AttemptCheck(run.id, run.attempt)
        try:
            with waiting_for_database():
                yield
        finally:
            self._transactions.check = None

    def sweep(self) -> None:
        """Remove what processes that were killed have left behind."""
        for store in (self.uploads, self.datasets, self.bundles, self.runs):
            store.sweep()

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self.engine.dispose()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
