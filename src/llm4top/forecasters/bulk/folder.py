"""The folder of a bulk forecast: what was asked, which shards are finished, and all rows in order.

::

    DIR/part-000000-0123456789ab.parquet    forecasts of a shard; `pandas.read_parquet("DIR")`
    DIR/_refused/part-....parquet           records of it that were refused, with the reason
    DIR/_job.json                           what was asked: a later call must ask the same
    DIR/_busy/part-....parquet              which records are being forecast, on which machine

Readers of Parquet skip what begins with an underscore.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from llm4top import __version__
from llm4top.errors import WorkspaceError
from llm4top.files import SCRATCH, check_vacant, replacing, write_json
from llm4top.forecasters.bulk.plan import Shard
from llm4top.forecasters.bulk.rows import Facts, read_facts, with_facts
from llm4top.forecasters.bulk.work import BUSY_FOLDER, REFUSED_FOLDER, read_busy
from llm4top.forecasters.forecast_format import FORECAST

JOB_FILE = "_job.json"
_LOCK_FILE = "_lock"
_FORMAT = 1
_WORDS = {
    "version": "version of LLM4TOP",
    "model": "model",
    "question": "question",
    "base_rate": "base rate",
    "quantize": "option --quantize",
    "shard_records": "size of shards",
    "sources": "paths",
    "content": "content of the paths",
}
_OTHER = "Choose another folder, or remove this one to start again."


def job_of(
    shards: Sequence[Shard],
    sources: Sequence[Path],
    *,
    model: str,
    question: str,
    base_rate: str | None,
    quantize: str | None,
    shard_records: int,
) -> dict[str, Any]:
    """What is asked of a folder, as JSON: all that its forecasts depend on.

    ``model`` is the forecaster's identity, ``base_rate`` the text of what is adapted to.
    """
    content = hashlib.sha256("\n".join(shard.key for shard in shards).encode()).hexdigest()
    return {
        "format": _FORMAT,
        "version": __version__,
        "model": model,
        "question": question,
        "base_rate": base_rate,
        "quantize": quantize,
        "shard_records": shard_records,
        "sources": [str(path) for path in sources],
        "shards": len(shards),
        "content": content,
    }


@contextmanager
def opened_folder(folder: Path, job: dict[str, Any]) -> Iterator[None]:
    """Make the folder, or continue the one of the same job; no other call can meanwhile.

    Raises:
        WorkspaceError: The folder is of another job or of something else, or is being written.
        OSError: It cannot be written.
    """
    path = folder / JOB_FILE
    check_vacant(
        folder, "a folder of forecasts", is_one=path.is_file(), replace=True, error=WorkspaceError
    )
    for made in (folder, folder / REFUSED_FOLDER, folder / BUSY_FOLDER):
        made.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise WorkspaceError(
            "another call is writing forecasts into it.",
            where=str(folder),
            hint="Wait for its end, or choose another folder.",
        ) from None
    try:
        if path.is_file():
            _check_same(folder, _read_job(path), job)
        else:
            write_json(path, job)
        scratch = (*folder.glob(f".*{SCRATCH}*"), *folder.glob(f"_*/.*{SCRATCH}*"))
        for left in (*scratch, *(folder / BUSY_FOLDER).iterdir()):
            left.unlink(missing_ok=True)  # of processes that were killed
        yield
    finally:
        lock.release()


def _read_job(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise WorkspaceError(
            "does not say what was asked in a form that this version reads.",
            where=str(path),
            hint=_OTHER,
        )
    return found


def _check_same(folder: Path, held: dict[str, Any], job: dict[str, Any]) -> None:
    for name, word in _WORDS.items():
        if held.get(name) != job[name]:
            told = "" if name == "content" else f": {_told(held.get(name))}, not {_told(job[name])}"
            raise WorkspaceError(
                f"holds forecasts of another job. The {word} differs{told}."
                if name != "sources"
                else f"holds forecasts of another job. The {word} differ{told}.",
                where=str(folder),
                hint=_OTHER,
            )


def _told(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def finished(folder: Path, shards: Sequence[Shard]) -> dict[int, Facts]:
    """The facts of the shards that are finished, by their number."""
    names = {path.name for path in folder.glob("part-*.parquet")}
    found = {s.number: read_facts(folder / s.file) for s in shards if s.file in names}
    return {number: facts for number, facts in found.items() if facts is not None}


def busy(folder: Path) -> list[str]:
    """What was being forecast where, as processes that died have left it: "R on the machine M"."""
    found = map(read_busy, sorted((folder / BUSY_FOLDER).glob("part-*")))
    return [f"{left.record} on the machine {left.machine}" for left in found if left]


@dataclass(frozen=True, slots=True)
class Row:
    """What is summed up of a row; ``nct_id`` only where another row may have the same."""

    record: str
    nct_id: str | None
    probability: float | None
    base_rate: float | None
    reason: str | None


_READ = ("record", "nct_id", "probability", "base_rate", "target_rate", "status", "reason")
_COPY = "same_trial_as"


def rows(folder: Path, shards: Sequence[Shard]) -> Iterator[list[Row]]:
    """The rows of each shard, in the order of the records.

    An NCT id that occurs once is left out, so that whoever looks for copies holds few of them:
    of a million records eight bytes each are held here.
    """
    seen = array("q")
    for shard in shards:
        ids = pq.read_table(folder / shard.file, columns=["nct_id"])["nct_id"]
        seen.extend(hash(nct_id) for nct_id in ids.to_pylist() if nct_id)
    held = np.sort(np.frombuffer(seen, np.int64)) if seen else np.zeros(0, np.int64)
    several = set(held[1:][held[1:] == held[:-1]].tolist())
    del held, seen
    for shard in shards:
        table = pq.read_table(folder / shard.file, columns=list(_READ))
        yield [_row(values, several) for values in table.to_pylist()]


def _row(values: dict[str, Any], several: set[int]) -> Row:
    forecast = values["status"] == FORECAST
    nct_id = values["nct_id"]
    base = values["base_rate"] if values["target_rate"] is None else values["target_rate"]
    return Row(
        values["record"],
        nct_id if nct_id and hash(nct_id) in several else None,
        values["probability"] if forecast else None,
        base,
        values["reason"],
    )


def note_copies(path: Path, earlier: Sequence[str | None]) -> None:
    """Write the earlier record of the same trial beside each row of a shard, where that is new."""
    if not any(earlier):
        return  # nothing was ever written then: the records before a record are always the same
    table = pq.read_table(path)
    column = pa.array(earlier, pa.string())
    if pc.all(pc.equal(table[_COPY].fill_null(""), column.fill_null(""))).as_py():
        return
    facts = read_facts(path)
    assert facts is not None  # of a shard that is finished
    at = table.schema.get_field_index(_COPY)
    table = table.set_column(at, table.schema.field(at), column)
    with replacing(path) as scratch:
        pq.write_table(with_facts(table, facts), scratch, compression="zstd")
