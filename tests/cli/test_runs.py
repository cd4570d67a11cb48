"""``llm4top runs``: trainings of a terminal and runs of the Studio are the same runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import pytest
import yaml
from typer.testing import CliRunner, Result

from llm4top.cli.app import app
from llm4top.cli.train import registered
from llm4top.progress import Progress
from llm4top.training.run_folder import RunFolder
from llm4top.workspace.run_states import Process, Run, RunState
from llm4top.workspace.workspace import Workspace
from tests.warm import slow_training
from tests.workspace.tiny import in_training, over, quick_training, save_tiny_dataset, wait_for

pytestmark = pytest.mark.slow


def runs(*args: str) -> Result:
    return CliRunner().invoke(app, ["runs", *args], env={"COLUMNS": "160"})


@pytest.fixture
def workspace(home: Path) -> Workspace:
    with Workspace.open(home) as opened:
        yield opened


def test_without_runs_it_says_how_to_begin_one() -> None:
    result = runs()
    assert result.exit_code == 0, result.output
    assert "There are no runs yet. Start one with llm4top train" in result.stderr


def test_a_list_tells_how_runs_stand(workspace: Workspace) -> None:
    first = workspace.runs.submit("train", {}, title="[red]My\x1b[2J training", device="cpu")
    workspace.runs.claim(Process.current(), device="cpu")
    step = {"stage": "training", "done": 3, "total": 10, "eta_seconds": 90.0}
    workspace.runs.add_event(first.id, "progress", step)
    second = workspace.runs.submit("audit", {})
    workspace.runs.request_stop(second.id)
    result = runs("list")
    assert result.exit_code == 0, result.output
    # What came from elsewhere steers neither the colours nor the terminal.
    assert "[red]My" in result.stdout
    assert "\x1b" not in result.stdout
    assert f"{first.id[:8]}  train  running" in result.stdout
    assert "training 3 of 10, 2 min left" in result.stdout
    assert "Stopped before it began." in result.stdout
    listed = json.loads(runs("list", "--format", "json", "--limit", "1").stdout)
    assert [run["id"] for run in listed] == [second.id]
    assert listed[0]["state"] == "interrupted"


def test_the_machine_is_listed_where_there_are_several(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = workspace.runs.submit("audit", {}, device="cpu")
    workspace.runs.claim(Process.current(), device="cpu")
    here = workspace.runs.get(run.id).machine
    assert "Machine" not in runs("list").stdout
    monkeypatch.setenv("LLM4TOP_MACHINE", "desk")
    listed = runs("list").stdout
    assert "Machine" in listed
    assert str(here) in listed
    assert re.search(rf"Machine +{here} *\n", runs("show", run.id).stdout)
    assert json.loads(runs("list", "--format", "json").stdout)[0]["host"] == here


def test_one_run_is_shown_with_its_log(workspace: Workspace) -> None:
    run = workspace.runs.submit("audit", {"data": "x", "seed": 3}, title="Leaks?")
    log = workspace.folder / "runs" / run.id / "worker.log"
    log.parent.mkdir()
    log.write_text("one\ntwo\n")
    result = runs("show", run.id[:6], "--lines", "1")
    assert result.exit_code == 0, result.output
    for words in (run.id, "queued", "Leaks?", "seed: 3", "two"):
        assert words in result.stdout
    assert "one\n" not in result.stdout
    shown = json.loads(runs("show", run.id, "--format", "json").stdout)
    assert shown["log"] == ["one", "two"]
    assert shown["folder"] == str(log.parent)


def test_a_finished_training_shows_its_times_figures_and_log(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.config_file.write_text(yaml.safe_dump({"name": "My trials"}))
    folder.set_state("running")
    workspace.runs.adopt(folder.path)
    figure = {"value": 0.7, "lower": 0.61, "upper": 0.79}
    folder.add_event("checkpoint", step=12, log_loss=0.61234567)
    folder.add_event("figures", split="valid", n=88, forecasters={"bundle": {"roc_auc": figure}})
    folder.set_state("done")
    run = workspace.runs.adopt(folder.path)
    assert run.title == "My trials"
    result = runs("show", run.id[:8])
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert re.search(r"Times created \d{4}-\d\d-\d\d .*, finished \d{4}-", words)
    assert "On 88 trials of the split valid: roc auc bundle " in words
    assert "checkpoint step=12 log_loss=0.6123" in words
    shown = json.loads(runs("show", run.id, "--format", "json").stdout)
    assert shown["figures"]["n"] == 88
    assert len(shown["log"]) == 2


def test_a_run_is_deleted_when_that_is_confirmed(workspace: Workspace) -> None:
    run = workspace.runs.submit("audit", {}, title="Leaks?")
    waiting = runs("delete", run.id[:8], "--yes")
    assert waiting.exit_code == 2
    assert "the run is queued. Stop it first." in waiting.stderr
    workspace.runs.request_stop(run.id)
    kept = CliRunner().invoke(app, ["runs", "delete", run.id[:8]], input="n\n")
    assert kept.exit_code == 1
    assert f"Delete run {run.id[:8]} (Leaks?)?" in kept.stderr
    assert runs("delete", run.id[:8], "--yes").exit_code == 0
    assert not workspace.runs.list()


def test_a_run_is_named_by_the_beginning_of_its_id(workspace: Workspace) -> None:
    for _ in range(17):
        workspace.runs.submit("audit", {})
    ids = [run.id for run in workspace.runs.list()]
    shared = next(i[0] for i in ids if sum(other[0] == i[0] for other in ids) > 1)
    result = runs("stop", shared)
    assert result.exit_code == 2
    assert f"runs have an id that begins with '{shared}'. Give more of it." in result.stderr
    result = runs("show", "zz")
    assert result.exit_code == 2
    assert "there is no run 'zz'" in result.stderr


def test_what_is_over_is_not_stopped(workspace: Workspace) -> None:
    run = workspace.runs.submit("audit", {})
    stopped = runs("stop", run.id[:8])
    assert stopped.exit_code == 0
    assert f"Run {run.id[:8]} is interrupted." in stopped.stderr
    again = runs("stop", run.id)
    assert again.exit_code == 2
    assert "the run is interrupted and cannot be stopped." in again.stderr
    resumed = runs("resume", run.id[:8])
    assert resumed.exit_code == 0
    assert (
        f"Run {run.id[:8]} waits for a device.\nIt resumes when the Studio is "
        "open (llm4top studio), or llm4top worker runs." in resumed.stderr
    )
    assert workspace.runs.get(run.id).state is RunState.QUEUED


def begin(folder: Path) -> RunFolder:
    """A training of this very process, as far as its folder tells."""
    run = RunFolder(folder)
    folder.mkdir()
    run.config_file.write_text(yaml.safe_dump({"base": "x/y"}))
    run.set_state("running")
    return run


def test_a_stop_that_is_asked_for_elsewhere_arrives_as_a_signal(
    workspace: Workspace, tmp_path: Path
) -> None:
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, hear)
    folder = begin(tmp_path / "run")
    try:
        with folder.locked(), registered(folder.path, is_main=True) as tell:
            tell(Progress("training", 2, 9))
            run = seen(workspace)
            run = wait_for(workspace, run, in_training, 20)
            assert run.state is RunState.RUNNING
            assert run.folder == str(folder.path)
            assert runs("stop", run.id[:8]).exit_code == 0
            until = time.monotonic() + 10
            while not heard and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(1.5)
            assert heard == [signal.SIGTERM]
            folder.set_state("interrupted", message="stopped on request")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert workspace.runs.get(run.id).state is RunState.INTERRUPTED


def seen(workspace: Workspace) -> Run:
    """The one run, once it is registered."""
    until = time.monotonic() + 120
    while not (found := workspace.runs.list()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found[0]


def test_a_workspace_that_cannot_be_opened_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLM4TOP_HOME", str(tmp_path / "file"))
    with registered(begin(tmp_path / "run").path, is_main=True) as tell:
        tell(Progress("training", 1, 2))
    said = capsys.readouterr().err
    assert said.startswith("This training is not shown in the Studio: ")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_a_training_that_has_ended_reports_nothing_more(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = begin(tmp_path / "run")
    with folder.locked(), registered(folder.path, is_main=True) as tell:
        run = seen(workspace)
        folder.set_state("done")
        tell(Progress("done", 9, 9))
    assert workspace.runs.get(run.id).state is RunState.DONE
    assert not caplog.records


def test_a_training_that_never_began_leaves_no_trace(home: Path, tmp_path: Path) -> None:
    with registered(tmp_path / "run", is_main=True):
        pass
    with registered(begin(tmp_path / "other").path, is_main=False):
        pass
    assert not home.exists()


def test_a_run_of_the_studio_is_no_second_run_in_a_terminal(workspace: Workspace) -> None:
    run = workspace.runs.submit("train", {})
    with registered(begin(workspace.runs.folder(run.id)).path, is_main=True):
        pass
    assert [found.id for found in workspace.runs.list()] == [run.id]


def test_a_terminal_training_is_stopped_resumed_and_finished_as_a_run(
    home: Path,
    workspace: Workspace,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = slow_training(monkeypatch, tmp_path)
    data = save_tiny_dataset(tmp_path / "data")
    settings = quick_training(tiny_model, data, epochs=8, evals_per_epoch=1, checkpoint_steps=6)
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump({**settings, "out": str(tmp_path / "run")}))
    command = [sys.executable, "-m", "llm4top", "train", "--config", str(config)]
    environment = {**os.environ, "LLM4TOP_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as terminal:
        run = wait_for(workspace, seen(workspace), in_training)
        assert run.process is not None
        assert run.process.pid == terminal.pid
        assert runs("stop", run.id[:8]).exit_code == 0
        assert terminal.wait(120) == 130
    stopped = wait_for(workspace, run, over)
    assert stopped.state is RunState.INTERRUPTED
    go.touch()
    result = runs("resume", run.id[:8], "--wait")
    assert result.exit_code == 0, result.output
    assert f"Run {run.id[:8]} is done." in result.stderr
    done = workspace.runs.get(run.id)
    assert workspace.bundles.get(done.result["bundle_id"]).name == "run"
    assert (tmp_path / "run" / "bundle" / "manifest.json").is_file()
    assert run.id[:8] in runs("list").stdout
