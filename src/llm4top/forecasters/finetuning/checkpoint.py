"""Checkpoints of a fine-tuning run: safetensors and JSON, complete or absent.

transformers stores optimiser, scheduler and random state with ``torch.save``, a pickle, and its
arguments with them. Ours hold nothing that could run::

    checkpoint-120/
      weights.safetensors      the trained parameters
      optimiser.safetensors    AdamW's moments and step counts, "<parameter>.<name>"
      state.json               parameter groups and the schedule's position
      trainer_state.json       step, history and best evaluation (transformers' TrainerState)
      random-0.safetensors     random state of process 0, and so on; with random-0.json
    best-80/weights.safetensors

A folder is written under another name and renamed when it is whole, so that a kill at any moment
leaves either the complete checkpoint or none.
"""

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from llm4top.errors import ResumeError
from llm4top.forecasters.model.sharding import gathered, shard_like

STATE_FILE = "trainer_state.json"
WEIGHTS_FILE = "weights.safetensors"
_STAGING = ".unfinished-"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_BEST = re.compile(r"best-(\d+)")


def checkpoint_folder(folder: Path, step: int) -> Path:
    """The folder of the checkpoint after optimiser step ``step``."""
    return folder / f"checkpoint-{step}"


def best_folder(folder: Path, step: int) -> Path:
    """Where the weights of the best evaluation, at ``step``, lie."""
    return folder / f"best-{step}"


def staging_folder(target: Path) -> Path:
    """Where ``target`` is written until it is whole; emptied of what a killed run left."""
    staging = target.with_name(_STAGING + target.name)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    return staging


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint in ``folder``, or None."""
    steps = [step for step, _ in _numbered(folder, _CHECKPOINT)]
    return checkpoint_folder(folder, max(steps)) if steps else None


def discard_old(folder: Path, *, keep: int) -> None:
    """Keep the newest ``keep`` checkpoints, the best weights they name, and nothing unfinished."""
    checkpoints = sorted(_numbered(folder, _CHECKPOINT))
    for _, old in checkpoints[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    kept = [path for _, path in checkpoints[-keep:]]
    states = [json.loads((path / STATE_FILE).read_text("utf-8")) for path in kept]
    named = {state.get("best_global_step") for state in states}
    for step, path in _numbered(folder, _BEST):
        if step not in named:
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(_STAGING + "*"):
        shutil.rmtree(path, ignore_errors=True)


def _numbered(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[int, Path]]:
    for path in folder.iterdir() if folder.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match:
            yield int(match[1]), path


def optimiser_tensors(optimiser: Any) -> dict[str, torch.Tensor]:
    """The optimiser's tensors whole, on the CPU of process 0; all processes call this."""
    return gathered(
        {
            f"{parameter}.{name}": value
            for parameter, values in optimiser.state_dict()["state"].items()
            for name, value in values.items()
        }
    )


def save_optimiser(
    folder: Path, tensors: dict[str, torch.Tensor], optimiser: Any, scheduler: Any
) -> None:
    """Write the optimiser's tensors and, as JSON, its groups and the schedule's position."""
    state = optimiser.state_dict()
    save_file(tensors, folder / "optimiser.safetensors")
    schedule = {k: v for k, v in scheduler.state_dict().items() if k != "lr_lambdas"}
    plain = {"groups": state["param_groups"], "schedule": schedule}
    (folder / "state.json").write_text(json.dumps(plain, indent=1), "utf-8")


def load_optimiser(folder: Path, optimiser: Any, scheduler: Any) -> None:
    """Inverse of ``save_optimiser``, into an optimiser and a schedule made the same way."""
    plain = json.loads((folder / "state.json").read_text("utf-8"))
    state: dict[int, dict[str, Any]] = {}
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for key, value in load_file(folder / "optimiser.safetensors").items():
        number, name = key.split(".", 1)
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:
            value = shard_like(parameter, value)
        state.setdefault(int(number), {})[name] = value
    groups = [{**group, "betas": tuple(group["betas"])} for group in plain["groups"]]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    scheduler.load_state_dict({**scheduler.state_dict(), **plain["schedule"]})


def save_random_state(folder: Path, process: int) -> None:
    """Write this process's random state: torch's (all devices), numpy's and Python's."""
    tensors = {"cpu": torch.random.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        tensors["mps"] = torch.mps.get_rng_state()
    save_file(tensors, folder / f"random-{process}.safetensors")
    _, keys, *numpy_rest = np.random.get_state(legacy=True)
    plain = {"python": random.getstate(), "numpy": [np.asarray(keys).tolist(), *numpy_rest]}
    (folder / f"random-{process}.json").write_text(json.dumps(plain), "utf-8")


def load_random_state(folder: Path, process: int) -> None:
    """Inverse of ``save_random_state``.

    Raises ``ResumeError`` where the run had fewer processes: it could not end at the same weights.
    """
    file = folder / f"random-{process}.json"
    if not file.is_file():
        raise ResumeError(
            f"no random state of process {process}.",
            where=str(folder),
            hint="Resume with as many processes as the run had.",
        )
    tensors = load_file(file.with_suffix(".safetensors"))
    torch.random.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    if "mps" in tensors and torch.backends.mps.is_available():
        torch.mps.set_rng_state(tensors["mps"])
    plain = json.loads(file.read_text("utf-8"))
    version, keys, gauss = plain["python"]
    random.setstate((version, tuple(keys), gauss))
    keys, *rest = plain["numpy"]
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), *rest))
