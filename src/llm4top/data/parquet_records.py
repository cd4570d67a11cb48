"""Records from Parquet: the trials of a data set, or a table whose columns are a trial's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llm4top.data.parquet import decode_trial
from llm4top.errors import DatasetError, MalformedRecordError, RegistryError
from llm4top.registry.data_frames import trials_from_frame
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.trial import Record, RegistryOutcome, Source, Trial
from llm4top.text import first_line

MAGIC = b"PAR1"
"""The first bytes of a Parquet file."""

_BATCH = 256
_STORED = ("nct_id", "source_sha256", "trial")
_INPUTS = {name for field in ALLOWED_FIELDS for name in (field.name, *field.top[:1])}
_IDS = ("nct_id", "nctid")


def rows_of(path: Path) -> int | None:
    """How many records a Parquet file holds; None where its columns are not those of trials.

    They are where ``llm4top ingest`` made the file, or where its columns are named as the fields
    of ``Trial`` or as in TOP's CSV.
    """
    try:
        found = pq.read_metadata(path)
        names = found.schema.to_arrow_schema().names
    except (OSError, pa.ArrowException):
        return None
    is_table = "trial" in names or any(name.lower() in _INPUTS for name in names)
    return int(found.num_rows) if is_table else None


class ParquetParts:
    """An open Parquet file whose rows are read as records, in parts; memory is that of a batch.

    Raises ``OSError`` and what pyarrow raises.
    """

    def __init__(self, path: Path, name: str):
        self._file = pq.ParquetFile(path)
        self._name = name
        names = self._file.schema_arrow.names
        self._stored = "trial" in names
        self._columns = [n for n in _STORED if n in names] if self._stored else None
        groups = range(self._file.num_row_groups)
        sizes = (self._file.metadata.row_group(group).num_rows for group in groups)
        self._begins = list(accumulate(sizes, initial=0))
        self._at = 0
        self._rows = self._from(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def records(
        self, start: int, stop: int, on_refusal: Callable[[RegistryError], None]
    ) -> Iterator[Record]:
        """The records of the rows ``start`` (from 0) to ``stop``, which is not among them."""
        ahead = next(begin for begin in reversed(self._begins) if begin <= start)
        if start < self._at or ahead > self._at:
            self._rows, self._at = self._from(self._begins.index(ahead)), ahead
        while self._at < stop:
            number = self._at
            try:
                values = next(self._rows, None)
            except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
                self._pass_over(range(max(number, start), stop), error, on_refusal)
                continue
            if values is None:
                return
            self._at += 1
            if number >= start:
                try:
                    yield self._record(values, number)
                except RegistryError as error:
                    on_refusal(error)

    def _pass_over(
        self, rows: range, error: Exception, on_refusal: Callable[[RegistryError], None]
    ) -> None:
        """Refuse those of the rows that lie in a damaged group, and go on behind it."""
        group = next(n for n, begin in enumerate(self._begins) if begin > self._at)
        self._at = self._begins[group]
        self._rows = self._from(group)
        for number in rows[: self._at - rows.start]:
            on_refusal(
                MalformedRecordError(
                    f"this part of the file cannot be read ({first_line(error).rstrip('.')}).",
                    file=self._source(number).name,
                    hint="The file is damaged: make it again.",
                )
            )

    def _from(self, group: int) -> Iterator[Mapping[str, Any]]:
        for number in range(group, self._file.num_row_groups):
            batches = self._file.iter_batches(_BATCH, row_groups=[number], columns=self._columns)
            for batch in batches:
                yield from batch.to_pylist()

    def _record(self, values: Mapping[str, Any], number: int) -> Record:
        source = self._source(number, values.get("source_sha256") or "")
        nct_id = next((str(v) for k, v in values.items() if k.lower() in _IDS and v), None)
        trial = self._trial(values, source.name)
        return Record(nct_id, trial, RegistryOutcome(), (), source)

    def _source(self, number: int, sha256: str = "") -> Source:
        return Source(self._name, f"#{number + 1}", "trial", None, sha256)

    def _trial(self, values: Mapping[str, Any], name: str) -> Trial:
        try:
            if self._stored:
                return decode_trial(values["trial"])
            return trials_from_frame([values])[0]
        except DatasetError as error:
            raise MalformedRecordError(error.message, file=name, hint=error.hint) from error
        except MalformedRecordError as error:
            element = (error.element or "").removeprefix("row 0").removeprefix(", ") or None
            raise MalformedRecordError(
                error.message, file=name, element=element, hint=error.hint
            ) from error
