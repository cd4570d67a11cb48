"""Reading labelled records: their text goes to a file on disk, the facts about them stay here."""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from itertools import islice
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.parquet as pq

from llm4top.data.labels import LabelFile
from llm4top.data.parquet import Row, batch_rows, encode_trial, row_batch, writer
from llm4top.data.pool import Candidate
from llm4top.data.shared_reading import Answer, shared, unpacked
from llm4top.data.sources import SourcePath, TrialDates, phases_of
from llm4top.errors import RegistryError
from llm4top.progress import READING, OnProgress, Progress, ignore
from llm4top.registry.input_files import PassedOver
from llm4top.registry.limits import Limits
from llm4top.registry.reader import CHUNK, RecordReader, read_records, shared_parts
from llm4top.registry.trial import ReadNote, Record, RegistryOutcome
from llm4top.tasks.task import LabelRule, Task

_CANDIDATE = attrgetter(*(item.name for item in fields(Candidate)))

DROPPED_NAMED = 100
NO_LABEL = "without a label for this task"
NOT_LISTED = "not in the label file"
_ROWS_PER_GROUP = 500
_FEWEST_TO_SHARE = 4 * CHUNK
"""Fewer records are read before more processes have started."""


@dataclass(slots=True)
class Losses:
    """What was left out and why: every reason counted, the first hundred records named."""

    reasons: Counter[str] = field(default_factory=Counter)
    first: list[tuple[str, str]] = field(default_factory=list)

    def add(self, nct_id: str, reason: str) -> None:
        """Count one record."""
        self.reasons[reason] += 1
        if len(self.first) < DROPPED_NAMED:
            self.first.append((nct_id, reason))

    def add_all(self, reasons: Mapping[str, int], first: Sequence[Sequence[str]]) -> None:
        """Count what another process has left out."""
        self.reasons.update(reasons)
        self.first += [(nct_id, reason) for nct_id, reason in first][
            : DROPPED_NAMED - len(self.first)
        ]


@dataclass(frozen=True, slots=True)
class Reading:
    """How records are read and labelled.

    ``labels`` is a label file, used instead of ``rule``; empty ``phases`` means all.
    ``dates`` are dates by NCT id for records that bring none. ``workers`` processes share the
    members of a large zip, or the files of a large folder, unless there is a ``limit``.
    """

    task: Task
    rule: LabelRule | None
    labels: LabelFile | None = None
    phases: frozenset[str] = frozenset()
    dates: Mapping[str, TrialDates] = field(default_factory=dict)
    limits: Limits | None = None
    limit: int | None = None
    on_refusal: Callable[[RegistryError], None] | None = None
    on_note: Callable[[ReadNote], None] | None = None
    on_progress: OnProgress = ignore
    workers: int = 1

    def records(self, path: Path) -> RecordReader:
        """The records of a file, folder or zip."""
        return read_records(
            path, limits=self.limits, on_refusal=self.on_refusal, on_note=self.on_note
        )

    def processes(self, source: SourcePath) -> int:
        """How many processes read the source: none without a chunk of its own."""
        if self.workers < 2 or self.limit is not None:
            return 1
        parts = shared_parts(source.path, self.limits)
        return min(self.workers, -(-parts // CHUNK)) if parts >= _FEWEST_TO_SHARE else 1

    def job(self, source: SourcePath) -> dict[str, Any]:
        """What another process needs to read a share of the source, as JSON-able values."""
        return {
            "path": str(source.path),
            "chunk": CHUNK,
            "task": self.task.to_dict(),
            "has_rule": self.rule is not None,
            "labels": asdict(self.labels) if self.labels is not None else None,
            "phases": sorted(self.phases),
            "dates": {nct_id: astuple(dates) for nct_id, dates in self.dates.items()},
            "limits": asdict(self.limits) if self.limits is not None else None,
        }

    def label(self, record: Record) -> tuple[str | None, str]:
        """The record's label, or None and the reason why it has none."""
        if self.labels is not None:
            if record.nct_id in self.labels.conflicts:
                return None, "two different labels in the label file"
            return self.labels.labels.get(record.nct_id or ""), NOT_LISTED
        label = self.rule(record) if self.rule is not None else None
        if label is not None and label not in self.task.labels:
            return None, f"with the label {label!r}, which is not one of the task's"
        return label, NO_LABEL

    def in_question(self, record: Record, source: SourcePath) -> bool:
        """Whether the record is of a chosen phase: TOP's by its file, others by their own."""
        if not self.phases:
            return True
        phases = {source.top_phase} if source.top_phase else phases_of(record.trial.phase)
        return bool(self.phases & phases)


class Spool:
    """Labelled records on disk in reading order, with their facts in ``candidates``."""

    def __init__(self, path: Path, reading: Reading):
        self.candidates: list[Candidate] = []
        self.losses = Losses()
        self.refusals: list[RegistryError] = []
        self.read = 0
        self._path = path
        self._reading = reading
        self._writer = writer(path)
        self._pending: list[Row] = []
        self._groups: list[Path] = []
        """The file of each row group, in the order of the rows."""

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flush()
        self._writer.close()

    def add_all(self, source: SourcePath) -> None:
        """Read one source to its end, or to the limit of rows."""
        reading = self._reading
        processes = reading.processes(source)
        if processes > 1:
            shares = self._absorbed(source, processes)
            reader = RecordReader(shares, reading.on_refusal, reading.on_note)
            deque(reader, maxlen=0)  # refusals and notes only: the records stay where they are read
        else:
            reader = reading.records(source.path)
            self.add(reader, source)
        for name, count in reader.summary.reasons.items():
            self.losses.reasons[f"cannot be read: {name}"] += count
        self.refusals += reader.summary.refusals[: DROPPED_NAMED - len(self.refusals)]
        self._report(source)

    def add(self, reader: RecordReader, source: SourcePath) -> None:
        """Read records of a source to their end, or to the limit of rows."""
        deque(islice(self._labelled(reader, source), self._reading.limit), maxlen=0)

    def taken(self) -> Answer:
        """What was added since this was last asked, for ``_absorbed`` of another process."""
        self._flush()
        answer = {
            "read": self.read,
            "candidates": [_CANDIDATE(candidate) for candidate in self.candidates],
            "losses": (self.losses.reasons, self.losses.first),
            "groups": len(self._groups),
        }
        self.candidates, self.losses, self.read, self._groups = [], Losses(), 0, []
        return answer

    def rows(self) -> Iterator[Row]:
        """All rows again, in the order of ``candidates``; their split is still empty."""
        with ExitStack() as stack:
            files = {
                path: stack.enter_context(pq.ParquetFile(path))
                for path in dict.fromkeys(self._groups)
            }
            numbers: Counter[Path] = Counter()
            for path in self._groups:
                for batch in files[path].read_row_group(numbers[path]).to_batches():
                    yield from batch_rows(batch)
                numbers[path] += 1

    def _absorbed(self, source: SourcePath, processes: int) -> Iterator[RegistryError | ReadNote]:
        """Let several processes read a source; yield what they refuse or note, in its order."""
        self._flush()
        passed = PassedOver(str(source.path))
        folder = Path(tempfile.mkdtemp(prefix="share-", dir=self._path.parent))
        files = [folder / f"{worker}.parquet" for worker in range(processes)]
        for path, answer in shared(self._reading.job(source), files):
            self.read += answer["read"]
            self.candidates += [Candidate(*values) for values in answer["candidates"]]
            self.losses.add_all(*answer["losses"])
            self._groups += [path] * answer["groups"]
            passed.add(*answer["passed_over"])
            yield from map(unpacked, answer["found"])
            self._report(source)
        yield from passed.note()

    def _labelled(self, records: Iterator[Record], source: SourcePath) -> Iterator[Candidate]:
        for record in records:
            self.read += 1
            if self.read % _ROWS_PER_GROUP == 0:
                self._report(source)
            candidate = self._candidate(record, source)
            if candidate is not None:
                self._add(candidate, record)
                if candidate.in_question:
                    yield candidate

    def _candidate(self, record: Record, source: SourcePath) -> Candidate | None:
        if record.nct_id is None:
            self.losses.add(record.source.name, "without an NCT id")
            return None
        label, reason = self._reading.label(record)
        if not self._reading.in_question(record, source):
            label, reason = None, "of another phase than chosen"
        if label is None:
            self.losses.add(record.nct_id, reason)
            if source.own_split is None:
                return None
        outcome = record.registry_outcome
        dates = self._reading.dates.get(record.nct_id, TrialDates())
        return Candidate(
            nct_id=record.nct_id,
            label=label or "",
            phase=record.trial.phase,
            file=source.path.name,
            own_split=source.own_split,
            start_date=outcome.start_date or dates.start,
            first_submitted=outcome.first_submitted or dates.first_submitted,
            processed=record.source.processed,
            format=record.source.format,
            source_sha256=record.source.sha256,
            in_question=label is not None,
        )

    def _add(self, candidate: Candidate, record: Record) -> None:
        self.candidates.append(candidate)
        row = row_of(record)
        dates = self._reading.dates.get(row.nct_id, TrialDates())
        self._pending.append(
            replace(
                row,
                label=candidate.label,
                start_date=candidate.start_date,
                first_submitted=candidate.first_submitted,
                completion_date=row.completion_date or dates.completion,
                files=(candidate.file,),
            )
        )
        if len(self._pending) >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_batch(row_batch(self._pending))
            self._groups.append(self._path)
            self._pending.clear()

    def _report(self, source: SourcePath) -> None:
        self._reading.on_progress(
            reading_progress(READING, source.path, self.read, len(self.candidates))
        )


def row_of(record: Record) -> Row:
    """A record with an NCT id as a row, before it has a label, a split or a file."""
    outcome = record.registry_outcome
    return Row(
        nct_id=record.nct_id or "",
        split="",
        label="",
        start_date=outcome.start_date,
        first_submitted=outcome.first_submitted,
        completion_date=completion_of(outcome),
        status=outcome.status or None,
        why_stopped=outcome.why_stopped or None,
        files=(),
        source_sha256=record.source.sha256,
        trial=encode_trial(record.trial),
    )


def completion_of(outcome: RegistryOutcome) -> str | None:
    """The last completion date that a record has: the final one is often later than the primary.

    Of "2004-08" and "2004-08-12" it is the coarser one, which may be later.
    """
    known = [d for d in (outcome.primary_completion_date, outcome.completion_date) if d]
    return max(known, key=lambda date: date + "~", default=None)


def reading_progress(stage: str, path: Path, read: int, kept: int) -> Progress:
    """How many records were read so far, of the file in ``detail``; ``figures`` holds "kept"."""
    return Progress(stage, read, detail=str(path), figures={"kept": kept})
