"""An index of precedents on disk: a folder whose files are hashed on its card, none of them code.

card.json             what it is, of which data, and the sha256 of each file
trials.parquet        the trials in the order of their completion: id, label, dates, shown fields
words.safetensors     the index of words
states.safetensors    the index of hidden states, where it was built with a language model
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from llm4top.errors import BundleError, TamperedBundleError, UnsafeBundleError
from llm4top.files import check_vacant, publishing, sha256_of, write_json
from llm4top.forecasters.bundles.safe_files import safetensors_fault
from llm4top.schema import Strict, read_model

CARD_FILE = "card.json"
TRIALS_FILE = "trials.parquet"
WORDS_FILE = "words.safetensors"
STATES_FILE = "states.safetensors"
CARD_SCHEMA = 2
_AGAIN = "Build it again with `llm4top precedents build`."
_DTYPES = {"F32": 4, "I64": 8, "I32": 4}

SCHEMA = pa.schema(
    [
        pa.field("nct_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("completion_date", pa.string(), nullable=False),
        pa.field("start_date", pa.string()),
        pa.field("phase", pa.string()),
        pa.field("trial", pa.large_string(), nullable=False),
    ]
)
"""``completion_date`` and ``label`` are the label side: nothing compared is made of them."""


class FileEntry(Strict):
    """A file of the index."""

    size: int
    sha256: str


class IndexData(Strict):
    """The data set that an index was built from."""

    name: str
    sha256: str
    terms: tuple[str, ...] = ()


class IndexCard(Strict):
    """What an index is.

    Attributes:
        schema_version: Of this file.
        name: The index's name.
        created: Day on which it was built (ISO).
        task: The question that the labels answer.
        data: What it was built from.
        trials: Number of trials.
        counts: How many have each label.
        left_out: How many trials of the source are not in it, by reason.
        first, last: Completion dates of the first and the last.
        by_chance: The cosine by words under which 95 % of pairs of its trials are.
        model: What the language model was asked for by; None for an index of words alone.
        model_identity: Which bundle that was.
        representation: What the states depend on, see ``representation_of``; None in an index of
            schema version 1, which goes with the very bundle alone.
        files: The files by name.
    """

    schema_version: int = CARD_SCHEMA
    name: str
    created: str
    task: dict[str, Any]
    data: IndexData
    trials: int
    counts: dict[str, int]
    left_out: dict[str, int]
    first: str
    last: str
    by_chance: float
    model: str | None
    model_identity: str | None
    representation: str | None = None
    files: dict[str, FileEntry]


def write_index(
    folder: Path, card: IndexCard, trials: pa.Table, arrays: Mapping[str, dict[str, NDArray[Any]]]
) -> IndexCard:
    """Write an index, all of it or nothing, in place of one that is there; its card.

    Raises:
        BundleError: The disk is full, or the folder cannot be written.
    """
    try:
        with publishing(folder) as scratch:
            pq.write_table(trials, scratch / TRIALS_FILE, compression="zstd")
            for name, parts in arrays.items():
                save_file(parts, scratch / name)
            files = {
                path.name: FileEntry(size=path.stat().st_size, sha256=sha256_of(path))
                for path in sorted(scratch.iterdir())
            }
            card = card.model_copy(update={"files": files})
            write_json(scratch / CARD_FILE, card.model_dump(mode="json"))
    except OSError as error:
        raise BundleError(
            f"the index cannot be written: {error.strerror or error}.",
            where=str(folder),
            hint="Check the disk's free space and the folder's permissions.",
        ) from error
    return card


def is_index(folder: Path) -> bool:
    """Whether a folder looks like an index: it has a card and the trials."""
    return (folder / CARD_FILE).is_file() and (folder / WORDS_FILE).is_file()


def check_target(folder: Path, *, replace: bool) -> None:
    """Refuse to write over what is there.

    Raises:
        BundleError: The folder holds something else, or an index and not ``replace``.
    """
    check_vacant(
        folder,
        "an index of precedents",
        is_one=is_index(folder),
        replace=replace,
        error=BundleError,
        how="--overwrite",
    )


def read_card(folder: Path) -> IndexCard:
    """The card of the index in ``folder``; ``BundleError`` where there is none."""
    if not (folder / CARD_FILE).is_file():
        raise BundleError(
            "there is no index of precedents here.",
            where=str(folder),
            hint="Build one: `llm4top precedents build DATASET_OR_RECORDS`.",
        )
    return read_model(
        IndexCard,
        folder / CARD_FILE,
        what="the card of the index",
        error=BundleError,
        hint=_AGAIN,
        version=CARD_SCHEMA,
    )


def read_index(
    folder: Path,
) -> tuple[IndexCard, pa.Table, dict[str, NDArray[Any]], dict[str, NDArray[Any]] | None]:
    """Card, trials, words and states (None: without) of an index whose files were all checked.

    Raises:
        TamperedBundleError: A file is missing or is not as the card says.
        UnsafeBundleError: A file is a link, or no safetensors.
        BundleError: The folder is no index, or its files do not fit together.
    """
    card = read_card(folder)
    expected = {TRIALS_FILE, WORDS_FILE} | ({STATES_FILE} if card.model else set())
    if set(card.files) != expected:
        raise BundleError("the card lists other files.", where=str(folder), hint=_AGAIN)
    for name, entry in card.files.items():
        _check(folder / name, entry)
    try:
        trials = pq.read_table(folder / TRIALS_FILE)
        words = load_file(folder / WORDS_FILE)
        states = load_file(folder / STATES_FILE) if card.model else None
    except Exception as error:
        # The libraries raise errors of their own for a file that is not what its name says.
        raise BundleError(f"cannot be read: {error}.", where=str(folder), hint=_AGAIN) from error
    if trials.schema.names != SCHEMA.names or len(trials) != card.trials:
        raise BundleError("its trials are not those of its card.", where=str(folder), hint=_AGAIN)
    return card, trials, words, states


def _check(path: Path, entry: FileEntry) -> None:
    where = f"{path.parent.name}/{path.name}"
    if path.is_symlink():
        raise UnsafeBundleError("is a link.", where=where, hint=_AGAIN)
    if not path.is_file():
        raise TamperedBundleError("is missing.", where=where, hint=_AGAIN)
    if path.stat().st_size != entry.size or sha256_of(path) != entry.sha256:
        raise TamperedBundleError("was changed since it was built.", where=where, hint=_AGAIN)
    if path.suffix == ".safetensors" and (fault := safetensors_fault(path, _DTYPES)):
        raise UnsafeBundleError(f"{fault}.", where=where, hint=_AGAIN)
