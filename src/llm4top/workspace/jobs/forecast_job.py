"""Forecasts of many records as a run: written down one by one, so that nothing is done twice."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from llm4top.errors import NotFoundError
from llm4top.files import replacing, write_text
from llm4top.forecasters.forecast_format import COLUMNS, Forecast, csv_cells
from llm4top.forecasters.same_trials import mark_same_trials
from llm4top.progress import Progress
from llm4top.registry.trial import Record
from llm4top.text import CsvRows
from llm4top.workspace.jobs.job_settings import ForecastWork, work_of
from llm4top.workspace.jobs.resolve import keep_forecasts
from llm4top.workspace.jobs.work import Job
from llm4top.workspace.serving.parsing import NOT_APPLICABLE, ParsingLimits, Refusal, UploadReader

if TYPE_CHECKING:
    from llm4top.forecasters.base_rate_shift import TargetRates
    from llm4top.forecasters.forecaster import Forecaster

JSONL_FILE = "forecasts.jsonl"
CSV_FILE = "forecasts.csv"
REFUSALS_FILE = "refusals.jsonl"
_JOURNAL = ".forecasts.partial"
_CHUNK = 64
_KEPT_REFUSALS = 10_000
_KEPT_NOTES = 20

# An archive of the whole registry takes minutes to read; a single record that hangs does not.
_READING = ParsingLimits(cpu_seconds=3600)


def forecast_run(job: Job) -> dict[str, Any]:
    """Forecast every record; ``forecasts.jsonl`` and ``.csv``, and a row each in the store.

    A resumed run continues after the last stored forecast, if the bundle is still the same.
    """
    from llm4top.forecasters.base_rate_shift import target_rates

    work: ForecastWork = work_of("forecast", job.settings)
    job.report(Progress("Loading"))
    forecaster = _load(job, work)
    refusals = _Refusals()
    notes: list[str] = []
    total = _total(job, work)
    with _Journal(
        job.folder / _JOURNAL, forecaster.identity, fresh=not job.run.resuming
    ) as journal:
        read = islice(_records(job, work, refusals, notes), work.limit)
        records = _applicable(forecaster, read, refusals)
        behind = islice(records, journal.lines, None)
        try:
            rates = work.base_rate and target_rates(work.base_rate, forecaster.task, files=False)
            _forecast_all(job, forecaster, rates or None, behind, journal, refusals, total)
        except KeyboardInterrupt:
            # What is finished can be looked at before the run is resumed.
            keep_forecasts(job.workspace, job.run, items_of(journal.path), refusals.first)
            raise
        done = journal.lines
    _write_csv(journal.path, job.folder / CSV_FILE)
    lines = [json.dumps(item.to_dict(), ensure_ascii=False) + "\n" for item in refusals.first]
    write_text(job.folder / REFUSALS_FILE, "".join(lines))
    left_out = [*refusals.first, *map(Refusal.note, notes[:_KEPT_NOTES])]
    keep_forecasts(job.workspace, job.run, items_of(journal.path), left_out)
    _forget_refused(job, refusals)
    journal.path.replace(job.folder / JSONL_FILE)
    return {
        "forecasts": done,
        "refused": refusals.count,
        "notes": notes[:_KEPT_NOTES],
        "refusals": [replace(item, subject=None).to_dict() for item in refusals.first[:20]],
        "bundle": forecaster.identity,
        "files": [CSV_FILE, JSONL_FILE, REFUSALS_FILE],
    }


def _forecast_all(
    job: Job,
    forecaster: Forecaster,
    base_rate: TargetRates | None,
    records: Iterator[Record],
    journal: _Journal,
    refusals: _Refusals,
    total: int,
) -> None:
    from llm4top.forecasters.forecast import forecast_records

    made = forecast_records(forecaster, records, base_rate=base_rate, chunk=_CHUNK)
    # ``_applicable`` has left out the records that get no forecast.
    forecasts = (forecast for forecast in made if isinstance(forecast, Forecast))
    for forecast in mark_same_trials(forecasts, journal.first_of):
        # The text that the model read is most of the size; a trial's page reads it again.
        journal.add(forecast.to_dict(sections=False))
        left_out = f"{refusals.count} left out" if refusals.count else ""
        left = max(total - refusals.count, journal.lines) if total else 0
        job.report(Progress("Forecasting", journal.lines, left, left_out))


def _forget_refused(job: Job, refusals: _Refusals) -> None:
    """Delete uploads of which no record could be read."""
    for upload_id in refusals.unread_uploads:
        with suppress(NotFoundError):
            job.workspace.uploads.delete(upload_id)


def items_of(file: Path) -> Iterator[Forecast]:
    """The forecasts in a run's ``forecasts.jsonl``, one at a time, without their sections."""
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield Forecast.from_dict(json.loads(line))


class _Journal:
    """Lines that were written down whole; what a kill broke off is cut away."""

    def __init__(self, path: Path, bundle: str, *, fresh: bool):
        self.path = path
        self.lines = 0
        self.first_of: dict[str, str] = {}
        self._bundle = bundle
        self._fresh = fresh
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Journal:
        # A copy: a worker that was thought lost may still write into the file that it opened.
        with replacing(self.path) as scratch:
            new = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(new, "wb") as file:
                for line in self._kept():
                    file.write(line)
                    self.lines += 1
        self._file = self.path.open("ab")
        return self

    def _kept(self) -> Iterator[bytes]:
        """The lines that an earlier attempt wrote down, up to the first that is not whole."""
        if self._fresh or not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                values = self._checked(line)
                if values is None:
                    break
                if values["nct_id"]:
                    self.first_of.setdefault(values["nct_id"], values["record"])
                yield line

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, values: dict[str, Any]) -> None:
        """Write one line; it outlives this process from here on."""
        assert self._file is not None
        self._file.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self.lines += 1

    def _checked(self, line: bytes) -> dict[str, Any] | None:
        """The values of a whole line of this bundle's; None for any other."""
        try:
            values: dict[str, Any] = json.loads(line)
            return values if line.endswith(b"\n") and values["bundle"] == self._bundle else None
        except (ValueError, KeyError, TypeError):
            return None


def _load(job: Job, work: ForecastWork) -> Forecaster:
    from llm4top.forecasters.bundles.loading import AS_TRAINED
    from llm4top.forecasters.load import load_forecaster

    return load_forecaster(
        job.model(work.model),
        task=work.task,
        device=job.device,
        quantize=work.quantize or AS_TRAINED,
        batch_tokens=work.batch_tokens,
    )


class _Refusals:
    """Counts what gets no forecast and keeps the first ten thousand."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Refusal] = []
        self.unread_uploads: list[str] = []

    def add(self, refusal: Refusal) -> None:
        self.count += 1
        if len(self.first) < _KEPT_REFUSALS:
            self.first.append(refusal)


def _total(job: Job, work: ForecastWork) -> int:
    """How many records to expect; 0 where only reading them tells."""
    from llm4top.registry.input_files import expected_records

    if work.sources:
        return work.limit or 0
    found = [expected_records(job.workspace.uploads.path(upload)) for upload in work.uploads]
    known = [count for count in found if count is not None]
    if len(known) < len(found):
        return work.limit or 0
    return min(sum(known), work.limit) if work.limit else sum(known)


def _records(
    job: Job, work: ForecastWork, refusals: _Refusals, notes: list[str]
) -> Generator[Record, None, None]:
    """Records of uploads, read in a sandboxed process, then those of paths."""
    from llm4top.registry.reader import read_records
    from llm4top.registry.trial import ReadNote

    reader = UploadReader(_READING)
    try:
        for upload_id in work.uploads:
            upload = job.workspace.uploads.get(upload_id)
            count = 0
            for item in reader.read(job.workspace.uploads.path(upload_id), upload.name):
                if isinstance(item, Refusal):
                    refusals.add(item)
                elif isinstance(item, ReadNote):
                    notes.append(str(item))
                else:
                    count += 1
                    yield item
            if not count:
                refusals.unread_uploads.append(upload_id)
    finally:
        reader.close()
    if work.sources:
        yield from read_records(
            work.sources,
            on_refusal=lambda e: refusals.add(_refusal(e)),
            on_note=lambda note: notes.append(str(note)),
        )


def _applicable(
    forecaster: Forecaster, records: Iterator[Record], refusals: _Refusals
) -> Iterator[Record]:
    """The records that the bundle's question applies to; the others are listed with the reason."""
    from llm4top.forecasters.forecast import not_applicable

    for record in records:
        other = not_applicable(forecaster, record)
        if other is None:
            yield record
        else:
            subject = other.subject()
            refusals.add(Refusal(other.record, NOT_APPLICABLE, other.reason, subject=subject))


def _refusal(error: Any) -> Refusal:
    return Refusal(error.file, type(error).__name__, error.message, error.hint, error.line)


def _write_csv(journal: Path, file: Path) -> None:
    with replacing(file) as scratch, scratch.open("w", encoding="utf-8", newline="") as stream:
        rows = CsvRows(stream)
        rows.writerow(COLUMNS)
        for forecast in items_of(journal):
            rows.writerow(csv_cells(forecast.row()))
