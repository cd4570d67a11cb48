"""Starts a worker process for each lane that has queued runs.

A device has one lane, the CPU a second one for light work; see ``lanes_of``.

Workers lead sessions of their own. They outlive a supervisor that dies, finish what they do, and
are found again by the next one, by their run in the store: it names the machine and the process.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm4top.errors import DatabaseError, LLM4TOPError
from llm4top.workspace.database import URL_VARIABLE
from llm4top.workspace.jobs.devices import devices_here
from llm4top.workspace.jobs.process import send_signal, wait_gone
from llm4top.workspace.jobs.worker import GRACE_S
from llm4top.workspace.leases import LEASE_S
from llm4top.workspace.run_states import (
    KINDS,
    Process,
    Run,
    RunState,
    devices_meant,
    lane_of,
    lanes_of,
    machine_name,
)
from llm4top.workspace.workspace import Workspace

POLL_S = 0.5
_REPAIR_EVERY_S = 5.0
_OVERDUE_S = 10.0
"""Seconds beyond the grace time after which a worker that cannot even kill itself is killed."""

_LONGEST_PAUSE_S = 60.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Lane:
    """A lane, the worker that was started for it, and how often one ended without a run."""

    device: str
    kinds: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    failures: int = 0
    not_before: float = 0.0

    def is_wanted(self, runs: Sequence[Run]) -> bool:
        """Whether one of these runs waits for it, and none of this machine is at work in it."""
        lane = lane_of(self.device, self.kinds[0])
        devices = (None, *devices_meant(self.device))
        waits = False
        for run in runs:
            if run.state is RunState.QUEUED:
                waits = waits or (run.device in devices and run.kind in self.kinds)
            elif run.machine == machine_name() and lane_of(run.device, run.kind) == lane:
                return False
        return waits


class Supervisor:
    """Starts workers while it runs. ``devices`` are those of this machine if None.

    Several supervisors on one workspace, in several processes or on several machines, do not
    disturb each other. A run whose ``lease`` has ended on another machine is queued again.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        devices: Sequence[str] | None = None,
        poll: float = POLL_S,
        grace: float = GRACE_S,
        lease: float = LEASE_S,
    ):
        self._workspace = workspace
        self._asked = devices
        self._poll = poll
        self._grace = grace
        self._lease = lease
        self._away = False
        self._lanes: list[_Lane] = []
        self._stopping_since: dict[str, float] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is serving the queue."""
        return self._thread is not None and self._thread.is_alive()

    def serve(self) -> None:
        """Serve the queue until SIGTERM or Ctrl-C. For the main thread of a process of its own."""
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        ending = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
        self.start()
        ending.wait()
        self.stop()

    def start(self) -> None:
        """Repair what a crash left behind and start serving the queue; returns at once."""
        if self.is_running:
            return
        self._workspace.runs.settle_orphans()
        self._end.clear()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self, *, keep_working: bool = False) -> None:
        """Stop starting workers. Queued runs wait for the next start.

        Workers stop politely, so that their runs are interrupted and can be resumed, and are
        killed after the grace time; with ``keep_working`` they are left to finish their runs.
        """
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if not keep_working:
            self._stop_workers()

    def _run(self) -> None:
        names = self._asked if self._asked is not None else devices_here()
        self._lanes = [_Lane(name, kinds) for name in names for kinds in lanes_of(name)]
        repaired = time.monotonic()
        while not self._end.is_set():
            try:
                if time.monotonic() - repaired > min(_REPAIR_EVERY_S, self._lease / 4):
                    repaired = time.monotonic()
                    self._repair()
                for lane in self._lanes:
                    self._check(lane)
            except LLM4TOPError as error:
                # The database may be busy, or away for a moment: look again later.
                if not self._away:
                    log.warning("Machine %s cannot see the queue: %s", machine_name(), error)
                self._away = True
            self._end.wait(self._poll)

    def _repair(self) -> None:
        """Settle what dead workers left: of this machine by their process, of others by lease."""
        self._workspace.runs.settle_orphans()
        for run in self._workspace.runs.requeue_lost(self._lease):
            log.warning("Run %s of machine %s is lost there: %s.", run.id, run.host, run.state)
        self._kill_overdue()
        if self._away:
            log.info("Machine %s: the database answers again.", machine_name())
        self._away = False

    def _check(self, lane: _Lane) -> None:
        if lane.process is not None:
            if lane.process.poll() is None:
                return
            self._ended(lane)
        if time.monotonic() < lane.not_before:
            return
        states = (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING)
        if lane.is_wanted(self._workspace.runs.list(states=states, limit=None)):
            lane.process = self._worker(lane.device, lane.kinds)
            lane.began = time.monotonic()

    def _ended(self, lane: _Lane) -> None:
        """Learn how a worker ended; one that cannot even begin is not started again at once."""
        assert lane.process is not None
        code, lane.process = lane.process.returncode, None
        self._workspace.runs.settle_orphans()
        lane.failures = 0 if code == 0 else lane.failures + 1
        if code != 0:
            pause = min(2.0 ** (lane.failures - 1), _LONGEST_PAUSE_S)
            lane.not_before = time.monotonic() + pause
            log.warning("A worker of %s ended with code %s.", lane.device, code)

    def _worker(self, device: str, kinds: Sequence[str] = KINDS) -> subprocess.Popen[bytes]:
        """A worker in a session of its own; what it prints before its run goes to a small file."""
        command = [sys.executable, "-m", "llm4top.workspace", "--once", "--device", device]
        command += [f"--kind={kind}" for kind in kinds]
        command += ["--folder", str(self._workspace.folder), "--grace", str(self._grace)]
        command += ["--lease", str(self._lease)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        # Threads that spin at barriers cost most of the work where other programs are busy too.
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        environment.pop(URL_VARIABLE, None)
        url = self._workspace.engine.url
        if url.get_backend_name() != "sqlite":
            # Not among the arguments: they are shown to every user of the machine.
            environment[URL_VARIABLE] = url.render_as_string(hide_password=False)
        with (self._folder / ".workers.log").open("wb") as output:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def _folder(self) -> Path:
        return self._workspace.folder / "runs"

    def _kill_overdue(self) -> None:
        """Kill workers that neither stop on request nor kill themselves."""
        stopping = self._workspace.runs.list(states=(RunState.STOPPING,), limit=None)
        now = time.monotonic()
        since = {run.id: self._stopping_since.get(run.id, now) for run in stopping}
        self._stopping_since = since
        for run in stopping:
            # A terminal's own training (adopted, with a folder of its own) is not ours to kill.
            overdue = now - since[run.id] > self._grace + _OVERDUE_S
            if overdue and run.folder is None and run.process is not None:
                send_signal(run.process, signal.SIGKILL)

    def _stop_workers(self) -> None:
        working = [lane.process for lane in self._lanes if lane.process is not None]
        stopping = [p for p in map(Process.of, (w.pid for w in working)) if p is not None]
        for process in stopping:
            send_signal(process, signal.SIGTERM)
        until = time.monotonic() + self._grace
        for process in stopping:
            if not wait_gone(process, max(until - time.monotonic(), 0)):
                send_signal(process, signal.SIGKILL)
        for worker in working:
            worker.wait()
        for lane in self._lanes:
            lane.process = None
        try:
            self._workspace.runs.settle_orphans()
        except DatabaseError as error:
            # The next start settles them.
            log.warning("Machine %s leaves runs unsettled: %s", machine_name(), error)
