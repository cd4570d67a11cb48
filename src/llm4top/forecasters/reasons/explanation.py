"""An explanation, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import exp
from typing import Any, Self

from llm4top.text import DISCLAIMER, percent

ASSOCIATIONS = (
    "These are associations that the model has learnt from earlier trials, not causes: to change "
    "the words of a record does not change the trial."
)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a section, or a piece of one, adds to the log-odds.

    Attributes:
        name: The section's name, or the piece's number from 1.
        text: The section's heading, or the piece's text.
        log_odds: Its Shapley value: positive where it raises the chance.
        lower, upper: The 95 % interval over the sampled permutations; equal to ``log_odds`` where
            the value is exact.
        chance_without: The shown chance less what this adds to it.
    """

    name: str
    text: str
    log_odds: float
    lower: float
    upper: float
    chance_without: float


@dataclass(frozen=True, slots=True)
class Step:
    """What a stage after the calibration adds to the log-odds, and why."""

    name: str
    log_odds: float
    note: str


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature: its ``name``, the trial's ``value`` of it in words, and what it adds."""

    name: str
    value: str
    amount: float


@dataclass(frozen=True, slots=True)
class PartFeatures:
    """What moves one part by itself, before pooling and calibration.

    ``unit`` is "log-odds" or "share", which is a chance from 0 to 1. ``base`` and the amounts of
    all features, listed or together in ``others``, add up to ``total``.
    """

    part: str
    unit: str
    base: float
    features: tuple[Feature, ...]
    others: float
    total: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What moves one forecast. All of it is arithmetic on forecasts of copies of the record.

    ``start``, the ``sections`` and the ``steps`` add up to the log-odds of ``chance``, to 1e-6;
    a chance nearer than 1e-6 to 0 or 1 counts as this near.
    The ``pieces`` add up to what emptying their section alone takes from the log-odds
    (``pieces_total``), which differs from the section's own value where sections overlap.

    Attributes:
        record: The record's name.
        nct_id: The registry's id, or None.
        title: The trial's title.
        task: The question.
        event: What the chance is of: a label, or "more than" a label of ordered ones.
        chance: The chance as it is forecast.
        start: Log-odds of the record without any of its sections.
        sections: By section, the strongest first.
        pieces_of: Name of the section that ``pieces`` are of; None where none has two.
        pieces: By line, sentence or item, in the order of the text.
        pieces_total: What the pieces add up to.
        steps: Support, and the shift to another base rate where there is one.
        parts: What moves the linear and tree parts.
        exact: Whether the sections' values are exact.
        samples: Permutations, where they were sampled.
        seed: Their seed.
        asked: How many different copies were forecast.
        bundle: Identity of the bundle.
        source_sha256: Hash of the record.
    """

    record: str
    nct_id: str | None
    title: str
    task: str
    event: str
    chance: float
    start: float
    sections: tuple[Contribution, ...]
    pieces_of: str | None
    pieces: tuple[Contribution, ...]
    pieces_total: float
    steps: tuple[Step, ...]
    parts: tuple[PartFeatures, ...]
    exact: bool
    samples: int
    seed: int
    asked: int
    bundle: str
    source_sha256: str

    @property
    def start_chance(self) -> float:
        """The chance of the record without any of its sections, before support."""
        return 1 / (1 + exp(-self.start))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, every field by its name, with what they mean."""
        return asdict(self) | {"note": ASSOCIATIONS, "disclaimer": DISCLAIMER}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        rest = {k: v for k, v in values.items() if k not in ("note", "disclaimer")}
        for name, kind in (("sections", Contribution), ("pieces", Contribution), ("steps", Step)):
            rest[name] = tuple(kind(**value) for value in rest[name])
        rest["parts"] = tuple(
            PartFeatures(**value | {"features": tuple(Feature(**f) for f in value["features"])})
            for value in rest["parts"]
        )
        return cls(**rest)

    def sentence(self, contribution: Contribution) -> str:
        """A contribution in the unit that people know: "lifts the chance from 52 % to 61 %"."""
        before, after = percent(contribution.chance_without), percent(self.chance)
        if before == after:
            return f"leaves the chance at {after}"
        verb = "lifts" if contribution.log_odds > 0 else "lowers"
        return f"{verb} the chance from {before} to {after}"
