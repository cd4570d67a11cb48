"""The precedents of one trial, as every interface shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llm4top.forecasters.precedents.differences import Difference

LINK = "https://clinicaltrials.gov/study/"
"""Before an NCT id: text for a person to follow. Nothing here opens it."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An earlier trial that is like the one in question.

    Attributes:
        rank: From 1, the most alike by both views together.
        nct_id: Its NCT id.
        title: Its title; without one its conditions and interventions.
        phase: Its phase.
        outcome: Its label.
        start_date: When it began, if known.
        completion_date: When it was completed.
        words: Cosine of the words, 0 to 1.
        model: Cosine of the language model's hidden states, -1 to 1; None without that view.
        link: Where the registry shows it.
        differences: The compared fields in which the two differ.
    """

    rank: int
    nct_id: str
    title: str
    phase: str | None
    outcome: str
    start_date: str | None
    completion_date: str
    words: float
    model: float | None
    link: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class OutcomeShare:
    """How many of the neighbours had a label.

    ``lower`` and ``upper`` bound ``share`` by Wilson's 95 % interval. ``base_rate`` is the label's
    share among all earlier trials of the phase; see ``measure_base_rates``.
    """

    label: str
    count: int
    share: float
    lower: float
    upper: float
    base_rate: float


@dataclass(frozen=True, slots=True)
class Found:
    """The precedents of a trial.

    Attributes:
        nct_id: The trial's NCT id, if it has one.
        before: The day (ISO) before which every precedent was completed.
        before_is: What day that is: "planned start", "start date", "given" or "today".
        earlier: Number of trials of the index that were completed before.
        later: Number of the others, of which none was looked at.
        shares: One for each label of the task, in its order.
        base_phase: Whose base rate it is: the trial's phase, or "all".
        base_n: From how many earlier trials.
        neighbours: The trials, the most alike first.
        index: Name and hash of the index.
        task: The question's name.
        notes: What a person should know about this answer.
    """

    nct_id: str | None
    before: str
    before_is: str
    earlier: int
    later: int
    shares: tuple[OutcomeShare, ...]
    base_phase: str | None
    base_n: int
    neighbours: tuple[Neighbour, ...]
    index: str
    task: str
    notes: tuple[str, ...] = ()

    @property
    def event(self) -> OutcomeShare | None:
        """The share of a binary task's event ("success"); the first label's for other tasks."""
        if not self.shares:
            return None
        return self.shares[1] if len(self.shares) == 2 else self.shares[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with ``n``, the number of neighbours."""
        return {**asdict(self), "n": len(self.neighbours)}

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Rows for CSV, one for each neighbour, in the order of ``COLUMNS``."""
        for item in self.neighbours:
            different = "; ".join(in_words(difference) for difference in item.differences)
            yield (
                *(self.nct_id, self.before, item.rank, item.nct_id, item.title, item.phase),
                *(item.outcome, item.start_date, item.completion_date),
                round(item.words, 4),
                None if item.model is None else round(item.model, 4),
                item.link,
                different,
            )


COLUMNS = (
    *("trial", "before", "rank", "nct_id", "title", "phase", "outcome", "start_date"),
    *("completion_date", "similarity_words", "similarity_model", "link", "differences"),
)
"""Headings of ``Found.rows``."""


def in_words(difference: Difference) -> str:
    """A difference in one line: "Masking: Double-Blind here, Open Label there"."""
    shared = f"; both {listed(difference.shared)}" if difference.shared else ""
    here = f"{listed(difference.here)} here" if difference.here else ""
    there = f"{listed(difference.there)} there" if difference.there else ""
    return f"{difference.heading}: {', '.join(part for part in (here, there) if part)}{shared}"


def listed(values: Sequence[str], most: int = 3) -> str:
    """The first values, and how many more there are."""
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more
