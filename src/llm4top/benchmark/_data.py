"""The data set of a benchmark: made from its source once, or taken as it is."""

from __future__ import annotations

from pathlib import Path

from llm4top import __version__
from llm4top.benchmark._pieces import hash_of
from llm4top.benchmark._settings import BenchmarkSettings
from llm4top.data import Dataset, ingest, load_dataset
from llm4top.data._sources import dates_files, find_sources, path_sha256
from llm4top.errors import SplitError
from llm4top.progress import OnProgress, ignore

_DATASET_FILES = ("card.json", "trials.parquet")


def settle_data(settings: BenchmarkSettings, on_progress: OnProgress = ignore) -> Dataset:
    """The data set that ``settings.data`` is or that is made from it, with train and valid rows.

    What has been made lies in the benchmark's folder under the hash of the files it came from.
    Raises what ``ingest`` and ``load_dataset`` raise, and ``SplitError`` for an empty split.
    """
    if is_dataset(settings.data):
        dataset = load_dataset(settings.data)
    else:
        folder = settings.out / "data" / f"ingested-{_source_hash(settings)[:16]}"
        if not is_dataset(folder):
            ingest(
                settings.data,
                folder,
                task=settings.task,
                limit=settings.limit,
                name=settings.data.name,
                on_progress=on_progress,
            )
        dataset = load_dataset(folder)
    counts = dataset.counts()
    empty = [split for split in ("train", "valid") if not counts.get(split)]
    if empty:
        raise SplitError(
            f"the {' and the '.join(empty)} split is empty.",
            where=str(settings.data),
            hint="A benchmark learns from train and chooses on valid: give a data set with both.",
        )
    return dataset


def is_dataset(folder: Path) -> bool:
    """Whether the folder is a data set that ``ingest`` made."""
    return all((folder / name).is_file() for name in _DATASET_FILES)


def _source_hash(settings: BenchmarkSettings) -> str:
    found = find_sources([settings.data])
    files = [*(source.path for source in found), *dates_files(found)]
    return hash_of(
        {
            "files": [[file.name, path_sha256(file)] for file in files],
            "task": settings.task,
            "limit": settings.limit,
            "version": __version__,
        }
    )
