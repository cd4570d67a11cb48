"""Several processes train to the gradients and weights of one: DDP and shards, killed or not.

The processes are started as ``torchrun`` starts them, by their environment.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from llm4top.testing import make_tiny_model
from llm4top.training.config import TrainingConfig
from llm4top.training.run import train
from llm4top.training.run_folder import RunFolder
from tests.training import cases
from tests.training.test_run import furthest
from tests.warm import ROOT, hook

pytestmark = pytest.mark.slow

COMPUTE = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import torch
from tests.training.cases import CASES, compute

torch.set_num_threads(1)
for name in CASES:
    compute(name, Path("MODEL"), Path("FOLDER"), batch_size=4)
raise SystemExit
"""

DIES = """
import os, signal
from torch.optim.optimizer import register_optimizer_step_post_hook

steps = 0

def kill(*_):
    global steps
    steps += 1
    if steps == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)

register_optimizer_step_post_hook(kill)
"""


def together(
    patch: pytest.MonkeyPatch, folder: Path, code: str, arguments: Sequence[str] = ()
) -> list[subprocess.CompletedProcess[str]]:
    """Two processes of ``llm4top train`` that run ``code`` first, as they ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    with patch.context() as patched:
        hook(patched, folder, code)
        for rank in range(2):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
            home = {"LLM4TOP_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
            master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            process = subprocess.Popen(
                [sys.executable, "-m", "llm4top", "train", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **place, **home, **master},
            )
            started.append(process)
        ended = [process.communicate(timeout=240) for process in started]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(started, ended, strict=True)
    ]


@pytest.fixture(scope="module")
def computed(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cases, computed in two processes."""
    folder = tmp_path_factory.mktemp("two")
    code = COMPUTE.replace("MODEL", str(tiny_model_folder)).replace("FOLDER", str(folder))
    with pytest.MonkeyPatch.context() as patch:
        ended = together(patch, folder, code)
    assert [p.returncode for p in ended] == [0, 0], [p.stderr[-1500:] for p in ended]
    return folder


@pytest.mark.parametrize("name", cases.CASES)
def test_two_processes_have_the_gradients_and_weights_of_one_with_the_double_batch(
    name: str, computed: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    cases.compute(name.removesuffix("-sharded"), tiny_model_folder, tmp_path, batch_size=8)
    alone, two = (
        load_file(folder / f"{case}.safetensors")
        for folder, case in ((tmp_path, name.removesuffix("-sharded")), (computed, name))
    )
    gradients = {key for key in alone if key.startswith("gradient")}
    assert len(gradients) > 5
    for key in gradients:
        largest = max(float(alone[key].abs().max()), 1.0)
        assert float((alone[key] - two[key]).abs().max()) <= 1e-6 * largest, key
    assert furthest(alone, two) < 1e-5
    found, other = (
        json.loads((folder / f"{case}.json").read_text())
        for folder, case in ((tmp_path, name.removesuffix("-sharded")), (computed, name))
    )
    assert other["losses"] == pytest.approx(found["losses"], abs=1e-5)
    assert other["share"] == pytest.approx(0.5 if name.endswith("-sharded") else 1, abs=0.01)


def test_a_run_whose_process_was_killed_goes_on_to_the_weights_of_one_process(
    settings: Callable[..., TrainingConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With shards, of every weight, and of embeddings that are tied."""
    base = make_tiny_model(tmp_path / "tied", tied=True)
    shape = {
        "base": str(base),
        "tuning": "full",
        "learning_rate": 1e-3,
        "epochs": 1,
        "precision": "fp32",
        "checkpoint_steps": 1,
        "patience": None,
        "calibration": "platt",
    }
    one, two = (
        settings(**shape, batch_size=n, out=tmp_path / name) for n, name in ((10, "1"), (5, "2"))
    )
    file = tmp_path / "two.yaml"
    file.write_text(two.to_yaml())
    command = ["--config", str(file), "--shard"]
    killed = together(monkeypatch, tmp_path, DIES, command)
    run = RunFolder(two.out)
    assert killed[1].returncode == -signal.SIGKILL
    assert killed[0].returncode != 0
    assert not run.is_alive()
    assert run.state()["state"] == "failed"
    place = f"process 0 of 2 on {platform.node()}"
    assert f"Error in {place}: the other processes were lost (" in killed[0].stderr
    assert "Traceback" not in killed[0].stderr
    assert [e["process"] for e in run.events() if e["event"] == "process failed"] == [place]
    assert (run.checkpoints / "checkpoint-2").is_dir()
    ended = together(monkeypatch, tmp_path, "", [*command, "--resume"])
    assert [p.returncode for p in ended] == [0, 0], [p.stderr[-1500:] for p in ended]
    train(one)
    whole: list[Any] = [
        load_file(config.out / "bundle" / "base" / "model.safetensors") for config in (one, two)
    ]
    assert furthest(*whole) < 1e-5
