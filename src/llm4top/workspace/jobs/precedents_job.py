"""Building the workspace's index of precedents as a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm4top.errors import BundleError
from llm4top.progress import Progress
from llm4top.workspace.jobs.job_settings import PrecedentsWork, work_of
from llm4top.workspace.jobs.work import Job
from llm4top.workspace.precedents import index_folder

if TYPE_CHECKING:
    from llm4top.data.dataset import Dataset


def precedents_run(job: Job) -> dict[str, Any]:
    """Build the index from a data set; how many trials it holds, and their dates.

    One that is there stays until the new one is whole.
    """
    from llm4top.forecasters.load import load_forecaster
    from llm4top.forecasters.precedents.build import build_index

    work: PrecedentsWork = work_of("precedents", job.settings)
    job.report(Progress("Loading"))
    model = None if work.model is None else job.model(work.model)
    try:
        card = build_index(
            _data(job),
            index_folder(job.workspace),
            forecaster=None if model is None else load_forecaster(model, device=job.device),
            model=model,
            replace=work.overwrite,
            on_progress=job.report,
        )
    except BundleError as error:
        # The folder is nothing that its owner has named.
        raise BundleError(error.message, where="precedents", hint=error.hint) from error
    return {
        "trials": card.trials,
        "counts": card.counts,
        "left_out": card.left_out,
        "first": card.first,
        "last": card.last,
        "task": str(card.task["name"]),
    }


def _data(job: Job) -> Dataset:
    """The data set, under the name that it has in the workspace now."""
    from llm4top.data.dataset import load_dataset

    data = load_dataset(job.data())
    dataset_id = job.settings.get("dataset")
    if dataset_id is None:
        return data
    name = job.workspace.datasets.get(dataset_id).name
    return replace(data, card=data.card.model_copy(update={"name": name}))
