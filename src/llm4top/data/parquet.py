"""Rows on disk: the Parquet layout of a data set, its row hash, and trials decoded on demand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import pyarrow.parquet as pq

from llm4top.errors import DatasetError
from llm4top.registry.trial import Trial

_PHASE = '"phase":"'  # as canonical JSON writes it, without a blank
_DECODER = json.JSONDecoder()
SPLITS = ("train", "valid", "test")

# Trials are large strings: the texts of a registry-sized data set pass the 2 GB of a plain one.
SCHEMA = pa.schema(
    [
        pa.field("nct_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("phase", pa.string()),
        pa.field("start_date", pa.string()),
        pa.field("first_submitted", pa.string()),
        pa.field("completion_date", pa.string()),
        pa.field("status", pa.string()),
        pa.field("why_stopped", pa.string()),
        pa.field("files", pa.list_(pa.string()), nullable=False),
        pa.field("source_sha256", pa.string(), nullable=False),
        pa.field("trial", pa.large_string(), nullable=False),
    ]
)


_OWN = frozenset({"nct_id", "source_sha256", "trial"})
_REPEATED = [f"{name}.list.element" if name == "files" else name
             for name in SCHEMA.names if name not in _OWN]  # fmt: skip


def writer(path: Path) -> pq.ParquetWriter:
    """A writer of rows.

    What each row has of its own gets no dictionary: one of them would take as long to build as the
    text takes to compress, and treble the time of reading it.
    """
    return pq.ParquetWriter(
        path, SCHEMA, compression="zstd", use_dictionary=_REPEATED, write_statistics=_REPEATED
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One row as stored: ``trial`` is the trial's canonical JSON (see ``encode_trial``).

    ``completion_date`` (the last that the record has), ``status`` and ``why_stopped`` are the
    record's label side; no trial is ever made from them.
    """

    nct_id: str
    split: str
    label: str
    start_date: str | None
    first_submitted: str | None
    completion_date: str | None
    status: str | None
    why_stopped: str | None
    files: tuple[str, ...]
    source_sha256: str
    trial: str

    @property
    def phase(self) -> str | None:
        """The trial's phase, stored as a column so that files can be queried by it."""
        at = self.trial.find(_PHASE)  # within a text its quotes would be escaped
        if at < 0:
            return json.loads(self.trial).get("phase") if '"phase"' in self.trial else None
        phase: str = _DECODER.raw_decode(self.trial, at + len(_PHASE) - 1)[0]
        return phase


def encode_trial(trial: Trial) -> str:
    """A trial as canonical JSON: equal trials give equal text."""
    return json.dumps(trial.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def decode_trial(text: str) -> Trial:
    """Inverse of ``encode_trial``; ``DatasetError`` for what is no trial or more than one."""
    try:
        return Trial.from_dict(json.loads(text))
    except (TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"a stored trial is not one: {error}.",
            hint="Make the data set again with `llm4top ingest`.",
        ) from error


def row_batch(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as one Arrow batch of ``SCHEMA``."""
    columns = [[getattr(row, name) for row in rows] for name in SCHEMA.names]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


def batch_rows(batch: Any) -> Iterator[Row]:
    """Inverse of ``row_batch``, one row at a time."""
    names = [f.name for f in fields(Row)]
    for values in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
        row = dict(zip(names, values, strict=True))
        yield Row(**{**row, "files": tuple(row["files"])})


class ContentHash:
    """Identity of a data set: its task, trials, labels and splits.

    The order of the rows does not count, nor does the file a trial was read from: the same
    trials from a zip, a folder or another format are the same data set. Completion dates do not
    count either: nothing that is learned or measured depends on them.
    """

    def __init__(self, task: dict[str, Any]):
        self._task = json.dumps(task, sort_keys=True).encode()
        self._rows: list[bytes] = []

    def add(self, row: Row) -> None:
        """Count one row in."""
        dates = (row.start_date, row.first_submitted)
        keys = (row.nct_id, row.split, row.label, *dates, row.status, row.why_stopped)
        head = json.dumps(keys, separators=(",", ":"))
        self._rows.append(hashlib.sha256(f"{head}\n{row.trial}".encode()).digest())

    def hexdigest(self) -> str:
        """The hash of all rows added so far."""
        digest = hashlib.sha256(self._task)
        for row in sorted(self._rows):
            digest.update(row)
        return digest.hexdigest()


class StoredTrials(Sequence[Trial]):
    """Trials of a data set on disk, decoded on access.

    Holds the stored text, which is a third of the size of the decoded trials and loads at once.
    """

    def __init__(self, column: Any, phases: Any):
        self._column = column
        self._phases = phases

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Trial, ...]: ...
    def __getitem__(self, index: int | slice) -> Trial | tuple[Trial, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"no trial {index} among {len(self)}")
        return decode_trial(self._column[position].as_py())

    def take(self, indices: Sequence[int]) -> StoredTrials:
        """Those trials, still undecoded."""
        chosen = pa.array(indices, type=pa.int64())
        return StoredTrials(self._column.take(chosen), self._phases.take(chosen))

    def texts(self) -> Iterator[str]:
        """The canonical JSON of each trial."""
        for chunk in self._column.chunks:
            for value in chunk:
                yield value.as_py()

    def phases(self) -> list[str | None]:
        """The phase of each trial as registered, from its own column."""
        phases: list[str | None] = self._phases.to_pylist()
        return phases


def trial_texts(trials: Sequence[Trial]) -> Iterable[str]:
    """The canonical JSON of each trial, without decoding stored ones."""
    if isinstance(trials, StoredTrials):
        return trials.texts()
    return (encode_trial(trial) for trial in trials)


def trial_phases(trials: Sequence[Trial]) -> list[str | None]:
    """The phase of each trial as registered, without decoding stored ones."""
    if isinstance(trials, StoredTrials):
        return trials.phases()
    return [trial.phase for trial in trials]
