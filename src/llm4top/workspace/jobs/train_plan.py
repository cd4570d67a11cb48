"""A training as it is chosen on a page: its settings, its command line, and how long it takes."""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4top.errors import ConfigError, DatasetError, LLM4TOPError
from llm4top.text import about, thousands
from llm4top.workspace.jobs.job_settings import by_id, checked_settings, configured
from llm4top.workspace.jobs.resolve import EMBEDDED, base_place
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace

if TYPE_CHECKING:
    from llm4top.training.config import TrainingConfig
    from llm4top.training.preflight import PreflightReport

_COST = ("tuning", "quantize", "max_tokens", "gradient_checkpointing", "precision", "dtype")
"""Settings that the time of a trial depends on, apart from the base model and the device."""


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What was chosen: the id of a data set, a base model as runs name it, and a preset.

    ``more`` are other settings by name, as ``make_config`` takes them.
    """

    dataset: str
    base: str
    preset: str = "standard"
    name: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """The settings of the run."""
        chosen = {"dataset": self.dataset, "base": self.base, "preset": self.preset}
        named = {"name": self.name} if self.name else {}
        return {**chosen, **named, **self.more}

    def config(self, workspace: Workspace) -> TrainingConfig:
        """The settings in full, for a run that is not there yet.

        Raises ``ConfigError`` with every fault at once, ``NotFoundError`` for a data set and
        ``BundleError`` for a bundle that cannot be trained.
        """
        checked = checked_settings("train", self.settings())
        if faults := by_id("train", checked):
            raise ConfigError("the training settings are wrong.", faults)
        inner = {name: value for name, value in checked.items() if name != "dataset"}
        inner["data"] = workspace.datasets.folder(self.dataset)
        inner["base"] = base_place(workspace, self.base)
        made: TrainingConfig = configured("train", inner, workspace.folder / "runs" / "next")
        return made

    def command(self, workspace: Workspace) -> str:
        """The same training as a command for a POSIX shell, to be run anywhere on this machine.

        It names data set and base model as the command line does.
        """
        out = Path("runs") / (
            _slug(self.name) or f"{_slug(Path(self._base(workspace)).name)}-{self.preset}"
        )
        words = ["llm4top", "train", "--data", self._data(workspace)]
        words += ["--base", self._base(workspace), "--out", str(out)]
        words += ["--preset", self.preset]
        named = {"name": self.name} if self.name else {}
        for key, value in {**named, **self.more}.items():
            words += ["--set", f"{key}={json.dumps(value, ensure_ascii=False)}"]
        return shlex.join(words)

    def _data(self, workspace: Workspace) -> str:
        """The data set's name, or its folder where another has its name."""
        dataset = workspace.datasets.get(self.dataset)
        try:
            workspace.datasets.called(dataset.name)
        except DatasetError:
            return str(workspace.datasets.folder(self.dataset))
        return dataset.name

    def _base(self, workspace: Workspace) -> str:
        """What ``resolve_base`` calls the base model: a downloaded one or a bundle, by name."""
        for bundle in workspace.bundles.list():
            if bundle.id == self.base:
                return EMBEDDED if bundle.id == EMBEDDED else bundle.name
        return self.base


def base_models(workspace: Workspace) -> dict[str, str]:
    """The base models that can be trained here, as runs name them, with what to call each.

    A model that a bundle carries can be one; its name says what it was trained on, if anything.
    """
    from llm4top.forecasters.bundles.verify import language_part
    from llm4top.paths import models_folder

    here = models_folder()
    folders = sorted(here.iterdir()) if here.is_dir() else []
    found = {}
    for folder in folders:
        if (folder / "config.json").is_file() and "--" in folder.name:
            name = folder.name.replace("--", "/", 1)
            found[name] = name
    for bundle in workspace.bundles.list():
        place, language = language_part(workspace.bundles.folder(bundle.id)) or (None, None)
        if place is None or language is None or not (place / "base").is_dir():
            continue
        called = "Embedded default" if bundle.id == EMBEDDED else bundle.name
        if language.tuning.method == "full":
            found[bundle.id] = f"{called}, already trained on {bundle.facts['data']['name']}"
        elif language.tuning.method == "probe":  # its base model is as it was before
            found[bundle.id] = f"{called}, its base model"
    return found


def steps_of(config: TrainingConfig, trials: int) -> int:
    """Optimiser steps, at most: early stopping may end sooner."""
    if config.max_steps is not None:
        return config.max_steps
    an_epoch = math.ceil(trials / (config.batch_size * config.accumulation))
    return max(1, math.ceil(an_epoch * config.epochs))


def seconds_a_trial(runs: Iterable[Run], config: TrainingConfig, base: str) -> float | None:
    """How long a trial took in the newest training like this one; None where there was none.

    Like this one is: done, of the same base model and device, and with the same settings where
    they cost time. Looking at validation, calibration and the check at the end are in it.
    """
    for run in runs:
        seconds, steps = run.result.get("seconds"), run.result.get("steps")
        if run.kind != "train" or not seconds or not steps or run.settings.get("base") != base:
            continue
        known = {k: v for k, v in run.settings.items() if k != "dataset"}
        try:
            before = configured("train", {"data": "data", **known}, Path("run"))
        except ConfigError:
            continue
        same = ("device", *_COST)
        if all(getattr(before, name) == getattr(config, name) for name in same):
            rows = steps * before.batch_size * before.accumulation * before.trainings
            return float(seconds) / float(rows)
    return None


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """A line of "Before you start": ``ok`` is None for mere information."""

    name: str
    ok: bool | None
    detail: str
    hint: str = ""


def check_plan(config: TrainingConfig) -> list[PlanCheck]:
    """What ``training.preflight`` finds. Takes seconds, and loads what trains models."""
    from llm4top.training.preflight import preflight

    # The run's folder is its own, made when it begins.
    return [check for check in _lines(preflight(config)) if check.name != "output folder"]


def measure_plan(config: TrainingConfig) -> list[PlanCheck]:
    """Time and memory as a few steps of the training take them. Loads the base model.

    It takes a minute or so beyond that, at the low priority that trainings run at.
    """
    from llm4top.data.dataset import load_dataset
    from llm4top.data.scopes import of_phases
    from llm4top.training.pace import measured_pace
    from llm4top.workspace.jobs.process import lower_priority

    lower_priority()
    try:
        pace = measured_pace(config, of_phases(load_dataset(config.data), config.phases))
    except LLM4TOPError as error:
        found = f"could not be measured: {error.message}"
        return [PlanCheck("time", None, found, error.hint or "")]
    time = pace.time_in_words
    return [
        PlanCheck("time", True, time[:1].upper() + time[1:]),
        PlanCheck("peak memory", True, pace.memory_in_words),
    ]


def main() -> None:
    """``check_plan`` or ``measure_plan`` as a process: full settings in as JSON, the lines out.

    Its argument is "check" or "measure".
    """
    from llm4top.training.config import TrainingConfig

    look = {"check": check_plan, "measure": measure_plan}[sys.argv[1]]
    config = TrainingConfig.model_validate_json(sys.stdin.read())
    json.dump([asdict(check) for check in look(config)], sys.stdout)


def time_check(plan: TrainPlan, workspace: Workspace) -> PlanCheck:
    """How many steps it is, and how long that takes, as far as it was measured here."""
    config = plan.config(workspace)
    card = workspace.datasets.get(plan.dataset).card
    if config.tuning == "probe":
        return PlanCheck("steps", None, "none: a probe takes one pass over the trials.")
    trials = sum(card.get("balance", {}).get(config.train_split, {}).values())
    steps = steps_of(config, trials)
    length = f"at most {thousands(steps)} steps of {config.batch_size * config.accumulation} trials"
    times = config.trainings
    if times > 1:
        length += f", {times} times: with final_fit all, folds and all trials are fitted too"
    done = workspace.runs.list(states=("done",), kind="train", limit=50)
    pace = seconds_a_trial(done, config, plan.base)
    if pace is None:
        return PlanCheck(
            "time",
            None,
            f"{length}. No similar training has been measured here yet: an estimate appears once a "
            "few steps are measured, or after the first ones.",
        )
    seconds = pace * times * steps * config.batch_size * config.accumulation
    return PlanCheck(
        "time",
        True,
        f"{about(seconds).capitalize()}, judging by an earlier training: {length}.",
    )


def _lines(report: PreflightReport) -> Sequence[PlanCheck]:
    return [PlanCheck(c.name, c.ok, c.detail, c.hint) for c in report.checks]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:60]
