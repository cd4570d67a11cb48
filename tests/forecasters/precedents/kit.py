"""Invented data sets to build indices of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from llm4top.data.dataset import Dataset, make_dataset
from llm4top.registry.trial import Intervention, Record, RegistryOutcome, Source, Trial

CONDITIONS = ("asthma", "malaria", "gout", "migraine")
PHASES = ("Phase 1", "Phase 2", "Phase 3", None)


def trial(number: int) -> Trial:
    """An invented trial; those whose numbers differ by a multiple of four share a condition."""
    return Trial(
        phase=PHASES[number // 4 % 4],
        conditions=(CONDITIONS[number % 4],),
        interventions=(Intervention(f"drug{number % 7}", "Drug"),),
        masking=("Double", "None (Open Label)")[number % 2],
        brief_title=f"Study {number} of {CONDITIONS[number % 4]}",
        criteria=f"Inclusion Criteria:\n- Adults with {CONDITIONS[number % 4]}",
    )


def nct(number: int) -> str:
    """The NCT id of an invented trial."""
    return f"NCT{number:08d}"


def dataset(
    completed: list[str | None], labels: list[str] | None = None, *, splits: list[str] | None = None
) -> Dataset:
    """Trials 0 to n - 1 with those completion dates; every other one succeeded."""
    n = len(completed)
    return make_dataset(
        [trial(i) for i in range(n)],
        labels or [("failure", "success")[i % 2] for i in range(n)],
        [nct(i) for i in range(n)],
        splits or ["train"] * n,
        task="outcome",
        start_dates=["1990-01"] * n,
        completion_dates=completed,
        name="invented",
    )


def years(count: int) -> list[str | None]:
    """Completion dates: a trial a month from 2000 on."""
    return [f"{2000 + i // 12}-{1 + i % 12:02d}" for i in range(count)]


def record(
    number: int, *, start: str | None = None, planned: str | None = None, path: Path | None = None
) -> Record:
    """A record of the invented trial of that number, which is in no data set unless it is."""
    return Record(
        nct(number),
        replace(trial(number), planned_start=planned),
        RegistryOutcome(start_date=start),
        (),
        Source(str(path or "r.json"), None, "api-v2", None, "0" * 64),
    )
