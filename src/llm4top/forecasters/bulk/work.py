"""Forecasting one shard: its records are read, forecast and written, or it leaves nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from llm4top.data.parquet_records import ParquetParts
from llm4top.errors import LLM4TOPError, RegistryError, ShardError
from llm4top.files import write_text
from llm4top.forecasters.base_rate_shift import TargetRates
from llm4top.forecasters.bulk.plan import Shard
from llm4top.forecasters.bulk.rows import Facts, ShardWriter, read_facts, shard_writer
from llm4top.forecasters.forecast import ForecastSource, forecast_records
from llm4top.registry.input_files import PassedOver, files_below
from llm4top.registry.limits import Limits
from llm4top.registry.parts import ZipParts
from llm4top.registry.reader import RecordReader, files_items
from llm4top.registry.trial import ReadNote, Record
from llm4top.text import counted, first_line

CHUNK = 64
"""Trials that are forecast together, as ``llm4top forecast`` does."""
REFUSED_FOLDER = "_refused"
BUSY_FOLDER = "_busy"
ATTEMPTS = 5
"""How often a shard is begun in one call: the processes before died."""
_NOTES = 20


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with each shard: where the files go, and which base rate is adapted to."""

    out: str
    base_rate: TargetRates | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """Where a shard is being forecast, from which record on, and for which time."""

    machine: str
    record: str
    attempt: int


def read_busy(path: Path) -> Busy | None:
    """What a process has noted of the shard that it is forecasting; None where nothing is there."""
    try:
        return Busy(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class ShardForecaster:
    """Forecasts shards one after the other with one forecaster, which stays loaded.

    Args:
        forecaster: A loaded forecaster.
        work: What is done with each shard.
        machine: The name of this machine, for errors.
    """

    def __init__(self, forecaster: ForecastSource, work: Work, machine: str | None = None):
        self._forecaster = forecaster
        self._work = work
        self._out = Path(work.out)
        self._machine = machine or platform.node() or "this one"
        self._open: tuple[str, ZipParts | ParquetParts] | None = None
        self._chunk: list[str] = []

    def __call__(self, shard: Shard) -> Facts:
        """Forecast one shard, unless it is finished already.

        Raises:
            ShardError: It names the machine, the shard and the records at which it failed.
        """
        path = self._out / shard.file
        facts = read_facts(path)
        if facts is not None:
            return facts
        self._chunk = []
        try:
            facts = self._forecast(shard, path, self._begin(shard))
        except Exception as error:
            self.close()  # it may stand anywhere
            raise self._failure(shard, error) from error
        self._busy_file(shard).unlink(missing_ok=True)
        return facts

    def close(self) -> None:
        """Close the file that the last shard was read from."""
        if self._open is not None:
            self._open[1].close()
        self._open = None

    def _forecast(self, shard: Shard, path: Path, attempt: int) -> Facts:
        passed: list[PassedOver] = []
        notes: list[str] = []
        with shard_writer(path, self._out / REFUSED_FOLDER / shard.file) as writer:
            records = self._records(shard, writer, passed, notes)
            made = forecast_records(
                self._forecaster,
                self._watched(records, shard, attempt),
                base_rate=self._work.base_rate,
                chunk=CHUNK,
            )
            for found in made:
                writer.add(found)
            facts = Facts(
                shard.key,
                writer.forecasts,
                writer.not_applicable,
                writer.refused,
                tuple((p.container, p.count, tuple(p.first)) for p in passed if p.count),
                tuple(notes[:_NOTES]),
            )
            writer.end(facts)
        return facts

    def _watched(self, records: Iterator[Record], shard: Shard, attempt: int) -> Iterator[Record]:
        """The records; a file says meanwhile which of them are being forecast, and where.

        It is what a process that dies leaves behind.
        """
        for number, record in enumerate(records):
            if number % CHUNK == 0:
                self._chunk = []
                self._note(shard, record.source.name, attempt)
            self._chunk.append(record.source.name)
            yield record

    def _begin(self, shard: Shard) -> int:
        """Which attempt at the shard this is; ``ShardError`` where there were too many."""
        before = read_busy(self._busy_file(shard))
        attempt = 1 if before is None else before.attempt + 1
        if before is not None and attempt > ATTEMPTS:
            raise ShardError(
                f"{counted(ATTEMPTS, 'process', 'processes')} died there, the last one on the "
                f"machine {before.machine} at the record {before.record} or one of the "
                f"{CHUNK - 1} behind it.",
                hint="Check the memory of that machine, with fewer processes (--workers) for "
                "instance.",
            )
        self._note(shard, shard.place, attempt)
        return attempt

    def _note(self, shard: Shard, record: str, attempt: int) -> None:
        busy = Busy(self._machine, record, attempt)
        write_text(self._busy_file(shard), json.dumps(asdict(busy)))

    def _busy_file(self, shard: Shard) -> Path:
        return self._out / BUSY_FOLDER / shard.file

    def _records(
        self, shard: Shard, writer: ShardWriter, passed: list[PassedOver], notes: list[str]
    ) -> Iterator[Record]:
        """The shard's records, each named as the user named its file."""
        own = _named(shard)

        def refuse(error: RegistryError) -> None:
            writer.refuse(error, own(error.file))

        def remark(note: ReadNote) -> None:
            notes.append(str(replace(note, file=own(note.file))))

        if shard.kind == "rows":
            yield from self._table(shard).records(shard.start, shard.stop, refuse)
            return
        over = PassedOver(shard.name)
        passed.append(over)
        if shard.kind == "members":
            yield from self._zip(shard).records(shard.start, shard.stop, over, refuse, remark)
            return
        folder = Path(shard.path)
        below = chain.from_iterable(_below(folder / file) for file in shard.files)
        # A file that the user named is never passed over.
        files, passes = (below, over) if shard.files else ([folder], None)
        items = files_items(files, Limits(), passes)
        for record in RecordReader(items, refuse, remark):
            source = record.source
            yield replace(record, source=replace(source, file=own(source.file)))

    def _zip(self, shard: Shard) -> ZipParts:
        opened = self._reopened(shard, ZipParts)
        assert isinstance(opened, ZipParts)
        return opened

    def _table(self, shard: Shard) -> ParquetParts:
        opened = self._reopened(shard, ParquetParts)
        assert isinstance(opened, ParquetParts)
        return opened

    def _reopened(
        self, shard: Shard, kind: Callable[[Path, str], ZipParts | ParquetParts]
    ) -> ZipParts | ParquetParts:
        """The open file of the last shard where it is the same, as it nearly always is."""
        if self._open is None or self._open[0] != shard.name:
            self.close()
            self._open = shard.name, kind(Path(shard.path), shard.name)
        return self._open[1]

    def _failure(self, shard: Shard, error: Exception) -> ShardError:
        ends = list(dict.fromkeys(self._chunk[:1] + self._chunk[-1:]))
        at = f" at the records {' to '.join(ends)}" if len(ends) > 1 else ""
        at = at or (f" at the record {ends[0]}" if ends else "")
        reason = str(error) if isinstance(error, LLM4TOPError) else _reason(error)
        return ShardError(
            f"the machine {self._machine} failed{at}: {reason}",
            where=shard.place,
            hint="What is finished stays: repair it and give the same command again.",
        )


def _named(shard: Shard) -> Callable[[str], str]:
    """Turns a file's path into what the user's name for the shard's path makes of it."""
    before = shard.path

    def own(file: str) -> str:
        if file == before or file.startswith(f"{before}!"):
            return shard.name + file[len(before) :]
        if file.startswith(f"{before}/"):
            return str(Path(shard.name, file[len(before) + 1 :]))
        return file

    return own


def _below(path: Path) -> Iterator[Path | RegistryError]:
    """A file itself, or what listing a folder says: that it cannot be listed."""
    if path.is_dir():
        yield from files_below(path)
    else:
        yield path


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{(error.strerror or first_line(error)).rstrip('.')}{where}."
    return f"{type(error).__name__}: {first_line(error).rstrip('.')}."
