"""From a claimed run to the function that does its kind of work."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from llm4top.progress import OnProgress
from llm4top.workspace.jobs.resolve import base_place, dataset_folder, model_place
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is being done: where, on which device, and whom to report progress to."""

    workspace: Workspace
    run: Run
    device: str
    report: OnProgress

    @property
    def settings(self) -> dict[str, Any]:
        """The run's settings, as they were checked."""
        return self.run.settings

    @property
    def folder(self) -> Path:
        """Where the run keeps its files; it exists, unless the run was adopted."""
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


FUNCTIONS = {
    "train": "train_job.train_run",
    "evaluate": "measure_job.evaluate_run",
    "benchmark": "measure_job.benchmark_run",
    "audit": "measure_job.audit_run",
    "ingest": "ingest_job.ingest_run",
    "forecast": "forecast_job.forecast_run",
    "precedents": "precedents_job.precedents_run",
}
"""The module and function of each kind. A run does not import what another kind needs."""


def do(job: Job) -> dict[str, Any]:
    """Do the run; its result, JSON-able.

    Raises what the work raises, and ``KeyboardInterrupt`` where it was stopped.
    """
    module, _, name = FUNCTIONS[job.run.kind].partition(".")
    found = import_module(f"llm4top.workspace.jobs.{module}")
    work: Callable[[Job], dict[str, Any]] = getattr(found, name)
    return work(job)
