"""Signals go to the very process that was meant, or to nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from llm4top.workspace.jobs.process import send_signal, wait_gone
from llm4top.workspace.run_states import Process

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
HAS_CHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEPS, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def identity(pid: int) -> Process:
    found = Process.of(pid)
    assert found is not None
    return found


def test_the_very_process_is_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    process = identity(sleeper.pid)
    assert send_signal(process, signal.SIGTERM)
    assert wait_gone(process, 10)
    assert sleeper.wait() == -signal.SIGTERM


def test_a_stranger_with_the_same_pid_is_not_touched(sleeper: subprocess.Popen[bytes]) -> None:
    gone = replace(identity(sleeper.pid), started=time.time() - 3600)
    for number in (signal.SIGTERM, signal.SIGKILL):
        assert not send_signal(gone, number)
    assert wait_gone(gone, 0)
    assert sleeper.poll() is None


def test_a_process_of_another_machine_is_not_touched(sleeper: subprocess.Popen[bytes]) -> None:
    elsewhere = replace(identity(sleeper.pid), host="elsewhere.example")
    assert not send_signal(elsewhere, signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_kill_reaches_what_the_process_started() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HAS_CHILD], start_new_session=True, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = identity(int(parent.stdout.readline()))
        assert send_signal(identity(parent.pid), signal.SIGKILL)
        parent.wait()
    assert wait_gone(child, 10)


def test_a_process_that_stays_is_not_gone(sleeper: subprocess.Popen[bytes]) -> None:
    assert not wait_gone(identity(sleeper.pid), 0.1)


def test_a_worker_gives_way_and_takes_what_it_starts_along():
    code = (
        "import os, subprocess, sys; from llm4top.workspace.jobs.process import lower_priority\n"
        "before = os.nice(0); lower_priority()\n"
        "child = [sys.executable, '-c', 'import os; print(os.nice(0))']\n"
        "print(os.nice(0) - before, int(subprocess.check_output(child)) - before)"
    )
    told = subprocess.check_output([sys.executable, "-c", code], start_new_session=True)
    least = min(5, 19 - os.nice(0))
    assert told.split() == [str(least).encode()] * 2
