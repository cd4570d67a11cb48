"""The trials of a stored data set, to search and page through; one is decoded when it is opened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llm4top.errors import DatasetError, NotFoundError
from llm4top.registry.trial import Trial

_LISTED = ("nct_id", "split", "label", "phase", "start_date")
_BATCH = 2048
_KEPT = 4
"""Tables that stay in memory: some 50 MB for 100 000 trials each."""

_DECODER = json.JSONDecoder()
_AGAIN = "Make the data set again."


@dataclass(frozen=True, slots=True)
class ListedTrial:
    """One row of the table; ``position`` counts from 0 in the order of the file.

    ``title`` is never empty: where a trial has none, it shows its interventions and conditions,
    and otherwise in ``subjects``.
    """

    position: int
    nct_id: str
    title: str
    subjects: str
    phase: str
    split: str
    label: str
    start_date: str


@dataclass(frozen=True, slots=True)
class OpenedTrial:
    """One trial in full: its row, what a model may read, and its label side."""

    row: ListedTrial
    trial: Trial
    status: str | None
    why_stopped: str | None
    files: tuple[str, ...]


class TrialTable:
    """What a list of trials shows of each, in memory; the texts stay on disk."""

    def __init__(self, file: Path, rows: Sequence[ListedTrial], groups: Sequence[int]):
        self._file = file
        self._rows = rows
        self._groups = groups
        self._words = [f"{row.nct_id} {row.title} {row.subjects}".casefold() for row in rows]

    @classmethod
    def open(cls, folder: Path) -> TrialTable:
        """Read the columns of the data set in ``folder``; its rows are not held to its hash.

        Raises ``DatasetError`` where its trials cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = folder / "trials.parquet"
        rows: list[ListedTrial] = []
        try:
            with pq.ParquetFile(file) as parquet:
                groups = [
                    parquet.metadata.row_group(k).num_rows for k in range(parquet.num_row_groups)
                ]
                for batch in parquet.iter_batches(_BATCH, columns=[*_LISTED, "trial"]):
                    rows += _listed(batch, len(rows))
        except (OSError, KeyError, pa.ArrowException) as error:
            raise DatasetError(f"its trials cannot be read: {error}.", hint=_AGAIN) from error
        return cls(file, rows, groups)

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, text: str = "", *, split: str = "", label: str = "") -> list[int]:
        """Positions of the trials that name every word of ``text``, in the order of the file.

        Looked at are NCT id, title, interventions and conditions; upper and lower case are the
        same. An empty ``split`` or ``label`` stands for all.
        """
        found: Sequence[int] = range(len(self._rows))
        for word in text.casefold().split():
            found = [k for k in found if word in self._words[k]]
        if split:
            found = [k for k in found if self._rows[k].split == split]
        if label:
            found = [k for k in found if self._rows[k].label == label]
        return list(found)

    def rows(self, positions: Sequence[int]) -> list[ListedTrial]:
        """The rows at those positions."""
        return [self._rows[k] for k in positions]

    def years(self) -> dict[int, dict[str, int]]:
        """Trials by start year and split, without those that have no start date."""
        counts = Counter(
            (int(row.start_date[:4]), row.split) for row in self._rows if row.start_date
        )
        table: dict[int, dict[str, int]] = {}
        for (year, split), count in sorted(counts.items()):
            table.setdefault(year, {})[split] = count
        return table

    def undated(self) -> dict[str, int]:
        """Trials without a start date by split."""
        return dict(Counter(row.split for row in self._rows if not row.start_date))

    def open_trial(self, position: int) -> OpenedTrial:
        """Decode one trial; ``NotFoundError`` where there is no such row."""
        if not 0 <= position < len(self._rows):
            raise NotFoundError("this data set has no such trial.")
        values = self._stored(position)
        from llm4top.data.parquet import decode_trial

        return OpenedTrial(
            self._rows[position],
            decode_trial(values["trial"]),
            values["status"],
            values["why_stopped"],
            tuple(values["files"]),
        )

    def _stored(self, position: int) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        group, inside = 0, position
        while inside >= self._groups[group]:
            inside -= self._groups[group]
            group += 1
        columns = ["trial", "status", "why_stopped", "files"]
        try:
            with pq.ParquetFile(self._file) as parquet:
                table = parquet.read_row_group(group, columns=columns)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise DatasetError(f"its trials cannot be read: {error}.", hint=_AGAIN) from error
        found: dict[str, Any] = table.slice(inside, 1).to_pylist()[0]
        return found


@lru_cache(maxsize=_KEPT)
def trial_table(folder: Path, sha256: str) -> TrialTable:  # noqa: ARG001
    """The table of a data set, cached under its content's hash."""
    return TrialTable.open(folder)


def _listed(batch: Any, first: int) -> list[ListedTrial]:
    columns = (batch.column(name).to_pylist() for name in (*_LISTED, "trial"))
    made: list[ListedTrial] = []
    for nct_id, split, label, phase, start, text in zip(*columns, strict=True):
        title, subjects = _title(text), _subjects(text)
        made.append(
            ListedTrial(
                first + len(made),
                nct_id,
                title or subjects or "Trial without a title",
                subjects if title else "",
                phase or "",
                split,
                label,
                start or "",
            )
        )
    return made


def _title(text: str) -> str:
    return _value(text, "brief_title") or _value(text, "official_title") or ""


def _subjects(text: str) -> str:
    """Conditions and what is tried, as a title for trials that have none: TOP's files do not."""
    conditions = ", ".join(_value(text, "conditions") or ())
    tried = ", ".join(made["name"] for made in _value(text, "interventions") or ())
    return ": ".join(filter(None, [tried, conditions]))


def _value(text: str, key: str) -> Any:
    """One value of a trial's stored JSON; to decode all of it takes several times as long.

    A quote inside a text is stored behind a backslash, so only a key can look like one.
    """
    mark = f'"{key}":'
    at = text.find(mark)
    return None if at < 0 else _DECODER.raw_decode(text, at + len(mark))[0]
