"""Keeps the lease of one attempt of a run, and holds the work up when it may have ended."""

import logging
import time

from llm4top.errors import DatabaseError
from llm4top.workspace.database import RETRY_S, waiting_for_database
from llm4top.workspace.leases import LEASE_S
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace

log = logging.getLogger(__name__)


def clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LeaseKeeper:
    """The lease that this worker has on a run.

    ``began`` is what ``clock`` said before the run was claimed for ``seconds``. Both methods
    raise ``JobError`` or ``NotFoundError`` once another machine may have the run.
    """

    def __init__(self, workspace: Workspace, run: Run, began: float, seconds: float = LEASE_S):
        self._runs = workspace.runs
        self._run = run
        self._seconds = seconds
        self._ends = began + seconds

    def renew(self) -> None:
        """Renew the lease when a quarter of it is over; raises what the database raises."""
        began = clock()
        if began > self._ends - 0.75 * self._seconds:
            self._renew(began)

    def confirm(self) -> None:
        """Return at once while the lease holds; else when the database has renewed it.

        It holds up work whose results could meet those of another machine.
        """
        told = False
        while (began := clock()) >= self._ends:
            try:
                with waiting_for_database(False):
                    self._renew(began)
            except DatabaseError as error:
                if not told:
                    log.warning("%s Another machine may take this run, so it pauses.", error)
                told = True
                time.sleep(RETRY_S)
        if told:
            log.info("The database answers again, and the run goes on.")

    def _renew(self, began: float) -> None:
        self._runs.renew(self._run.id, self._run.attempt, self._seconds)
        self._ends = began + self._seconds
