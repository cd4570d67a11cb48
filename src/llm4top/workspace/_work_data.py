"""Making a data set as a run."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil

from llm4top.workspace._staging import Staging
from llm4top.workspace._work import Job
from llm4top.workspace._work_progress import Step
from llm4top.workspace._work_settings import IngestWork, work_of

if TYPE_CHECKING:
    from llm4top.errors import RegistryError
    from llm4top.progress import Progress
    from llm4top.tasks import Task

_NAMED_REFUSALS = 20
MEMORY_BYTES = 8_000_000_000
"""Address space that reading may take beyond what the process has: far more than any data set
needs, and less than a machine on which a hostile file would be noticed by everybody."""


def ingest_run(job: Job) -> dict[str, Any]:
    """Make a data set from uploads or paths and keep it in the workspace; its id and counts.

    What is refused is named as its owner calls it, never by a place on this machine.
    """
    from llm4top.data import ingest

    work: IngestWork = work_of("ingest", job.settings)
    staging = Staging(job.workspace.uploads, job.folder)
    refused = _Refused(staging)
    made = job.folder / "dataset"
    shutil.rmtree(made, ignore_errors=True)
    try:
        with bounded_memory(MEMORY_BYTES), staging:
            ingest(
                [*staging.all(work.uploads), *work.sources],
                made,
                task=_task(work, staging),
                split=work.split.made() if work.split else None,
                labels=staging.one(work.labels_upload) or work.labels,
                label_column=work.label_column,
                phases=work.phases,
                enrich=staging.one(work.enrich_upload) or work.enrich,
                limit=work.limit,
                name=work.name,
                on_refusal=refused,
                on_progress=lambda p: job.tell(_step(p)),
            )
        kept = job.workspace.datasets.add(made, name=work.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return {
        "dataset_id": kept.id,
        "name": kept.name,
        "rows": kept.rows,
        "refused": refused.count,
        "refusals": refused.first,
    }


def _task(work: IngestWork, staging: Staging) -> Task | str:
    """The question: one of a file of its own, or one that comes with the package."""
    from llm4top.tasks import load_task

    file = staging.one(work.task_upload) or work.task_file
    return work.task if file is None else load_task(file)


@contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Let this process take so many bytes more than it has; beyond them ``MemoryError``.

    Where the system knows no such bound (macOS), nothing is bounded.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + more
    if before[0] != resource.RLIM_INFINITY:
        most = min(most, before[0])
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class _Refused:
    """Counts refused records and names the first of them."""

    def __init__(self, staging: Staging) -> None:
        self.count = 0
        self.first: list[str] = []
        self._staging = staging

    def __call__(self, error: RegistryError) -> None:
        self.count += 1
        if len(self.first) < _NAMED_REFUSALS:
            self.first.append(self._staging.plain(str(error)))


def _step(progress: Progress) -> Step:
    return Step(progress.stage, progress.done, 0, f"{progress.figures['kept']:.0f} kept")
