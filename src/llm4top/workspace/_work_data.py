"""Making a data set as a run."""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from llm4top.workspace._work import Job
from llm4top.workspace._work_progress import Step
from llm4top.workspace._work_settings import IngestWork, work_of

if TYPE_CHECKING:
    from llm4top.data import IngestProgress
    from llm4top.errors import RegistryError

_TOP_FILE = re.compile(r"phase_(I|II|III)_(train|valid|test)\.csv|titles_and_dates\.csv")
_NAMED_REFUSALS = 20
MEMORY_BYTES = 8_000_000_000
"""Address space that reading may take beyond what the process has: far more than any data set
needs, and less than a machine on which a hostile file would be noticed by everybody."""


def ingest_run(job: Job) -> dict[str, Any]:
    """Make a data set from uploads or paths and keep it in the workspace; its id and counts."""
    from llm4top.data import ingest

    work: IngestWork = work_of("ingest", job.settings)
    refused = _Refused()
    made = job.folder / "dataset"
    staged = job.folder / "sources"
    shutil.rmtree(made, ignore_errors=True)
    try:
        with bounded_memory(MEMORY_BYTES):
            ingest(
                _sources(job, work, staged),
                made,
                task=work.task,
                split=work.split.made() if work.split else None,
                labels=_one(job, work.labels_upload, work.labels),
                label_column=work.label_column,
                phases=work.phases,
                enrich=_one(job, work.enrich_upload, work.enrich),
                limit=work.limit,
                name=work.name,
                on_refusal=refused,
                on_progress=lambda p: job.tell(_step(p)),
            )
        kept = job.workspace.datasets.add(made, name=work.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(made, ignore_errors=True)
    return {
        "dataset_id": kept.id,
        "name": kept.name,
        "rows": kept.rows,
        "refused": refused.count,
        "refusals": refused.first,
    }


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

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def __call__(self, error: RegistryError) -> None:
        self.count += 1
        if len(self.first) < _NAMED_REFUSALS:
            self.first.append(str(error))


def _sources(job: Job, work: IngestWork, staged: Path) -> list[Path]:
    """What to read. Uploads under TOP's names become TOP's folder again, which is known by them."""
    shutil.rmtree(staged, ignore_errors=True)
    top: list[tuple[str, Path]] = []
    others: list[tuple[str, Path]] = []
    for upload_id in work.uploads:
        upload = job.workspace.uploads.get(upload_id)
        path = job.workspace.uploads.path(upload_id)
        (top if _TOP_FILE.fullmatch(upload.name) else others).append((upload.name, path))
    for name, path in top:
        staged.mkdir(parents=True, exist_ok=True)
        (staged / name).hardlink_to(path)
    found = [staged] if top else []
    return [*found, *(path for _, path in others), *work.sources]


def _one(job: Job, upload_id: str | None, path: Path | None) -> Path | None:
    return job.workspace.uploads.path(upload_id) if upload_id is not None else path


def _step(progress: IngestProgress) -> Step:
    detail = f"{progress.kept} kept"
    return Step(progress.stage, progress.read, 0, detail)
