"""Trials of a sparse source (TOP's CSV) in the fuller words of their registry record."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from llm4top.data._spool import reading_progress
from llm4top.data._store import Row, decode_trial, encode_trial
from llm4top.errors import RegistryError
from llm4top.progress import OnProgress
from llm4top.registry import Limits, ReadNote, read_records

_REPORT_EVERY = 500


@dataclass(frozen=True, slots=True)
class _Found:
    trial: str
    start_date: str | None
    first_submitted: str | None
    status: str | None
    why_stopped: str | None
    processed: str | None
    source_sha256: str


class Enrichment:
    """Registry records of wanted trials, by NCT id; of several records the newest counts.

    Holds the wanted trials as text, so its memory follows the data set, not the registry.
    """

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}

    def __len__(self) -> int:
        return len(self._found)

    @property
    def processing_dates(self) -> list[str]:
        """When the registry processed the records that were found."""
        return [found.processed for found in self._found.values() if found.processed]

    def read(
        self,
        path: Path,
        wanted: Collection[str],
        *,
        limits: Limits | None,
        on_refusal: Callable[[RegistryError], None] | None,
        on_note: Callable[[ReadNote], None] | None,
        on_progress: OnProgress,
    ) -> None:
        """Look for the wanted trials in a file, folder or zip of registry records."""
        for number, record in enumerate(
            read_records(path, limits=limits, on_refusal=on_refusal, on_note=on_note), start=1
        ):
            if number % _REPORT_EVERY == 0:
                on_progress(reading_progress("enriching", path, number, len(self)))
            nct_id = record.nct_id
            if nct_id is None or nct_id not in wanted or record.source.format == "top-csv":
                continue
            known = self._found.get(nct_id)
            if known is not None and (known.processed or "") >= (record.source.processed or ""):
                continue
            self._found[nct_id] = _Found(
                encode_trial(record.trial),
                record.registry_outcome.start_date,
                record.registry_outcome.first_submitted,
                record.registry_outcome.status or None,
                record.registry_outcome.why_stopped or None,
                record.source.processed,
                record.source.sha256,
            )

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
        told = row if row.status else found
        return replace(
            row,
            trial=encode_trial(trial),
            source_sha256=found.source_sha256,
            status=told.status,
            why_stopped=told.why_stopped,
        )

    def dates(self, nct_id: str) -> tuple[str | None, str | None]:
        """Start date and date of first submission as the registry has them."""
        found = self._found.get(nct_id)
        return (found.start_date, found.first_submitted) if found else (None, None)
