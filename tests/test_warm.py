"""A fork of a warm process is the process that its command would have been."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import PIPE

import pytest

from tests import warm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not warm.is_possible(), reason="every process is started as always here"),
]

REFUSED = [sys.executable, "-m", "llm4top", "forecast", "absent.xml"]
WAITING = [sys.executable, "-m", "llm4top.workspace", "--device", "none here"]


def test_it_says_and_ends_as_one_that_was_started(tmp_path):
    environment = {**os.environ, "LLM4TOP_HOME": str(tmp_path / "home")}
    ends = []
    for more in ({}, {warm.COLD: "1"}):
        with subprocess.Popen(
            REFUSED,
            env={**environment, **more},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert (process._link is None) is bool(more)
            ends.append((*process.communicate(), process.returncode))
    assert ends[0] == ends[1]
    assert ends[0][2] == 2
    assert "absent.xml" in ends[0][1]


def test_it_is_signalled_and_waited_for_as_one_that_was_started(tmp_path):
    environment = {**os.environ, "LLM4TOP_HOME": str(tmp_path / "home")}
    with subprocess.Popen(WAITING, env=environment, start_new_session=True) as process:
        try:
            end = time.monotonic() + 60
            while os.getsid(process.pid) != process.pid and time.monotonic() < end:
                time.sleep(0.01)
            assert os.getsid(process.pid) == process.pid
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert process.poll() == -signal.SIGKILL


def test_asyncio_waits_for_it_as_for_one_that_was_started(tmp_path):
    async def ended() -> tuple[int | None, bytes]:
        process = await asyncio.create_subprocess_exec(*REFUSED, cwd=tmp_path, stderr=PIPE)
        _, said = await process.communicate()
        return process.returncode, said

    code, said = asyncio.run(ended())
    assert code == 2
    assert b"absent.xml" in said


@pytest.mark.parametrize(
    ("command", "libraries"),
    [
        (REFUSED, "torch"),
        (WAITING, "torch"),
        ([sys.executable, "-c", "pass", "studio"], "studio"),
        ([sys.executable, "-c", f"from {warm.TRAIN_PLAN} import main", "check"], "torch"),
        ([sys.executable, "-m", "llm4top", "forecast", "--help"], ""),
        ([sys.executable, "-m", "llm4top", "inspect", "x"], ""),
        ([sys.executable, "-m", "llm4top.workspace.serving.parsing_child", "3"], ""),
        ([sys.executable, "-u", "-m", "llm4top", "train"], "torch"),
        ([sys.executable, "-m", "torch.distributed.run", "-m", "llm4top", "train"], "torch"),
        ([sys.executable], ""),
        (["python", "-m", "llm4top", "forecast"], ""),
        ("llm4top forecast", ""),
    ],
)
def test_only_what_imports_much_is_forked(command, libraries):
    assert warm.libraries_of(command) == libraries


def test_another_path_of_modules_is_none_of_its(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(REFUSED, env=environment, stderr=subprocess.DEVNULL) as process:
        assert process._link is None
