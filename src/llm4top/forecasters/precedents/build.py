"""Builds an index of precedents from a data set, or from records."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from llm4top.data.dataset import CARD_FILE, Dataset, load_dataset
from llm4top.data.ingest import ingest
from llm4top.data.parquet import encode_trial
from llm4top.data.sources import find_sources
from llm4top.data.splits import RandomSplit
from llm4top.errors import DatasetError, RegistryError
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.precedents.dates import last_day
from llm4top.forecasters.precedents.differences import shown_fields
from llm4top.forecasters.precedents.states import (
    StateIndex,
    hidden_states,
    language_of,
    representation_of,
)
from llm4top.forecasters.precedents.store import (
    SCHEMA,
    STATES_FILE,
    WORDS_FILE,
    IndexCard,
    IndexData,
    check_target,
    write_index,
)
from llm4top.forecasters.precedents.words import WordIndex, words_text
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.tasks.task import Task

NO_DATE = "without a completion date"
NOT_YET = "with a completion date that is still to come"
_PAIRED = 100
TEST = "in the test split, whose outcomes stay sealed"


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Positions of the trials of an index in their data set, by completion; why others are not."""

    rows: list[int]
    left_out: Counter[str]


def build_index(
    source: Dataset | str | Path | Sequence[str | Path],
    out: Path,
    *,
    task: Task | str | None = None,
    forecaster: Forecaster | None = None,
    model: str | None = None,
    replace: bool = False,
    on_refusal: Callable[[RegistryError], None] | None = None,
    on_progress: OnProgress = ignore,
) -> IndexCard:
    """See ``Precedents.build``; ``model`` is what ``forecaster`` was asked for by."""
    check_target(out, replace=replace)
    if forecaster is not None:
        language_of(forecaster)  # which fails before an hour of reading, not after
    with tempfile.TemporaryDirectory(prefix="llm4top-") as scratch:
        data = _dataset(source, task, Path(scratch), on_refusal, on_progress)
        chosen = _chosen(data)
        rows = data.take(chosen.rows)
        table = _table(rows, on_progress)
        arrays: dict[str, dict[str, NDArray[Any]]] = {}
        texts = (words_text(trial) for trial in rows.trials)
        words = WordIndex.of(texts, len(rows), on_progress)
        arrays[WORDS_FILE] = words.to_arrays()
        if forecaster is not None:
            states = hidden_states(forecaster, rows.trials, on_progress)
            arrays[STATES_FILE] = StateIndex.of(states).to_arrays()
        counts = Counter(rows.labels)
        card = IndexCard(
            name=out.name,
            created=date.today().isoformat(),
            task=data.task.to_dict(),
            data=IndexData(name=data.card.name, sha256=data.sha256, terms=data.card.terms),
            trials=len(rows),
            counts={label: counts[label] for label in data.task.labels},
            left_out=dict(chosen.left_out.most_common()),
            first=rows.completion_dates[0] or "",
            last=rows.completion_dates[-1] or "",
            by_chance=_by_chance(words, rows),
            model=(model or forecaster.name or forecaster.identity) if forecaster else None,
            model_identity=forecaster.identity if forecaster else None,
            representation=representation_of(forecaster) if forecaster else None,
            files={},
        )
        return write_index(out, card, table, arrays)


def _dataset(
    source: Dataset | str | Path | Sequence[str | Path],
    task: Task | str | None,
    scratch: Path,
    on_refusal: Callable[[RegistryError], None] | None,
    on_progress: OnProgress,
) -> Dataset:
    if isinstance(source, Dataset):
        return source
    paths = [Path(p) for p in ([source] if isinstance(source, str | Path) else source)]
    if len(paths) == 1 and (paths[0] / CARD_FILE).is_file():
        return load_dataset(paths[0])
    brings_labels = any(found.top_phase for found in find_sources(paths))
    return ingest(
        paths,
        scratch / "data",
        task=task or ("outcome" if brings_labels else "completion"),
        # TOP keeps its own split, so that its test files stay sealed; records have no split.
        split=None if brings_labels else RandomSplit(shares=(1.0, 0.0, 0.0)),
        name=" + ".join(path.name for path in paths),
        on_refusal=on_refusal,
        on_progress=on_progress,
    )


def _chosen(data: Dataset) -> _Chosen:
    """The trials of train and valid that were completed by now, the earliest first."""
    today, left_out = date.today().toordinal(), Counter(data.card.dropped)
    days: list[tuple[int, str, int]] = []
    for row, (split, text) in enumerate(zip(data.splits, data.completion_dates, strict=True)):
        day = last_day(text) if text else None
        if split == "test":
            left_out[TEST] += 1
        elif day is None:
            left_out[NO_DATE] += 1
        elif day > today:
            left_out[NOT_YET] += 1
        else:
            days.append((day, data.nct_ids[row], row))
    if not days:
        why = "; ".join(f"{count} {reason}" for reason, count in left_out.most_common())
        raise DatasetError(
            f"no trial can be a precedent: {why or 'there are no trials'}.",
            where=data.card.name,
            hint="Make the data set again with `llm4top ingest` from records that have completion "
            "dates, or give those records here.",
        )
    return _Chosen([row for _, _, row in sorted(days)], left_out)


def _by_chance(words: WordIndex, rows: Dataset) -> float:
    """The 95th percentile of the cosines of pairs of trials, of those of a hundred trials."""
    chosen = np.random.default_rng(0).permutation(len(rows))[:_PAIRED]
    found = []
    for row in chosen.tolist():
        alike = words.similarities(words.query(words_text(rows.trials[row])), len(rows))
        found.append(np.delete(alike, row))
    pairs = np.concatenate(found)
    return round(float(np.quantile(pairs, 0.95)), 4) if pairs.size else 0.0


def _table(rows: Dataset, on_progress: OnProgress) -> pa.Table:
    trials: list[str] = []
    for trial in rows.trials:
        trials.append(encode_trial(shown_fields(trial)))
        if len(trials) % 500 == 0:
            on_progress(Progress("storing trials", len(trials), len(rows)))
    columns = {
        "nct_id": rows.nct_ids,
        "label": rows.labels,
        "completion_date": rows.completion_dates,
        "start_date": rows.start_dates,
        "phase": [trial.phase for trial in rows.trials],
        "trial": trials,
    }
    arrays = [pa.array(columns[field.name], type=field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
