"""A data set: trials, their labels and their split, with the card that tells its story."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from llm4top.data import parquet
from llm4top.data.card import CARD_SCHEMA, DatasetCard, Describer, described, new_card
from llm4top.data.splits import check_disjoint
from llm4top.errors import DatasetError, TaskError
from llm4top.files import check_vacant, publishing, write_json
from llm4top.registry.trial import Trial
from llm4top.schema import read_model
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task

_T = TypeVar("_T")
TRIALS_FILE = "trials.parquet"
CARD_FILE = "card.json"
_ROWS_PER_GROUP = 1000


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled trials with a split. Immutable; entry i of every sequence is the same trial.

    After ``select`` or ``take`` the card still describes the whole data set.

    Attributes:
        trials: The trials. Those loaded from disk are decoded on access.
        labels: Labels of ``task``.
        nct_ids: The registry's ids.
        splits: "train", "valid" or "test".
        start_dates: ISO dates or None, for splitting and slices only, never in a prompt.
        first_submitted: ISO dates or None, likewise.
        completion_dates: ISO dates or None, for the date rule of precedents only. Data sets of
            version 0.1.0 have none.
        statuses: Registry statuses ("Completed", "Terminated", ...) or None, for slices, audits
            and the leak oracle only. No ``Trial`` and no prompt can hold them.
        why_stopped: Reasons for stopping or None, likewise.
        files: Name of the file of each row.
        sources: SHA-256 of each record as read.
        task: The question.
        card: What the data set is and how it was made.

    Raises:
        DatasetError: The sequences do not fit together.
    """

    trials: Sequence[Trial]
    labels: tuple[str, ...]
    nct_ids: tuple[str, ...]
    splits: tuple[str, ...]
    start_dates: tuple[str | None, ...]
    first_submitted: tuple[str | None, ...]
    completion_dates: tuple[str | None, ...]
    statuses: tuple[str | None, ...]
    why_stopped: tuple[str | None, ...]
    files: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...]
    task: Task
    card: DatasetCard

    def __post_init__(self) -> None:
        if {len(getattr(self, name)) for name in _COLUMNS} != {len(self.trials)}:
            raise DatasetError("the columns of the data set differ in length.")
        unknown = sorted(set(self.labels) - set(self.task.labels))
        if unknown:
            raise DatasetError(
                f"{', '.join(map(repr, unknown))}: no label of task {self.task.name!r}.",
                hint=f"Its labels are: {', '.join(self.task.labels)}.",
            )
        strange = sorted(set(self.splits) - set(parquet.SPLITS))
        if strange:
            raise DatasetError(
                f"{', '.join(map(repr, strange))}: no split.",
                hint=f"Splits are: {', '.join(parquet.SPLITS)}.",
            )

    def __len__(self) -> int:
        return len(self.trials)

    @cached_property
    def sha256(self) -> str:
        """Identity of these rows under this task, whatever their order.

        Trial, label, split, NCT id and dates count, status and why stopped too, since what is
        reported by slice follows from them; the files they were read from do not.
        """
        content = parquet.ContentHash(self.task.to_dict())
        for row in self._rows():
            content.add(row)
        return content.hexdigest()

    @property
    def label_indices(self) -> tuple[int, ...]:
        """Each row's label as its position in ``task.labels``."""
        return tuple(self.task.label_index(label) for label in self.labels)

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows by split and label; splits without rows are left out."""
        table = {s: dict.fromkeys(self.task.labels, 0) for s in parquet.SPLITS if s in self.splits}
        for split, label in zip(self.splits, self.labels, strict=True):
            table[split][label] += 1
        return table

    def __repr__(self) -> str:
        """One line: name, question and rows by split; the rows themselves may be many."""
        counts = {split: sum(rows.values()) for split, rows in self.counts().items()}
        rows = ", ".join(f"{split} {n}" for split, n in counts.items()) or "no trials"
        return f"<Dataset {self.card.name!r}, task {self.task.name!r}: {rows}>"

    def select(self, split: str) -> Dataset:
        """The rows of one split, possibly none.

        Raises ``DatasetError`` for a name that is not a split.
        """
        if split not in parquet.SPLITS:
            raise DatasetError(
                f"{split!r} is not a split.", hint=f"Splits are: {', '.join(parquet.SPLITS)}."
            )
        return self.take([i for i, s in enumerate(self.splits) if s == split])

    def take(self, indices: Sequence[int]) -> Dataset:
        """Those rows, in that order."""
        trials = self.trials
        columns: dict[str, Any] = {n: _pick(getattr(self, n), indices) for n in _COLUMNS}
        if isinstance(trials, parquet.StoredTrials):
            return replace(self, trials=trials.take(indices), **columns)
        return replace(self, trials=_pick(trials, indices), **columns)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> DatasetCard:
        """Write ``trials.parquet`` and ``card.json``; all of it is there afterwards, or nothing.

        The card's counts and hash are measured from the rows; its history is kept.
        Raises ``DatasetError`` where the folder exists (with ``overwrite``: and is no data set).
        """
        return write_dataset(
            Path(folder), self._rows(), task=self.task, history=self.card, overwrite=overwrite
        )

    def _rows(self) -> Iterator[parquet.Row]:
        columns = [getattr(self, name) for name in _COLUMNS]
        return (
            parquet.Row(*values)
            for values in zip(*columns, parquet.trial_texts(self.trials), strict=True)
        )


_COLUMNS = (
    "nct_ids",
    "splits",
    "labels",
    "start_dates",
    "first_submitted",
    "completion_dates",
    "statuses",
    "why_stopped",
    "files",
    "sources",
)
"""The fields of ``Dataset`` but the trials, in the order of the fields of ``Row``."""


def _pick(column: Sequence[_T], indices: Sequence[int]) -> tuple[_T, ...]:
    return tuple(column[i] for i in indices)


def make_dataset(
    trials: Sequence[Trial],
    labels: Sequence[str],
    nct_ids: Sequence[str],
    splits: Sequence[str],
    *,
    task: Task | str,
    start_dates: Sequence[str | None] | None = None,
    completion_dates: Sequence[str | None] | None = None,
    statuses: Sequence[str | None] | None = None,
    why_stopped: Sequence[str | None] | None = None,
    name: str = "dataset",
) -> Dataset:
    """Make a data set from trials in memory, with its card.

    Args:
        trials: The trials, n of them. Entry i of every other sequence is about trial i.
        labels: Labels of ``task``.
        nct_ids: The trials' NCT ids, or other ids that tell them apart.
        splits: "train", "valid" or "test".
        task: A task, or the name of a built-in one.
        start_dates, completion_dates: ISO dates, or None where unknown.
        statuses, why_stopped: The registry's, for slices and audits only.
        name: Name of the data set.

    Raises:
        DatasetError: The sequences differ in length, or a label is not one of the task's.
        SplitError: An NCT id is in two splits.
    """
    chosen = get_task(task)
    check_disjoint(nct_ids, splits)
    describer = Describer(chosen)
    made = Dataset(
        tuple(trials),
        tuple(labels),
        tuple(nct_ids),
        tuple(splits),
        _column(start_dates, len(trials)),
        (None,) * len(trials),
        _column(completion_dates, len(trials)),
        _column(statuses, len(trials)),
        _column(why_stopped, len(trials)),
        ((),) * len(trials),
        tuple(hashlib.sha256(parquet.encode_trial(t).encode()).hexdigest() for t in trials),
        chosen,
        new_card(name, chosen),
    )
    for row in made._rows():
        describer.add(row)
    return replace(made, card=described(made.card, describer))


def _column(values: Sequence[str | None] | None, rows: int) -> tuple[str | None, ...]:
    return tuple(values) if values is not None else (None,) * rows


def load_dataset(folder: str | os.PathLike[str]) -> Dataset:
    """Load a data set that ``ingest`` or ``Dataset.save`` wrote.

    Args:
        folder: The folder with ``trials.parquet`` and ``card.json``.

    Raises:
        DatasetError: The folder is not a data set, a file is damaged or of another version, or
            the rows do not match the hash on the card.
        SplitError: A trial is in two splits.
    """
    path = Path(folder)
    card = _load_card(path)
    try:
        table = pq.read_table(path / TRIALS_FILE, schema=parquet.SCHEMA)
        task = Task.from_dict(dict(card.task))
    except (OSError, pa.ArrowException, TypeError, TaskError) as error:
        raise DatasetError(f"cannot be read: {error}.", where=str(path), hint=_AGAIN) from error
    loaded = _from_table(table, task, card)
    if loaded.sha256 != card.sha256:
        raise DatasetError(
            "its rows do not match the hash on its card: one of the two files was changed.",
            where=str(path),
            hint=_AGAIN,
        )
    check_disjoint(loaded.nct_ids, loaded.splits)
    return loaded


def _from_table(table: Any, task: Task, card: DatasetCard) -> Dataset:
    columns = [tuple(table.column(field.name).to_pylist()) for field in fields(parquet.Row)[:-1]]
    values = dict(zip(_COLUMNS, columns, strict=True))
    values["files"] = tuple(map(tuple, values["files"]))
    trials = parquet.StoredTrials(table.column("trial"), table.column("phase"))
    return Dataset(trials=trials, task=task, card=card, **values)


_AGAIN = "Make the data set again with `llm4top ingest`."


def _load_card(path: Path) -> DatasetCard:
    missing = [name for name in (CARD_FILE, TRIALS_FILE) if not (path / name).is_file()]
    if missing:
        raise DatasetError(
            f"is not a data set: it has no {' and no '.join(missing)}.",
            where=str(path),
            hint=_AGAIN,
        )
    return read_model(
        DatasetCard,
        path / CARD_FILE,
        what="the card",
        error=DatasetError,
        hint=_AGAIN,
        version=CARD_SCHEMA,
        oldest=CARD_SCHEMA,
    )


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse to write over what is there.

    Raises ``DatasetError`` where ``folder`` exists, unless it is a data set and ``overwrite``.
    """
    is_one = (folder / CARD_FILE).is_file()
    check_vacant(
        folder,
        "a data set",
        is_one=is_one,
        replace=overwrite,
        error=DatasetError,
        how="--overwrite",
    )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses (space, permissions) into a ``DatasetError``."""
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"cannot be written: {error.strerror or error}.",
            where=str(folder),
            hint="Check the disk's free space and the folder's permissions.",
        ) from error


def write_dataset(
    folder: Path, rows: Iterable[parquet.Row], *, task: Task, history: DatasetCard, overwrite: bool
) -> DatasetCard:
    """Write ``rows`` and their card to ``folder``, all of it or nothing.

    ``history`` is a card with what rows do not show (name, provenance, what was dropped, terms);
    counts, hash and warnings of the returned card are measured here. Holds one batch of rows at a
    time. Raises ``DatasetError`` as ``check_target`` does, and where the disk is full or the
    folder cannot be written.
    """
    check_target(folder, overwrite=overwrite)
    with writing(folder), publishing(folder) as scratch:
        describer, rest = Describer(task), iter(rows)
        with parquet.writer(scratch / TRIALS_FILE) as writer:
            while group := list(islice(rest, _ROWS_PER_GROUP)):
                for row in group:
                    describer.add(row)
                writer.write_batch(parquet.row_batch(group))
        card = described(history, describer)
        write_json(scratch / CARD_FILE, card.model_dump(mode="json"))
    return card
