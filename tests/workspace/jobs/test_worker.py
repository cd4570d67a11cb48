"""Workers: trainings that are stopped, killed and gone on with lose nothing that was finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llm4top.progress import Progress
from llm4top.testing import make_tiny_model
from llm4top.training.config import make_config
from llm4top.training.run import train
from llm4top.training.run_folder import RunFolder
from llm4top.workspace.jobs.job_progress import Reporter
from llm4top.workspace.jobs.jobs import log_tail, submit
from llm4top.workspace.jobs.worker import LOG_FILE
from llm4top.workspace.run_states import Process, Run, RunState
from llm4top.workspace.workspace import Workspace
from tests.warm import slow_training
from tests.workspace.tiny import in_training, quick_training, save_tiny_dataset, wait_for

pytestmark = pytest.mark.slow

LONG: dict[str, Any] = {
    "epochs": 8,
    "evals_per_epoch": 1,
    "checkpoint_steps": 6,
    "lora_dropout": 0.1,
    "max_tokens": 128,
}
STUBBORN = """
import sys, time
from llm4top.workspace import __main__; from llm4top.workspace.jobs import work as _work

def do(job):
    while True:
        try:
            time.sleep(1)
        except KeyboardInterrupt:
            pass
_work.do = do
__main__.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model and an invented data set."""
    folder = tmp_path_factory.mktemp("material")
    return make_tiny_model(folder / "tiny"), save_tiny_dataset(folder / "data")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace for the module: its runs are told apart by their ids."""
    with Workspace.open(tmp_path_factory.mktemp("shared") / "home") as opened:
        yield opened


def start_worker(workspace: Workspace, *more: str, code: str = "") -> subprocess.Popen[bytes]:
    program = ["-c", code] if code else ["-m", "llm4top.workspace"]
    command = [sys.executable, *program, "--once", "--device", "cpu"]
    return subprocess.Popen(
        [*command, "--folder", str(workspace.folder), *more],
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "bundle" / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def ordeal(
    shared: Workspace, material: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A training whose worker is killed, that is resumed, stopped, resumed again, and ends."""
    with pytest.MonkeyPatch.context() as patch:
        go = slow_training(patch, tmp_path_factory.mktemp("slow"))
        return put_through(shared, material, go)


def put_through(shared: Workspace, material: tuple[Path, Path], go: Path) -> Run:
    run = submit(shared, "train", quick_training(*material, **LONG))
    worker = start_worker(shared)
    begun = wait_for(shared, run, in_training)
    assert begun.process == Process.of(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert shared.runs.get(run.id).state is RunState.RUNNING
    assert [found.id for found in shared.runs.settle_orphans()] == [run.id]
    assert RunFolder(shared.runs.folder(run.id)).state()["state"] == "running"

    shared.runs.resume(run.id)
    worker = start_worker(shared)
    wait_for(shared, run, in_training)
    assert shared.runs.request_stop(run.id).state is RunState.STOPPING
    assert worker.wait(120) == 0
    stopped = shared.runs.get(run.id)
    assert stopped.state is RunState.INTERRUPTED
    assert stopped.error == "Stopped on request; it can be resumed."
    folder = RunFolder(shared.runs.folder(run.id))
    assert folder.state()["state"] == "interrupted"
    assert any(folder.checkpoints.iterdir())

    go.touch()
    shared.runs.resume(run.id)
    assert start_worker(shared).wait(120) == 0
    done = shared.runs.get(run.id)
    assert (done.state, done.attempt) == (RunState.DONE, 3), log_tail(shared, run.id)
    return done


def test_killed_and_stopped_it_ends_at_the_weights_of_an_uninterrupted_training(
    shared: Workspace, ordeal: Run, material: tuple[Path, Path], tmp_path: Path
) -> None:
    alone = {**quick_training(*material, **LONG), "out": tmp_path / "alone"}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers do
    train(make_config(None, alone))
    torch.set_num_threads(threads)
    ours = adapter(shared.runs.folder(ordeal.id))
    theirs = adapter(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    told = shared.runs.events(ordeal.id, kind="folder")
    begins = [event.details["resume"] for event in told if event.details["event"] == "begin"]
    assert begins == [False, True, True]
    assert len(told) == len(RunFolder(shared.runs.folder(ordeal.id)).events())
    assert any(event.details["event"] == "evaluation" for event in told)


def test_a_finished_run_has_a_bundle_figures_and_a_log(shared: Workspace, ordeal: Run) -> None:
    result = ordeal.result
    bundle = shared.bundles.get(result["bundle_id"])
    assert bundle.name == result["name"] == "tiny-data"
    assert result["metrics"]["n"] == 40
    assert result["reload_difference"] <= 1e-4
    assert ordeal.process is None
    assert log_tail(shared, ordeal.id)[-1].endswith("Done.")
    folder = shared.runs.folder(ordeal.id)
    assert (folder / LOG_FILE).stat().st_mode & 0o777 == 0o600


def test_progress_tells_every_stage_in_order(shared: Workspace, ordeal: Run) -> None:
    events = shared.runs.events(ordeal.id, kind="progress")
    stages = list(dict.fromkeys(event.details["stage"] for event in events))
    assert stages[0] == "preflight"
    assert "training" in stages
    assert stages[-1] == "done"
    assert all(event.details["memory"] > 1_000_000 for event in events)


def test_progress_is_throttled_and_the_last_word_is_heard(local: Workspace) -> None:
    run = local.runs.submit("train", {})
    local.runs.claim(Process.current())
    report = Reporter(local, run.id, 1, every=0.2)
    began = time.monotonic()
    for done in range(1, 101):
        report(Progress("training", done, 200))
        time.sleep(0.005)
    report.flush(force=True)
    told = [e.details["done"] for e in local.runs.events(run.id, kind="progress")]
    assert 3 <= len(told) <= 2 + (time.monotonic() - began) / 0.2
    assert (told[0], told[-1]) == (1, 100)
    # Half a second is too little to judge by.
    assert local.runs.get(run.id).progress["eta_seconds"] is None


def test_progress_of_an_attempt_that_is_over_is_not_heard(local: Workspace) -> None:
    run = local.runs.submit("train", {})
    local.runs.claim(Process.current())
    local.runs.interrupt(run.id, "gone")
    local.runs.resume(run.id)
    local.runs.claim(Process.current())
    Reporter(local, run.id, 1)(Progress("training", 7, 10))
    assert local.runs.get(run.id).progress == {}


def test_a_run_that_cannot_be_done_says_why(shared: Workspace, tmp_path: Path) -> None:
    (tmp_path / "notes.xml").write_text("<rss/>")
    source = {"name": "nothing", "sources": [str(tmp_path / "notes.xml")]}
    run = submit(shared, "ingest", source)
    assert start_worker(shared).wait(120) == 0
    failed = shared.runs.get(run.id)
    assert failed.state is RunState.FAILED
    assert "no labelled" in (failed.error or "")
    event = shared.runs.events(run.id, kind="state")[-1]
    assert event.details["code"] == "DatasetError"


def test_a_busy_device_takes_no_second_worker(
    shared: Workspace, material: tuple[Path, Path]
) -> None:
    first, second = (submit(shared, "train", quick_training(*material)) for _ in range(2))
    assert shared.runs.claim(Process.current(), device="cpu") is not None
    assert start_worker(shared).wait(120) == 0
    assert shared.runs.get(second.id).state is RunState.QUEUED
    shared.runs.interrupt(first.id, "enough")
    shared.runs.request_stop(second.id)


def test_a_worker_that_does_not_stop_is_killed_after_the_grace_time(
    shared: Workspace, material: tuple[Path, Path]
) -> None:
    run = submit(shared, "train", quick_training(*material))
    worker = start_worker(shared, "--grace", "0.5", code=STUBBORN)
    wait_for(shared, run, lambda run: run.state is RunState.RUNNING)
    shared.runs.request_stop(run.id)
    assert worker.wait(120) == -signal.SIGKILL
    shared.runs.settle_orphans()
    assert shared.runs.get(run.id).state is RunState.INTERRUPTED
    assert log_tail(shared, run.id, 1)[0].endswith("It did not stop within 0.5 s and is killed.")


def test_a_later_attempt_does_not_wait_for_the_locks_of_a_lost_machine(
    shared: Workspace, material: tuple[Path, Path]
) -> None:
    run = submit(shared, "train", {**quick_training(*material), "max_steps": 2})
    shared.runs.claim(Process(1, 1.0, "lost"), device="cpu", lease=-1)
    shared.runs.requeue_lost(lease=0)
    # A file server may keep the lock of a machine that is gone.
    with RunFolder(shared.folder / "runs" / run.id).locked():
        assert start_worker(shared).wait(120) == 0
    done = shared.runs.get(run.id)
    assert (done.state, done.attempt) == (RunState.DONE, 2), log_tail(shared, run.id)
