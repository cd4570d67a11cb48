"""Writing a data set folder: streamed, hashed, described, and moved into place when whole."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from llm4top.data.card import DatasetCard, Describer, described
from llm4top.data.parquet import SCHEMA, Row, row_batch
from llm4top.errors import DatasetError
from llm4top.files import publishing, write_json
from llm4top.tasks.task import Task

TRIALS_FILE = "trials.parquet"
CARD_FILE = "card.json"
_ROWS_PER_GROUP = 1000


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse to write over what is there.

    Raises ``DatasetError`` where ``folder`` exists, unless it is a data set and ``overwrite``.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / CARD_FILE).is_file():
        raise DatasetError(
            "exists and is not a data set.",
            where=str(folder),
            hint="Choose a folder that does not exist yet.",
        )
    if not overwrite:
        raise DatasetError(
            "already holds a data set.",
            where=str(folder),
            hint="Choose another folder, or replace it (--overwrite).",
        )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses (space, permissions) into a ``DatasetError``."""
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"cannot be written: {error.strerror or error}.",
            where=str(folder),
            hint="Check the disk's free space and the folder's permissions.",
        ) from error


def write_dataset(
    folder: Path, rows: Iterable[Row], *, task: Task, history: DatasetCard, overwrite: bool
) -> DatasetCard:
    """Write ``rows`` and their card to ``folder``, all of it or nothing.

    ``history`` is a card with what rows do not show (name, provenance, what was dropped, terms);
    counts, hash and warnings of the returned card are measured here. Holds one batch of rows at a
    time. Raises ``DatasetError`` as ``check_target`` does, and where the disk is full or the
    folder cannot be written.
    """
    check_target(folder, overwrite=overwrite)
    with writing(folder), publishing(folder) as scratch:
        describer = Describer(task)
        write_rows(scratch / TRIALS_FILE, _observed(rows, describer))
        card = described(history, describer)
        write_json(scratch / CARD_FILE, card.model_dump(mode="json"))
    return card


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Stream rows into one Parquet file."""
    rows = iter(rows)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while group := list(islice(rows, _ROWS_PER_GROUP)):
            writer.write_batch(row_batch(group))


def _observed(rows: Iterable[Row], describer: Describer) -> Iterator[Row]:
    for row in rows:
        describer.add(row)
        yield row
