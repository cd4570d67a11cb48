"""Reading labelled records: their text goes to a file on disk, the facts about them stay here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import TracebackType

import pyarrow.parquet as pq

from llm4top.data.labels import LabelFile
from llm4top.data.parquet import SCHEMA, Row, batch_rows, encode_trial, row_batch
from llm4top.data.sources import SourcePath, TrialDates, phases_of
from llm4top.errors import RegistryError
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.registry.limits import Limits
from llm4top.registry.reader import RecordReader, read_records
from llm4top.registry.trial import ReadNote, Record, RegistryOutcome
from llm4top.tasks.task import LabelRule, Task

_STRICTNESS = {None: 0, "train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record, without its text.

    ``in_question`` is false for one that cannot be a row (no label, or another phase); its
    split still decides in which splits other records of its trial may be.
    """

    nct_id: str
    label: str
    phase: str | None
    file: str
    own_split: str | None
    start_date: str | None
    first_submitted: str | None
    processed: str | None
    format: str
    source_sha256: str
    in_question: bool = True


@dataclass(slots=True)
class Pool:
    """The candidates that become rows, by position, with the files their copies stood in.

    ``dropped`` holds NCT id and reason of each that does not.
    """

    kept: dict[int, tuple[str, ...]] = field(default_factory=dict)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


def pool(candidates: Sequence[Candidate], *, keep_own_split: bool) -> Pool:
    """One candidate for each NCT id.

    A trial in a test file is removed from train and valid, one in a valid file from train.
    ``keep_own_split`` false is for a new split over the source's train and valid: its test rows
    are left out altogether, so that they stay unseen. Of what remains the newest record stands
    for the trial; copies that disagree on label or phase are all left out.
    """
    result = Pool()
    copies: defaultdict[str, list[int]] = defaultdict(list)
    for position, candidate in enumerate(candidates):
        copies[candidate.nct_id].append(position)
    for positions in copies.values():
        remaining = _strictest(candidates, positions, result, keep_own_split)
        if remaining:
            _merge(candidates, remaining, result)
    result.kept = dict(sorted(result.kept.items()))
    return result


def _strictest(
    candidates: Sequence[Candidate], positions: Sequence[int], result: Pool, keep_own_split: bool
) -> list[int]:
    """The copies in question that stand in the strictest split their trial is in."""
    strictest = max((candidates[p].own_split for p in positions), key=_STRICTNESS.__getitem__)
    remaining = []
    for position in positions:
        own = candidates[position]
        if not own.in_question:
            continue
        if own.own_split == "test" and not keep_own_split:
            reason = "in a test file of its source, which no other split may use"
        elif strictest == "test" and own.own_split != "test":
            reason = f"also in a test file: left out of {own.own_split or 'the rest'}"
        elif strictest == "valid" and own.own_split == "train" and keep_own_split:
            reason = "also in a validation file: left out of train"
        else:
            remaining.append(position)
            continue
        result.dropped.append((own.nct_id, reason))
    return remaining


def _merge(candidates: Sequence[Candidate], positions: Sequence[int], result: Pool) -> None:
    newest = max(candidates[p].processed or "" for p in positions)
    current = [p for p in positions if (candidates[p].processed or "") == newest]
    first = candidates[current[0]]
    reason = None
    if any(candidates[p].label != first.label for p in current):
        reason = "copies with different labels"
    elif any(phases_of(candidates[p].phase) != phases_of(first.phase) for p in current):
        reason = "copies with different phases"
    if reason is not None:
        result.dropped += [(first.nct_id, reason)] * len(positions)
        return
    result.kept[current[0]] = tuple(dict.fromkeys(candidates[p].file for p in current))
    result.notes["copies of one trial merged into one row"] += len(current) - 1
    result.notes["older records of a trial replaced by the newest"] += len(positions) - len(current)


DROPPED_NAMED = 100
NO_LABEL = "without a label for this task"
NOT_LISTED = "not in the label file"
_ROWS_PER_GROUP = 500


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


@dataclass(frozen=True, slots=True)
class Reading:
    """How records are read and labelled.

    ``labels`` is a label file, used instead of ``rule``; empty ``phases`` means all.
    ``dates`` are dates by NCT id for records that bring none.
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

    def records(self, path: Path) -> RecordReader:
        """The records of a file, folder or zip."""
        return read_records(
            path, limits=self.limits, on_refusal=self.on_refusal, on_note=self.on_note
        )

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
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._pending: list[Row] = []

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
        reader = reading.records(source.path)
        kept = self._labelled(reader, source)
        for _ in islice(kept, reading.limit):
            pass
        for name, count in reader.summary.reasons.items():
            self.losses.reasons[f"cannot be read: {name}"] += count
        self.refusals += reader.summary.refusals[: DROPPED_NAMED - len(self.refusals)]
        self._report(source)

    def rows(self) -> Iterator[Row]:
        """All rows again, in the order of ``candidates``; their split is still empty."""
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_PER_GROUP):
                yield from batch_rows(batch)

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
            self._pending.clear()

    def _report(self, source: SourcePath) -> None:
        self._reading.on_progress(
            reading_progress("reading", source.path, self.read, len(self.candidates))
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
