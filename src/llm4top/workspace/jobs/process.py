"""Processes: signals that cannot reach a stranger, and priorities."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from llm4top.workspace.run_states import Process

_POLL_S = 0.05
_NICE = 5


def lower_priority() -> None:
    """Lower this process's priority, so that interactive work is served first."""
    os.nice(_NICE)
    # Linux may share its time between sessions first and among the processes of one only then.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICE), "ascii")


def send_signal(process: Process, number: signal.Signals) -> bool:
    """Signal that very process: a pid alone may have gone to a stranger since.

    SIGKILL also reaches what it started, where it leads a group.

    Gives False, and touches nothing, where the process is gone, on another machine, or its pid
    is a stranger's by now.
    """
    if not (process.is_here and process.is_alive):
        return False
    try:
        if number is signal.SIGKILL and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            # A polite stop is for the process itself: it ends its own children as it sees fit.
            os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def wait_gone(process: Process, seconds: float) -> bool:
    """Wait until that process is gone, at most so long; whether it is."""
    until = time.monotonic() + seconds
    while process.is_alive:
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_S)
    return True
