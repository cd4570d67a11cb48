"""The test ledger: each look at a test split is recorded before it is taken.

One JSON object a line in ``test-ledger.jsonl``, appended under a lock and synced to the disk. Each
line holds its own hash and that of the line before it, so that a line that was changed, inserted or
removed is noticed. Lines removed at the end, or a deleted file, are not: a ledger on the user's own
disk can document, it cannot enforce.
"""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llm4top.data.dataset import Dataset
from llm4top.errors import SealedTestError, TooFewRowsError
from llm4top.evaluation.reports.report import LookEntry
from llm4top.files import locked
from llm4top.paths import home_folder
from llm4top.text import counted

LEDGER_FILE = "test-ledger.jsonl"
_BEFORE_THE_FIRST = "0" * 64


def sealed_rows_sha256(dataset: Dataset) -> str:
    """Identity of a data set's test rows: their NCT ids and labels, in any order.

    Two data sets with the same test rows are the same test, whatever their training rows and the
    text of their records: a look at one is a look at the other.

    Raises ``TooFewRowsError`` where the data set has no test row.
    """
    test = dataset.select("test")
    rows = sorted(zip(test.nct_ids, test.labels, strict=True))
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
    """All looks at test splits that were taken with this home folder.

    Args:
        path: The ledger's file; None takes ``test-ledger.jsonl`` in the home folder.
    """

    __test__ = False  # the name is no test's

    def __init__(self, path: Path | None = None):
        self.path = home_folder() / LEDGER_FILE if path is None else path

    def record(self, *, what: str, bundle: str, data_sha256: str, n: int) -> LookEntry:
        """Record one look; it is on the disk when this returns.

        A damaged ledger is continued as it is.

        Args:
            what: The command, or the kind of report.
            bundle: The identities of the forecasters.
            data_sha256: The test rows, as ``sealed_rows_sha256`` gives it.
            n: Number of those rows.

        Raises:
            SealedTestError: It cannot be written: the test split then stays sealed.
        """
        entry = LookEntry(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            what=what,
            bundle=bundle,
            data_sha256=data_sha256,
            n=n,
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path.with_name(f".{self.path.name}.lock")):
                descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
                with os.fdopen(descriptor, "r+b", buffering=0) as file:
                    content = file.read()
                    lines = content.splitlines()
                    previous = _sha256(lines[-1]) if lines else _BEFORE_THE_FIRST
                    # A line that a crash cut short stays as it is; the next begins on its own.
                    gap = b"\n" if content and not content.endswith(b"\n") else b""
                    # One write, so that a reader sees the whole line or nothing of it.
                    file.write(gap + _line(entry, previous) + b"\n")
                    os.fsync(file.fileno())
        except OSError as error:
            raise SealedTestError(
                f"the look cannot be written down ({error.strerror}), so it is not taken.",
                where=str(self.path),
                hint="Make the folder writable, or name another one in LLM4TOP_HOME.",
            ) from error
        return entry

    def looks(self, data_sha256: str) -> tuple[LookEntry, ...]:
        """The looks at these test rows, oldest first; lines that cannot be read are left out."""
        entries = (_entry(line) for line in self._lines())
        return tuple(e for e in entries if e is not None and e.data_sha256 == data_sha256)

    def damaged_from(self) -> int | None:
        """The first line (from 1) that is not as it was written; None where all are."""
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
                "was changed, or one before it was inserted or removed.",
                where=str(self.path),
                hint="Its count of looks cannot be trusted: restore the file from a backup, or "
                "state this with the figures.",
            )

    def note(self, data_sha256: str) -> str:
        """Sentences for a report: the looks at these test rows so far, and the ledger's state."""
        count = len(self.looks(data_sha256))
        note = (
            f"{counted(count, 'look')} at these test rows so far, this one included, according to "
            "this machine's ledger."
        )
        if count > 1:
            note += " Each look after the first is a chance to choose by the test."
        damaged = self.damaged_from()
        if damaged is not None:
            note += f" The ledger is damaged from line {damaged} on: its count cannot be trusted."
        return note

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []


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
