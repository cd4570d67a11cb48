"""Which rows train, and which rows are measured."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from llm4top import __version__
from llm4top.benchmark.cache import hash_of
from llm4top.benchmark.settings import BenchmarkSettings
from llm4top.data.dataset import Dataset, load_dataset
from llm4top.data.ingest import ingest
from llm4top.data.scopes import newest_check, phases_in, scope
from llm4top.data.sources import dates_files, find_sources, path_sha256
from llm4top.errors import SplitError
from llm4top.evaluation.score_split import without_test
from llm4top.progress import OnProgress, ignore

_DATASET_FILES = ("card.json", "trials.parquet")


def settle_data(settings: BenchmarkSettings, on_progress: OnProgress = ignore) -> Dataset:
    """The data set that ``settings.data`` is or that is made from it, with train and valid rows.

    A data set that is made is stored in the benchmark's folder under the hash of its source files.
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
            hint="A benchmark trains on train and chooses on valid: give a data set with both.",
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


CheckName = Literal["valid", "test", "newest"]
POOLED = "pooled"

# Of the older trials, the newest tenth decides when fine-tuning stops and calibrates it, so that
# the newest trials, which it is measured on, decide nothing.
_CALIBRATION_SHARE = 0.1


@dataclass(frozen=True)
class Fold:
    """One way to split the rows.

    ``learn`` trains the baselines; ``checks`` are measured. ``tuning`` is for fine-tuning: its
    split "train" trains, its split "valid" decides when to stop and calibrates. It has no test row.
    """

    name: Literal["split", "newest"]
    learn: Dataset
    tuning: Dataset
    checks: dict[CheckName, Dataset]


class Rows:
    """The rows of a data set by fold and by phase."""

    def __init__(self, dataset: Dataset, *, test: bool, newest: bool):
        self.dataset = dataset
        self._test = test and "test" in dataset.splits
        self._newest = newest

    @cached_property
    def folds(self) -> tuple[Fold, ...]:
        """The data set's own split and, if set, a time split of its training data."""
        train = self.dataset.select("train")
        checks: dict[CheckName, Dataset] = {"valid": self.dataset.select("valid")}
        if self._test:
            checks["test"] = self.dataset.select("test")
        own = Fold("split", train, without_test(self.dataset), checks)
        if not self._newest:
            return (own,)
        by_time = newest_check(self.dataset)
        older = by_time.select("train")
        tuning = newest_check(older, share=_CALIBRATION_SHARE)
        return (own, Fold("newest", older, tuning, {"newest": by_time.select("valid")}))

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """The phases that the data set has rows of."""
        return phases_in(self.dataset)

    def of_phase(self, rows: Dataset, phase: str) -> Dataset:
        """Those of ``rows`` (whatever fold they are from) that belong to the phase."""
        if phase == POOLED:
            return rows
        return with_ids(rows, self._members[phase])

    @cached_property
    def _members(self) -> dict[str, frozenset[str]]:
        return {phase: frozenset(scope(self.dataset, phase).nct_ids) for phase in self.phases}


def with_ids(rows: Dataset, ids: Iterable[str]) -> Dataset:
    """The rows with these identifiers, in their own order."""
    wanted = frozenset(ids)
    return rows.take([i for i, nct_id in enumerate(rows.nct_ids) if nct_id in wanted])
