"""A training as a run: started or resumed, and its bundle added to the workspace."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4top.errors import ConfigError, JobError
from llm4top.progress import Progress
from llm4top.workspace.jobs.job_settings import configured
from llm4top.workspace.jobs.resolve import keep_bundle
from llm4top.workspace.jobs.work import Job
from llm4top.workspace.jobs.worker import LOG_FILE

if TYPE_CHECKING:
    from llm4top.training.config import TrainingConfig
    from llm4top.training.run_folder import RunFolder


def train_run(job: Job) -> dict[str, Any]:
    """Train, or resume from the last checkpoint; the id and name of its bundle, and its figures."""
    from llm4top.training.run import train
    from llm4top.training.run_folder import RunFolder

    folder = RunFolder(job.folder)
    figures: dict[str, Any] = {}
    if not _is_done(folder):
        resume = _prepare(job, folder)
        result = train(
            _config(job, folder.path),
            progress=lambda p: job.report(without_paths(p)),
            resume=resume,
        )
        figures = {
            "metrics": result.metrics,
            "out_of_fold": result.out_of_fold,
            "steps": result.steps,
            "best_step": result.best_step,
            "best_log_loss": result.best_log_loss,
            "reload_difference": result.reload_difference,
            "seconds": result.seconds,
            "tried": list(result.tried),
        }
    stored = keep_bundle(job.workspace, folder.bundle)
    return {"bundle_id": stored.id, "name": stored.name, **figures}


def without_paths(progress: Progress) -> Progress:
    """The progress without its last detail, which is a path on this machine."""
    return replace(progress, detail="") if progress.stage == "done" else progress


def _is_done(folder: RunFolder) -> bool:
    """Whether the training ended, and only its end was not written into the store any more."""
    return folder.state().get("state") == "done" and folder.bundle.exists()


def _prepare(job: Job, folder: RunFolder) -> bool:
    """Whether there is something to resume; else what an earlier attempt left is deleted."""
    begun = folder.identity_file.is_file()
    if begun and job.run.resuming:
        return True
    if job.run.folder is not None:
        raise JobError(
            "a training that was started in a terminal is not started over here.",
            where=job.run.folder,
            hint="Resume it, or train into another folder.",
        )
    # A run that stopped before it wrote its identity cannot be resumed.
    for path in folder.path.iterdir() if folder.path.is_dir() else ():
        if path.name.startswith(LOG_FILE):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return False


def _config(job: Job, out: Path) -> TrainingConfig:
    if job.run.folder is not None:
        return _written_config(out)
    settings = {name: value for name, value in job.settings.items() if name != "dataset"}
    settings |= {"data": job.data(), "base": job.base(settings["base"]), "device": job.device}
    settings["name"] = settings.get("name") or (job.run.title or _name(job))[:120]
    made: TrainingConfig = configured("train", settings, out)
    return made


def _name(job: Job) -> str:
    """The bundle's default name: its base model and its data."""
    dataset = job.settings.get("dataset")
    data = job.workspace.datasets.get(dataset).name if dataset else job.data().name
    return f"{Path(job.settings['base']).name} {data}"


def _written_config(folder: Path) -> TrainingConfig:
    """The settings of a training that was begun in a terminal, as it wrote them down."""
    from llm4top.training.config import make_config
    from llm4top.training.run_folder import RunFolder

    made = make_config(RunFolder(folder).config_file, {"out": folder})
    if not made.data.is_absolute() and not made.data.exists():
        raise ConfigError(
            "this training names its data by a path that starts where it was begun.",
            [f"data: there is no {made.data} in {Path.cwd()}"],
            hint=f"Go there and run: llm4top train --config {folder}/config.yaml --resume",
        )
    return made
