"""``llm4top select`` through its command: the plan, the choice, a kill and the second call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm4top.cli.app import app
from llm4top.data.dataset import make_dataset
from llm4top.registry.trial import Intervention, Trial
from tests.warm import slow_training

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 100 invented trials, 60 to learn from and 40 to choose by."""
    trials = [
        Trial(
            phase="Phase 2",
            conditions=("asthma",),
            interventions=(Intervention("drug" if n % 2 else "placebo"),),
        )
        for n in range(100)
    ]
    folder = tmp_path_factory.mktemp("data") / "invented"
    make_dataset(
        trials,
        ["success" if n % 2 else "failure" for n in range(100)],
        [f"NCT{90000000 + n}" for n in range(100)],
        ["train"] * 60 + ["valid"] * 40,
        task="outcome",
    ).save(folder)
    return folder


def arguments(data: Path, base: Path, out: Path, *more: object) -> list[str]:
    small = ["max_tokens=128", "lora_rank=4", "device=cpu", "gradient_checkpointing=false"]
    small += ["batch_size=8", "accumulation=1"]
    settings = [part for text in small for part in ("--set", text)]
    paths = ["--data", str(data), "--base", str(base), "--out", str(out)]
    few = ["--preset", "quick", "--least-steps", "2", "--baselines", "tfidf", "--no-probe"]
    return ["select", *paths, *few, *settings, *map(str, more)]


def run(args: list[str], **env: str) -> Result:
    return CliRunner().invoke(app, args, env={"COLUMNS": "120", **env})


def test_a_dry_run_prints_the_plan(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    args = arguments(data, tiny_model, out, "--set", "learning_rate=1e-2,1e-3", "--dry-run")
    result = run([*args, "--seeds", "0,1"])
    assert result.exit_code == 0, result.output
    assert "2 candidates, 2 seeds:" in result.stderr
    assert "tiny-qwen3, learning_rate=1e-3" in result.stderr
    assert "6 runs, " in result.stderr
    assert "2 baselines to compare with" in result.stderr
    assert result.stdout == ""
    plan = json.loads(run([*args, "--format", "json"]).stdout)
    assert plan["runs"] == 3
    assert [rung["most_steps"] for rung in plan["rungs"]] == [3, 8]
    assert plan["candidates"]["tiny-qwen3, learning_rate=1e-2"]["lora_rank"] == 4
    assert not out.exists()


def test_killed_and_called_again_it_goes_on(
    data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_training(monkeypatch, tmp_path, fast=6)  # the steps of the first rung
    out = tmp_path / "s"
    args = arguments(data, tiny_model, out, "--set", "learning_rate=1e-2,1e-3")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "llm4top", *args], env=environment, stderr=subprocess.DEVNULL
    )
    _wait_for(lambda: any("rung 2" in line for line in _events(out)), process)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    finished = [p for p in (out / "runs").iterdir() if "3steps" in p.name]
    before = {p.name: (p / "events.jsonl").read_bytes() for p in finished}
    assert len(before) == 2

    result = run(args, OMP_NUM_THREADS="1")
    assert result.exit_code == 0, result.output
    assert {name: (out / "runs" / name / "events.jsonl").read_bytes() for name in before} == before
    text = " ".join(result.stderr.split())
    assert "rung 1: tiny-qwen3" in text
    assert "Chosen: " in text
    selection = json.loads((out / "selection.json").read_text())
    assert result.stdout == f"{out}/{selection['winner']['folder']}\n"
    assert (out / "report.html").is_file()

    # Every run is there by now, so a third call only says again what was chosen.
    again = run([*args, "--format", "json"], OMP_NUM_THREADS="1")
    assert json.loads(again.stdout)["why"] == selection["why"]
    verified = run(["bundle", "verify", str(out / selection["language_bundle"])])
    assert verified.exit_code == 0, verified.output


def _events(out: Path) -> list[str]:
    file = out / "events.jsonl"
    return file.read_text().splitlines() if file.is_file() else []


def _wait_for(condition, process: subprocess.Popen[bytes]) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--seeds", "a,b"], 2, "is not a list of whole numbers such as 0,1,2"),
        (["--set", "lora_rank"], 2, "'lora_rank' is not KEY=VALUE"),
        (["--set", "lora_rnak=4"], 2, "no such setting (did you mean lora_rank?)"),
        (["--eta", "1"], 2, "eta: must be 2 or more, not 1"),
        (["--baselines", "forrest"], 2, "'forrest' is none of"),
        (["--base", "nowhere", "--dry-run"], 2, "The selection would fail: see above."),
    ],
)
def test_what_is_wrong_is_told(
    more: list[str], code: int, told: str, data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = run(arguments(data, tiny_model, tmp_path / "s", *more))
    assert result.exit_code == code
    assert told in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "s").exists()


def test_candidates_from_a_file(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "candidates.yaml"
    file.write_text("- {name: small, lora_rank: 2}\n- {name: whole, tuning: full}\n")
    args = arguments(data, tiny_model, tmp_path / "s", "--config", file, "--dry-run")
    plan = json.loads(run([*args, "--format", "json", "--no-stack"]).stdout)
    assert list(plan["candidates"]) == ["small", "whole"]
    args.remove("--no-probe")
    plan = json.loads(run([*args, "--format", "json", "--no-stack"]).stdout)
    assert list(plan["candidates"]) == ["small", "whole", "tiny-qwen3, tuning=probe"]
