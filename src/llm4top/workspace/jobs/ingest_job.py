"""Making a data set as a run."""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from llm4top.errors import LLM4TOPError, RegistryError, UploadError
from llm4top.progress import Progress
from llm4top.tasks.task import Task
from llm4top.workspace.jobs.job_settings import IngestWork, work_of
from llm4top.workspace.jobs.work import Job
from llm4top.workspace.uploads import Uploads

_FOLDER = "sources"
_LONGEST = 100


class Staging:
    """A folder of links to uploads, gone when the block is left.

    A link bears its upload's name, reduced to plain letters and digits, in a folder of its own;
    TOP's files lie together, because they are known by their names. An error that leaves the
    block names the files as they are called there, without the place where they lie.
    """

    def __init__(self, uploads: Uploads, folder: Path):
        self._uploads = uploads
        self._folder = folder / _FOLDER
        self._count = 0
        # ``ingest`` unpacks into a hidden folder next to it.
        place = re.escape(str(folder))
        self._place = re.compile(rf"{place}/(?:{_FOLDER}/(?:\d+|top)|\.top-\w+)/")

    def __enter__(self) -> Staging:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if isinstance(error, LLM4TOPError):
            error.message = self.plain(error.message)
            error.where = self.plain(error.where) if error.where else None

    def all(self, upload_ids: Sequence[str]) -> list[Path]:
        """What to read of these uploads: TOP's files as their folder, the others one by one.

        Raises ``UploadError`` for two of TOP's files of one name.
        """
        from llm4top.data.sources import is_top_file

        top = self._folder / "top"
        found = []
        for upload_id in upload_ids:
            name = self._uploads.get(upload_id).name
            if not is_top_file(name):
                found.append(self._link(upload_id, name))
                continue
            top.mkdir(exist_ok=True)
            if (top / name).exists():
                raise UploadError(
                    "was brought in twice.", where=name, hint="Bring in each of TOP's files once."
                )
            (top / name).hardlink_to(self._uploads.path(upload_id))
        return [top, *found] if top.exists() else found

    def one(self, upload_id: str | None) -> Path | None:
        """One upload under its name; None for none."""
        return self._link(upload_id, self._uploads.get(upload_id).name) if upload_id else None

    def plain(self, words: str) -> str:
        """``words`` without the places of the files that they name."""
        return self._place.sub("", words)

    def _link(self, upload_id: str, name: str) -> Path:
        self._count += 1
        place = self._folder / str(self._count) / link_name(name)
        place.parent.mkdir()
        place.hardlink_to(self._uploads.path(upload_id))
        return place


def link_name(name: str) -> str:
    """A name that is safe on any disk: ASCII letters, digits and ``._-``, no dot in front."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")
    return plain[-_LONGEST:].lstrip(".") or "upload"


_NAMED_REFUSALS = 20
MEMORY_BYTES = 8_000_000_000
"""Address space that reading may take beyond what the process has: far more than any data set
needs, and less than a machine on which a hostile file would be noticed by everybody."""


def ingest_run(job: Job) -> dict[str, Any]:
    """Make a data set from uploads or paths and keep it in the workspace; its id and counts.

    What is refused is named as its owner calls it, never by a place on this machine.
    """
    from llm4top.data.ingest import ingest

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
                on_progress=lambda p: job.report(_with_count(p)),
            )
        stored = job.workspace.datasets.add(made, name=work.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return {
        "dataset_id": stored.id,
        "name": stored.name,
        "rows": stored.rows,
        "refused": refused.count,
        "refusals": refused.first,
    }


def _task(work: IngestWork, staging: Staging) -> Task | str:
    """The question: one of a file of its own, or one that comes with the package."""
    from llm4top.tasks.task_file import load_task

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


def _with_count(progress: Progress) -> Progress:
    return replace(progress, total=0, detail=f"{progress.figures['kept']:.0f} kept")
