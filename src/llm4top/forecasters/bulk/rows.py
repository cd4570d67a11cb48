"""Forecasts and refused records as Parquet: the files of a bulk forecast."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llm4top.errors import RegistryError
from llm4top.files import replacing
from llm4top.forecasters.forecast_format import COLUMNS, Forecast, NotApplicable

_NUMBERS = {"probability", "lower", "upper", "median", "p10", "p90", "base_rate", "target_rate"}
_NUMBERS |= {"unadapted_probability", "unadapted_lower", "unadapted_upper", "score"}
_COUNTS = {"withheld", "tokens", "tokens_cut"}


def _type(column: str) -> Any:
    if column in _NUMBERS:
        return pa.float64()
    return pa.int64() if column in _COUNTS else pa.string()


FORECASTS = pa.schema([pa.field(name, _type(name)) for name in COLUMNS])
"""The columns of the CSV; numbers are not rounded."""

REFUSED = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("member", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("element", pa.string()),
        pa.field("error", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("hint", pa.string()),
    ]
)
"""A refused record: its file and the member in it, where in it, and why."""

_ROWS_PER_GROUP = 4096
_FACTS = b"llm4top"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found in a shard.

    ``passed`` has, for each folder or zip, how many files in it were passed over and the first
    names; ``notes`` the texts of what else is to be known, ``key`` the shard's.
    """

    key: str
    forecasts: int = 0
    not_applicable: int = 0
    refused: int = 0
    passed: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """All records that were read or refused."""
        return self.forecasts + self.not_applicable + self.refused

    def to_json(self) -> str:
        """All of it as text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Facts:
        """Inverse of ``to_json``."""
        values: dict[str, Any] = json.loads(text)
        passed = tuple((name, count, tuple(first)) for name, count, first in values["passed"])
        return cls(**{**values, "passed": passed, "notes": tuple(values["notes"])})


class _Table:
    """Rows on their way into a Parquet file, a group at a time."""

    def __init__(self, path: Path, schema: Any):
        self._schema = schema
        self._pending: list[Mapping[str, Any]] = []
        self.writer = pq.ParquetWriter(path, schema, compression="zstd")

    def add(self, row: Mapping[str, Any]) -> None:
        self._pending.append(row)
        if len(self._pending) == _ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._pending:
            table = pa.Table.from_pylist(self._pending, schema=self._schema)
            self.writer.write_table(table)
            self._pending.clear()


@contextmanager
def _table(path: Path, schema: Any) -> Iterator[_Table]:
    """A table that becomes ``path`` when the block ends without an error."""
    with replacing(path) as scratch:
        table = _Table(scratch, schema)
        try:
            yield table
            table.flush()
        finally:
            table.writer.close()


class ShardWriter:
    """Writes the forecasts and the refusals of one shard; use ``shard_writer``."""

    def __init__(self, forecasts: _Table, refused: _Table):
        self._forecasts, self._refused = forecasts, refused
        self.forecasts = self.not_applicable = self.refused = 0

    def add(self, found: Forecast | NotApplicable) -> None:
        """Write one row."""
        self._forecasts.add(found.row())
        if isinstance(found, Forecast):
            self.forecasts += 1
        else:
            self.not_applicable += 1

    def refuse(self, error: RegistryError, file: str) -> None:
        """Write a refused record of that file, which may be named with a member."""
        name, _, member = file.partition("!")
        self._refused.add(
            {
                "file": name,
                "member": member or None,
                "line": error.line,
                "element": error.element,
                "error": type(error).__name__,
                "reason": error.message,
                "hint": error.hint,
            }
        )
        self.refused += 1

    def end(self, facts: Facts) -> None:
        """Put the facts beside the rows."""
        self._forecasts.flush()
        self._forecasts.writer.add_key_value_metadata({_FACTS.decode(): facts.to_json()})


@contextmanager
def shard_writer(forecasts: Path, refused: Path) -> Iterator[ShardWriter]:
    """A writer of two files, whole or not at all; that of the forecasts appears last."""
    with _table(forecasts, FORECASTS) as rows:
        with _table(refused, REFUSED) as others:
            writer = ShardWriter(rows, others)
            yield writer
        if not writer.refused:
            refused.unlink()


def with_facts(table: Any, facts: Facts) -> Any:
    """A table of forecasts that is written with its shard's facts."""
    return table.replace_schema_metadata({_FACTS: facts.to_json()})


def read_facts(path: Path) -> Facts | None:
    """The facts of a finished shard; None where there is no such file, or it is not whole."""
    try:
        found = (pq.read_metadata(path).metadata or {}).get(_FACTS)
    except (OSError, pa.ArrowException):
        return None
    return None if found is None else Facts.from_json(found)
