"""Which records become rows, in which split, and the history that goes on the card."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm4top.data.card import DatasetCard, DroppedRecord, SourceFile, new_card
from llm4top.data.parquet import Row, decode_trial, encode_trial
from llm4top.data.pool import Pool, pool
from llm4top.data.sources import path_sha256
from llm4top.data.splits import OwnSplit, RowFacts, SplitRule, check_disjoint, real_shares
from llm4top.data.spool import (
    NO_LABEL,
    NOT_LISTED,
    Reading,
    Spool,
    reading_progress,
    row_of,
)
from llm4top.errors import DatasetError
from llm4top.text import thousands

_REPORT_EVERY = 500


class Enrichment:
    """Registry records of wanted trials, by NCT id; of several records the newest counts.

    Holds the wanted trials as text, so its memory follows the data set, not the registry.
    """

    def __init__(self) -> None:
        self._found: dict[str, Row] = {}
        self._processed: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._found)

    @property
    def processing_dates(self) -> list[str]:
        """When the registry processed the records that were found."""
        return [day for day in self._processed.values() if day]

    def read(self, path: Path, wanted: Collection[str], reading: Reading) -> None:
        """Look for the wanted trials in a file, folder or zip of registry records."""
        for number, record in enumerate(reading.records(path), start=1):
            if number % _REPORT_EVERY == 0:
                reading.on_progress(reading_progress("enriching", path, number, len(self)))
            nct_id = record.nct_id
            if nct_id is None or nct_id not in wanted or record.source.format == "top-csv":
                continue
            processed = record.source.processed or ""
            if nct_id in self._found and self._processed[nct_id] >= processed:
                continue
            self._found[nct_id], self._processed[nct_id] = row_of(record), processed

    def apply(self, row: Row) -> Row:
        """The row with the registry's trial, if found; ICD codes and SMILES stay the row's own.

        So do status and why stopped, where the row has a status.
        """
        found = self._found.get(row.nct_id)
        if found is None:
            return row
        own, registered = decode_trial(row.trial), decode_trial(found.trial)
        trial = replace(
            registered,
            icd_codes=own.icd_codes,
            smiles=own.smiles,
            phase=registered.phase or own.phase,
        )
        outcome = row if row.status else found
        return replace(
            row,
            trial=encode_trial(trial),
            source_sha256=found.source_sha256,
            status=outcome.status,
            why_stopped=outcome.why_stopped,
        )

    def dates(self, nct_id: str) -> tuple[str | None, str | None]:
        """Start date and date of first submission as the registry has them."""
        found = self._found.get(nct_id)
        return (found.start_date, found.first_submitted) if found else (None, None)

    def completion(self, nct_id: str) -> str | None:
        """Completion date as the registry has it."""
        found = self._found.get(nct_id)
        return found.completion_date if found else None


_UNDATED = "without a date to split by"
_LATE = "without a start date, registered after the training part"
_TOP_TERMS = (
    "TOP, the Trial Outcome Prediction benchmark "
    "(github.com/futianfan/clinical-trial-outcome-prediction): non-commercial use only; its rows "
    "may not be redistributed."
)


@dataclass(slots=True)
class Plan:
    """The rows of a data set before they are written; ``splits`` by position in the spool."""

    spool: Spool
    reading: Reading
    rule: SplitRule
    pooled: Pool
    splits: dict[int, str]
    enrichment: Enrichment

    def rows(self) -> Iterator[Row]:
        """The rows in reading order, each with its split."""
        for position, row in enumerate(self.spool.rows()):
            split = self.splits.get(position)
            if split is None:
                continue
            start, submitted = self.enrichment.dates(row.nct_id)
            yield replace(
                self.enrichment.apply(row),
                split=split,
                files=self.pooled.kept[position],
                start_date=row.start_date or start,
                first_submitted=row.first_submitted or submitted,
                completion_date=row.completion_date or self.enrichment.completion(row.nct_id),
            )


def make_plan(spool: Spool, reading: Reading, rule: SplitRule, enrich: Path | None) -> Plan:
    """Pool what was read, enrich it and split it.

    Raises ``DatasetError`` where no row is left, and ``SplitError`` where ``rule`` cannot serve.
    """
    pooled = pool(spool.candidates, keep_own_split=isinstance(rule, OwnSplit))
    for nct_id, reason in pooled.dropped:
        spool.losses.add(nct_id, reason)
    enrichment = Enrichment()
    if enrich is not None:
        wanted = {spool.candidates[position].nct_id for position in pooled.kept}
        enrichment.read(enrich, wanted, reading)
    plan = Plan(spool, reading, rule, pooled, {}, enrichment)
    plan.splits = _assign(plan)
    if not plan.splits:
        raise _nothing_left(plan)
    return plan


def plan_card(plan: Plan, name: str, files: Sequence[Path]) -> DatasetCard:
    """The card's history: sources with their hashes, what was dropped and why, terms."""
    spool, notes = plan.spool, +plan.pooled.notes
    if plan.reading.labels is not None:
        read = {candidate.nct_id for candidate in spool.candidates}
        notes["labels without a record"] = len(plan.reading.labels.labels.keys() - read)
        notes["rows of the label file without a label"] = plan.reading.labels.empty
    if len(plan.enrichment):
        notes["rows with the trial of their registry record"] = len(plan.enrichment)
    rows = Counter(spool.candidates[position].file for position in plan.splits)
    return new_card(
        name,
        plan.reading.task,
        provenance=tuple(
            SourceFile(name=path.name, sha256=path_sha256(path), rows=rows[path.name])
            for path in files
        ),
        split_rule=real_shares(plan.rule, plan.splits.values()),
        dropped=dict(spool.losses.reasons.most_common()),
        dropped_first=tuple(
            DroppedRecord(nct_id=nct_id, reason=reason) for nct_id, reason in spool.losses.first
        ),
        notes=dict(+notes),
        terms=_terms(plan),
    )


def _assign(plan: Plan) -> dict[int, str]:
    candidates = plan.spool.candidates
    positions = list(plan.pooled.kept)
    facts = []
    for position in positions:
        known = candidates[position]
        start, submitted = plan.enrichment.dates(known.nct_id)
        facts.append(
            RowFacts(
                known.nct_id,
                known.label,
                known.start_date or start,
                known.first_submitted or submitted,
                known.own_split,
            )
        )
    splits: dict[int, str] = {}
    assigned = plan.rule.assign(facts)
    for position, split, row in zip(positions, assigned, facts, strict=True):
        if split is None:
            plan.spool.losses.add(row.nct_id, _LATE if row.first_submitted else _UNDATED)
        else:
            splits[position] = split
    check_disjoint((candidates[position].nct_id for position in splits), splits.values())
    return splits


def _nothing_left(plan: Plan) -> DatasetError:
    spool, labels = plan.spool, plan.reading.labels
    reasons = spool.losses.reasons
    first = f" The first refusal: {spool.refusals[0]}" if spool.refusals else ""
    if spool.read and reasons[NO_LABEL] == spool.read:
        return DatasetError(
            f"none of the {thousands(spool.read)} records has a label.",
            hint="Add a CSV of labels with the columns nctid and label: `llm4top ingest --labels`.",
        )
    if labels is not None and spool.read and reasons[NOT_LISTED] == spool.read:
        return DatasetError(
            f"none of the {thousands(spool.read)} records is in the label file, which has labels "
            f"of {thousands(len(labels.labels))} trials.",
            hint="Check that the NCT ids of the two belong together.",
        )
    why = "; ".join(f"{thousands(count)} {reason}" for reason, count in reasons.most_common(3))
    return DatasetError(
        f"no labelled trial is left of {thousands(spool.read)} records."
        + (f" Left out: {why}." if why else "")
        + first,
        hint="Check the sources, the task and the labels.",
    )


def _terms(plan: Plan) -> tuple[str, ...]:
    kept = [plan.spool.candidates[position] for position in plan.splits]
    terms = []
    if any(candidate.format == "top-csv" for candidate in kept):
        terms.append(_TOP_TERMS)
    if len(plan.enrichment) or any(candidate.format != "top-csv" for candidate in kept):
        processed = [c.processed for c in kept if c.processed] + plan.enrichment.processing_dates
        first, last = min(processed, default=None), max(processed, default=None)
        when = f" on {first}" if first == last else f" between {first} and {last}"
        terms.append(
            "Registry records: ClinicalTrials.gov, US National Library of Medicine, processed"
            f"{when if processed else ' on a date they do not tell'}. "
            "Name this source and date wherever the records are shown."
        )
    return tuple(terms)
