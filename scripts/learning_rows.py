"""The labelled trials that the embedded model learns from.

A data folder holds `top/` (TOP's CSV files, with titles_and_dates.csv where there is one), and may
hold `extra/top_extra.csv` (more labelled trials). Every text passes the leak guard: extra rows are
written as records of the registry's API and read like any other record.

TOP's test files are never read for anything but their ids: a trial of theirs among the rows or the
texts is refused.
"""

import csv
import json
import tempfile
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import extra_records
import numpy as np

from llm4top.data.dataset import Dataset
from llm4top.data.ingest import ingest
from llm4top.data.masked_copies import emptied
from llm4top.data.scopes import row_phases
from llm4top.errors import DatasetError
from llm4top.forecasters.cross_fit import LearningRows
from llm4top.registry.codes import iso_date
from llm4top.registry.leak_guard import guard
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record, Trial

TOP_BASE_RATES = {"II": 0.478, "III": 0.653}
"""Share of successes in the official training files of TOP, to which extra rows are weighted."""
LEFT_OUT = {("trialbench_x", "III")}
"""Sources of extra rows whose rows all have one label."""


@dataclass(frozen=True, eq=False)
class Learning:
    """What there is to learn from.

    ``rows`` are TOP's trials, which alone are judged; ``dates`` are their start dates (ISO, or
    None), ``phases`` those of the files that they are in, and ``in_valid`` says which are in a
    validation file. ``partial`` is II or III where a row is in that training file alone, which may
    be there only in part, else "". ``extra`` rows are only learned from, with ``extra_dates``.
    """

    dataset: Dataset
    rows: LearningRows
    dates: list[str | None]
    phases: list[frozenset[str]]
    in_valid: np.ndarray
    partial: list[str]
    extra: LearningRows
    extra_dates: list[str | None]


def learning(data: Path, scratch: Path) -> Learning:
    """Read all labelled rows. ``scratch`` is an empty folder for the data set of TOP's rows."""
    top = ingest(data / "top", scratch / "top")
    sealed = {i for i, split in zip(top.nct_ids, top.splits, strict=True) if split == "test"}
    kept = [i for i, split in enumerate(top.splits) if split != "test"]
    top = top.take(kept)
    titles = _titles(data)
    trials = [
        replace(trial, brief_title=titles.get(nct_id) or trial.brief_title)
        for nct_id, trial in zip(top.nct_ids, top.trials, strict=True)
    ]
    labels = np.asarray(top.label_indices)
    names = [_train_file(files) for files in top.files]
    rows = LearningRows(trials, labels, list(top.nct_ids), np.ones(len(labels)))
    more, dates = _extra(data, set(rows.groups))
    refuse_sealed([*rows.groups, *more.groups], sealed)
    in_valid = np.array([split == "valid" for split in top.splits])
    return Learning(top, rows, list(top.start_dates), row_phases(top), in_valid, names, more, dates)


def representative(data: Learning) -> np.ndarray:
    """Rows with TOP's base rates: without some of the label of which a partial file has too much.

    Which of them are left out is drawn by the hash of their ids.
    """
    labels, partial = data.rows.labels, np.array(data.partial)
    out: list[int] = []
    for file, share in TOP_BASE_RATES.items():
        rows = np.flatnonzero(partial == file)
        successes, failures = (rows[labels[rows] == value] for value in (1, 0))
        odds = share / (1 - share)
        for many, kept in ((successes, len(failures) * odds), (failures, len(successes) / odds)):
            if len(many) > round(kept):
                order = sorted(many, key=lambda i: sha256(data.rows.groups[i].encode()).digest())
                out += order[round(kept) :]
    return np.setdiff1d(np.arange(len(labels)), out)


def as_record(trial: Trial) -> Trial:
    """The trial as a registry record has it, without ICD codes and SMILES."""
    return emptied(trial, ("icd_codes", "smiles"))


def refuse_sealed(ids: Iterable[str], sealed: Iterable[str]) -> None:
    """Raise ``DatasetError`` where a trial of TOP's test files is among the ids."""
    found = sorted(set(ids) & set(sealed))
    if found:
        raise DatasetError(
            f"{len(found)} trials of TOP's test files are among the rows or texts to learn from: "
            f"{', '.join(found[:5])}.",
            hint="Remove them from the extra files.",
        )


def sealed_ids(data: Path) -> set[str]:
    """The ids in TOP's test files; empty where they are not there."""
    return {row["nctid"] for file in (data / "top").glob("phase_*_test.csv") for row in _rows(file)}


def _extra(data: Path, known: Container[str]) -> tuple[LearningRows, list[str | None]]:
    """Labelled rows that TOP's files lack, with the start date of each."""
    table = data / "extra" / "top_extra.csv"
    found = list(extra_records.rows(table)) if table.is_file() else []
    # Only what TOP's rows have too: a summary or an outcome measure would tell the source.
    records = _read([extra_records.study({**row, "summary": "", "outcomes": []}) for row in found])
    rows, cells = [], []
    for row in found:
        cell = (row["text_source"].split("+")[0], row["file"])
        nct_id = row["nctid"]
        if row["criteria"] and cell not in LEFT_OUT and nct_id in records and nct_id not in known:
            rows.append(row)
            cells.append(cell)
    learned = LearningRows(
        [records[row["nctid"]].trial for row in rows],
        labels := np.array([int(row["label"]) for row in rows], dtype=np.int64),
        [row["nctid"] for row in rows],
        _weights(labels, cells),
    )
    return learned, [iso_date(row["start_date"]) for row in rows]


def _weights(labels: np.ndarray, cells: list[tuple[str, str]]) -> np.ndarray:
    """Weights that give each source, in each of TOP's files, that file's base rate."""
    weights = np.ones(len(labels))
    for cell in set(cells):
        chosen = np.array([one == cell for one in cells])
        own, share = labels[chosen].mean(), TOP_BASE_RATES[cell[1]]
        if 0 < own < 1:
            success = labels[chosen] == 1
            weights[chosen] = np.where(success, share / own, (1 - share) / (1 - own))
    return weights


def _train_file(files: Iterable[str]) -> str:
    """II or III where a trial is in that training file of TOP alone, else "".

    Where only a part of a training file is at hand, that part has another share of successes.
    """
    stems = {Path(file).stem.removeprefix("phase_") for file in files}
    return next((file for file in TOP_BASE_RATES if stems == {f"{file}_train"}), "")


def _read(records: list[dict[str, Any]]) -> dict[str, Record]:
    """The records by id, read as any file of the user is; unreadable ones are left out."""
    if not records:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "records.json"
        file.write_text(json.dumps({"studies": records}), encoding="utf-8")
        return {r.nct_id: r for r in read_records(file) if isinstance(r, Record) and r.nct_id}


def _titles(data: Path) -> dict[str, str]:
    file = data / "top" / "titles_and_dates.csv"
    rows = _rows(file) if file.is_file() else []
    return {
        row["nctid"]: guard(row["title"], "brief_title", []) or "" for row in rows if row["title"]
    }


def _rows(file: Path) -> list[dict[str, str]]:
    csv.field_size_limit(10**8)
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
