"""Parts of a data set that are measured on their own: one phase, or a check by time."""

from collections.abc import Iterable
from dataclasses import replace

from llm4top.data.dataset import Dataset
from llm4top.data.parquet import trial_phases
from llm4top.data.sources import PHASES, check_phases, phases_of, top_phase
from llm4top.data.splits import Dating, RowFacts, TimeSplit
from llm4top.errors import DatasetError, SplitError, TooFewRowsError
from llm4top.text import percent

POOLED = "pooled"
_MOST_UNDATED = 0.05


def scope(dataset: Dataset, phase: str) -> Dataset:
    """The rows of one phase: "I", "II", "III", "IV", or "pooled" for all of them.

    A row from TOP's files belongs to the phases of the files it stood in, so that each phase has
    the rows its published tables have; every other row to the phases of its trial. "Phase 1/Phase
    2" is in both, "Early Phase 1" in I. Possibly no row is left.

    Raises ``DatasetError`` for a phase that does not exist.
    """
    if phase == POOLED:
        return dataset
    check_phases([phase])
    return dataset.take([i for i, own in enumerate(row_phases(dataset)) if phase in own])


def of_phases(dataset: Dataset, phases: Iterable[str] | None) -> Dataset:
    """The rows of any of these phases, as ``scope`` finds them; all rows for None.

    Raises ``DatasetError`` for a phase that does not exist, and where no row is left.
    """
    if phases is None:
        return dataset
    wanted = frozenset(phases)
    check_phases(sorted(wanted))
    rows = [i for i, own in enumerate(row_phases(dataset)) if wanted & own]
    if not rows:
        there = ", ".join(phases_in(dataset)) or "none"
        raise DatasetError(
            f"no trial is of phase {' or '.join(sorted(wanted))}.",
            hint=f"The data set has trials of these phases: {there}.",
        )
    return dataset.take(rows)


def phases_in(dataset: Dataset) -> tuple[str, ...]:
    """The phases that ``scope`` finds rows of, from I to IV."""
    present = frozenset().union(*row_phases(dataset))
    return tuple(phase for phase in PHASES if phase in present)


def is_top(dataset: Dataset) -> bool:
    """Whether it asks TOP's question of rows that stood in the benchmark's own files."""
    named = any(top_phase(file) for files in dataset.files for file in files)
    return named and dataset.task.name == "outcome"


def newest_check(dataset: Dataset, *, share: float = 0.2) -> Dataset:
    """A check by time within the train and valid rows: the new train rows are older than "valid".

    Of the train and valid rows the newest ``share`` become "valid", the others "train"; no test
    row survives. Newest by start date, as ``TimeSplit`` dates them; rows of one date stay
    together, so the share is approximate. Up to 5 % rows without any date stay in train; where
    more lack one, the order of NCT numbers is used instead.

    Raises ``SplitError`` where ``share`` is not between 0 and 1, ``TooFewRowsError`` where one
    of the two parts would be empty.
    """
    if not 0 < share < 1:
        raise SplitError(
            f"a share of {share:g} is not between 0 and 1.", hint="Give one such as 0.2."
        )
    learning = dataset.take([i for i, split in enumerate(dataset.splits) if split != "test"])
    undated = sum(
        not (start or submitted)
        for start, submitted in zip(learning.start_dates, learning.first_submitted, strict=True)
    )
    dating: Dating = "start_date" if undated <= _MOST_UNDATED * len(learning) else "nct_number"
    shares = (1 - share, share, 0.0)
    rule = TimeSplit(shares=shares, dating=dating, undated="train", keep_dates=True)
    splits = tuple(split or "train" for split in rule.assign(row_facts(learning)))
    if set(splits) != {"train", "valid"}:
        raise TooFewRowsError(
            f"the newest {percent(share)} of {len(learning)} train and valid rows cannot be "
            "separated from the rest by date.",
            hint="It takes rows of several dates, or more rows.",
        )
    return replace(learning, splits=splits)


def row_phases(dataset: Dataset) -> list[frozenset[str]]:
    """The phases that each row belongs to, as ``scope`` counts them."""
    return [
        frozenset(named)
        if (named := [p for file in files if (p := top_phase(file))])
        else phases_of(phase)
        for files, phase in zip(dataset.files, trial_phases(dataset.trials), strict=True)
    ]


def row_facts(dataset: Dataset) -> list[RowFacts]:
    """What rules by time may read of each row; its label and its own split are left out."""
    return [
        RowFacts(nct_id, "", start, submitted)
        for nct_id, start, submitted in zip(
            dataset.nct_ids, dataset.start_dates, dataset.first_submitted, strict=True
        )
    ]
