"""The server and a worker are killed in mid-training: nothing finished is lost, all goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from llm4top.testing import make_tiny_model
from llm4top.workspace.run_states import Process
from llm4top.workspace.workspace import Workspace
from tests.studio._server import Server, start_server, stop_server
from tests.warm import slow_training
from tests.workspace.tiny import quick_training, save_tiny_dataset

WAIT = 280
LONG = {"epochs": 10, "evals_per_epoch": 1, "checkpoint_steps": 6, "log_steps": 2}


def ask(server: Server, path: str, body: Any = None, method: str = "") -> dict[str, Any]:
    sent = b"" if body is None else json.dumps(body).encode()
    answer = server.ask(
        f"/api/v1{path}",
        method=method or ("GET" if body is None else "POST"),
        headers={"Content-Type": "application/json"} if sent else {},
        body=sent,
        patience=WAIT,
    )
    assert answer.status < 300, answer.text
    return answer.json()


def wait_until(server: Server, run: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if holds(found := ask(server, f"/runs/{run}")):
            return found
        time.sleep(0.2)
    raise AssertionError(f"it never came to that: {found}")


def training(step: int) -> Callable[[dict[str, Any]], bool]:
    def holds(run: dict[str, Any]) -> bool:
        progress = run["progress"]
        return progress.get("stage") == "training" and progress.get("done", 0) >= step

    return holds


def process_of(home: Path, run: str) -> Process:
    """The process of the worker that does a run."""
    with Workspace.open(home) as workspace:
        process = workspace.runs.get(run).process
    assert process is not None
    return process


@pytest.mark.slow
def test_what_was_finished_survives_kills_of_the_server_and_of_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = slow_training(monkeypatch, tmp_path)
    home = tmp_path / "home"
    make_tiny_model(home / "models" / "invented--tiny")
    save_tiny_dataset(tmp_path / "data")
    with Workspace.open(home) as workspace:
        dataset = workspace.datasets.register(tmp_path / "data").id
    record = json.loads((files("llm4top") / "examples" / "example.json").read_text("utf-8"))
    server = start_server(home)
    try:
        (made,) = ask(server, "/forecasts", record)["forecasts"]
        settings = quick_training(Path("invented/tiny"), Path(), **LONG)
        del settings["data"]
        asked = {"kind": "train", "settings": {**settings, "dataset": dataset}}
        run = ask(server, "/runs", asked)["id"]
        wait_until(server, run, training(8))
        worker = process_of(home, run)

        server.end(signal.SIGKILL)
        assert worker.is_alive
        assert intact(home)
        server = start_server(home)
        kept = ask(server, "/forecasts")["items"]
        assert [(item["id"], item["probability"]) for item in kept] == [
            (made["id"], made["probability"])
        ]
        before = wait_until(server, run, lambda found: found["state"] in ("running", "done"))
        assert (before["state"], before["attempt"]) == ("running", 1)

        os.kill(worker.pid, signal.SIGKILL)
        stopped = wait_until(server, run, lambda found: found["state"] != "running")
        assert stopped["state"] == "interrupted"
        assert intact(home)
        go.touch()
        ask(server, f"/runs/{run}/resume", method="POST")
        done = wait_until(server, run, lambda found: found["state"] in ("done", "failed"))
        assert (done["state"], done["attempt"]) == ("done", 2), done["error"]
        assert done["result"]["reload_difference"] < 1e-4
        with Workspace.open(home) as workspace:
            told = [e.details for e in workspace.runs.events(run, kind="folder", limit=None)]
        begun = [event["step"] for event in told if event["event"] == "training"]
        assert len(begun) == 2
        assert begun[1] >= 6
    finally:
        stop_server(server)


def intact(home: Path) -> bool:
    link = sqlite3.connect(home / "llm4top.db")
    try:
        return bool(link.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    finally:
        link.close()
