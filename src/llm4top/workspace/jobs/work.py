"""From a claimed run to the function that does its kind of work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from llm4top.workspace.jobs.job_progress import Step
from llm4top.workspace.jobs.resolve import base_place, dataset_folder, model_place
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is being done: where, on which device, and whom to tell how far it is."""

    workspace: Workspace
    run: Run
    device: str
    tell: Callable[[Step], None]

    @property
    def settings(self) -> dict[str, Any]:
        """The run's settings, as they were checked."""
        return self.run.settings

    @property
    def folder(self) -> Path:
        """Where the run keeps its files; it is there already, unless it was adopted."""
        return self.workspace.runs.folder(self.run.id)

    def data(self) -> Path:
        """The folder of the data set that the settings name."""
        return dataset_folder(self.workspace, self.settings)

    def model(self, name: str) -> str:
        """What loading a model takes, for a name in the settings."""
        return model_place(self.workspace, name)

    def base(self, name: str) -> str:
        """What training takes as its base model, for a name in the settings."""
        return base_place(self.workspace, name)


_HOMES = {
    "train": ("_work_train", "train_run"),
    "evaluate": ("_work_measure", "evaluate_run"),
    "benchmark": ("_work_measure", "benchmark_run"),
    "audit": ("_work_measure", "audit_run"),
    "ingest": ("_work_data", "ingest_run"),
    "forecast": ("_work_forecast", "forecast_run"),
}
"""The file and function of each kind; a run does not wait for what another kind needs."""


def do(job: Job) -> dict[str, Any]:
    """Do the run; its result, JSON-able.

    Raises what the work raises, and ``KeyboardInterrupt`` where it was stopped.
    """
    file, name = _HOMES[job.run.kind]
    work: Callable[[Job], dict[str, Any]] = getattr(
        import_module(f"llm4top.workspace.{file}"), name
    )
    return work(job)
