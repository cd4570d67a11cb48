"""``llm4top worker``: it says who it is, and serves the queue until it is told to end."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llm4top.cli.app import app
from llm4top.workspace.jobs.supervisor import Supervisor

pytestmark = pytest.mark.slow


def test_it_serves_the_queue_until_it_is_told_to_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM4TOP_MACHINE", "gpu-2")
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    began: list[Supervisor] = []
    start = Supervisor.start

    def end_soon(self: Supervisor) -> None:
        start(self)
        began.append(self)

        def end() -> None:
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=end).start()

    monkeypatch.setattr(Supervisor, "start", end_soon)
    result = CliRunner().invoke(app, ["worker", "--device", "cpu"])
    for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
        signal.signal(number, handler)
    assert result.exit_code == 0, result.output
    assert "Machine gpu-2 takes runs for cpu." in result.stderr
    assert f"Folder: {home}. Database: llm4top.db in the folder." in result.stderr
    assert [supervisor.is_running for supervisor in began] == [False]


def test_a_device_that_no_run_waits_for_is_refused(home: Path) -> None:
    result = CliRunner().invoke(app, ["worker", "--device", "cuda0"])
    assert result.exit_code == 2
    assert "'cuda0' is not cpu, cuda:N or mps." in " ".join(result.output.split())
    assert not home.exists() or not list(home.iterdir())
