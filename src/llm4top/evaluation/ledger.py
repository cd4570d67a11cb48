"""The test ledger: each look at a test split, written down before the look.

One JSON object a line in ``test-ledger.jsonl``, appended under a lock and flushed to the disk.
Each line holds the hash of the line before it and its own, so that a line that was changed, put in
or taken out from between is noticed. Lines taken off the end, or a deleted file, are not: a ledger
on the user's own disk can witness, it cannot enforce.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from llm4top.data.dataset import Dataset
from llm4top.errors import SealedTestError, TooFewRowsError
from llm4top.evaluation.reports.report import LookEntry
from llm4top.files import locked
from llm4top.paths import home_folder

LEDGER_FILE = "test-ledger.jsonl"
_BEFORE_THE_FIRST = "0" * 64


def sealed_rows_sha256(dataset: Dataset) -> str:
    """Identity of a data set's test rows: their NCT ids and labels, in any order.

    Two data sets with the same test rows are the same test, whatever they learn from and whatever
    text their records carry: a look through one is a look through the other.

    Raises ``TooFewRowsError`` where the data set has no test row.
    """
    rows = sorted(
        (nct_id, label)
        for nct_id, label, split in zip(
            dataset.nct_ids, dataset.labels, dataset.splits, strict=True
        )
        if split == "test"
    )
    if not rows:
        raise TooFewRowsError(
            "there is no test split.",
            where=dataset.card.name,
            hint="Measure on valid, or make a data set with a test split with `llm4top ingest`.",
        )
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


class TestLedger:
    """Every look at a test split that was taken with this home folder.

    ``path`` is the ledger's file; None takes ``test-ledger.jsonl`` in the home folder.
    """

    __test__ = False  # the name is no test's

    def __init__(self, path: Path | None = None):
        self.path = home_folder() / LEDGER_FILE if path is None else path

    def record(self, *, what: str, bundle: str, data_sha256: str, n: int) -> LookEntry:
        """Write one look down; it is on the disk when this returns.

        ``what`` is the command or the kind of report, ``bundle`` the identities that are looked
        at, ``data_sha256`` as ``sealed_rows_sha256`` gives it and ``n`` the number of those rows.
        A damaged ledger is written on as it is.

        Raises ``SealedTestError`` where it cannot be written: the test split then stays sealed.
        """
        entry = LookEntry(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            what=what,
            bundle=bundle,
            data_sha256=data_sha256,
            n=n,
        )
        try:
            with self._locked() as file:
                content = file.read()
                lines = content.splitlines()
                previous = _sha256(lines[-1]) if lines else _BEFORE_THE_FIRST
                # A line that a crash cut short stays as it is; the next begins on its own.
                gap = b"\n" if content and not content.endswith(b"\n") else b""
                file.write(gap + _line(entry, previous) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SealedTestError(
                f"the look cannot be written down ({error.strerror}), so it is not taken.",
                where=str(self.path),
                hint="Make the folder writable, or name another one in LLM4TOP_HOME.",
            ) from error
        return entry

    def looks(self, data_sha256: str) -> tuple[LookEntry, ...]:
        """The looks at those test rows, oldest first; lines that cannot be read are left out."""
        entries = (_entry(line) for line in self._lines())
        return tuple(e for e in entries if e is not None and e.data_sha256 == data_sha256)

    def damaged_from(self) -> int | None:
        """The first line (1-based) that is not as it was written; None where all are."""
        previous = _BEFORE_THE_FIRST
        for number, line in enumerate(self._lines(), start=1):
            if _entry(line) is None or not _holds(line, previous):
                return number
            previous = _sha256(line)
        return None

    def verify(self) -> None:
        """``SealedTestError`` names the first line that is not as it was written."""
        damaged = self.damaged_from()
        if damaged is not None:
            raise SealedTestError(
                f"the ledger of looks at test splits is damaged from line {damaged} on: the line "
                "was changed, or one before it was put in or taken out.",
                where=str(self.path),
                hint="Its count of looks cannot be trusted; restore the file from a backup, or "
                "say so beside the figures.",
            )

    def note(self, data_sha256: str) -> str:
        """What a report says of the looks so far at those test rows, and of the ledger's state."""
        looks = self.looks(data_sha256)
        count = f"{len(looks)} look{'' if len(looks) == 1 else 's'}"
        told = f"{count} at these test rows so far, this one included, by this machine's ledger."
        if len(looks) > 1:
            told += " Each look after the first is a chance to choose by the test."
        damaged = self.damaged_from()
        if damaged is not None:
            told += f" The ledger is damaged from line {damaged} on: its count cannot be trusted."
        return told

    def _lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file open for reading and appending, nobody else writing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(f".{self.path.name}.lock")):
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                yield file


def _line(entry: LookEntry, previous: str) -> bytes:
    """A line as it is written, without its end; its own hash comes last."""
    values = {**entry.model_dump(), "previous": previous}
    return json.dumps({**values, "sha256": _own_hash(values)}).encode()


def _own_hash(values: dict[str, Any]) -> str:
    return _sha256(json.dumps(values, sort_keys=True).encode())


def _holds(line: bytes, previous: str) -> bool:
    """Whether a line follows the one with that hash and is as it was written."""
    values = json.loads(line)
    own = values.pop("sha256", None)
    return bool(values.get("previous") == previous and own == _own_hash(values))


def _entry(line: bytes) -> LookEntry | None:
    try:
        values = json.loads(line)
        return LookEntry.model_validate({k: values[k] for k in LookEntry.model_fields})
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
