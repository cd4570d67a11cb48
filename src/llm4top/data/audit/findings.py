"""What an audit finds, as data."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llm4top.text import thousands


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """The lines between pass, warning and failure. All areas are ROC-AUC."""

    rows: int = 5000
    """Learning rows that models and counts read. What 5 000 rows do not show gives few
    labels away, and a registry takes no longer than a sample of it."""
    label_rows: int = 10
    """Learning rows a label needs for the models to be asked about it: with fewer, the folds have
    none or one of them."""
    folds: int = 5

    alone_warn: float = 0.80
    alone_fail: float = 0.90
    """Lower 95 % bound for one field alone. The best single field of TOP reaches .71, of the
    registry .74 (criteria in both); the rule on TOP's own status column reaches .77."""
    jump_warn: float = 0.05
    jump_fail: float = 0.08
    jump_alone: float = 0.70
    jump_without: float = 0.60
    """Lower 95 % bound for all fields minus all others. It counts as a failure where the field
    alone reaches the third bound and the others the fourth: beside fields that know nothing, an
    honest text jumps too. Honest fields repeat each other, so none adds much: .011 in TOP (.042 in
    its phase I alone), .012 in the registry. A status line in TOP's criteria adds .137."""
    presence_warn: float = 0.15
    presence_fail: float = 0.50
    """Difference between labels in the share of rows that have the field at all, lower 95 %
    bound. The registry's largest honest one is .21 (older records lack newer fields)."""

    term_rows: int = 20
    """Rows in which a word or word pair must stand before it is judged."""
    term_level: float = 0.01
    """Level of the lower bounds, divided by the number of terms looked at."""
    term_excess: float = 0.50
    """How much of the way from the label's own share to certainty a term's share goes, lower
    bound. TOP's largest is .39 ("type 2": diabetes trials succeed), the registry's .61: a single
    sponsor's stopped drug in 30 trials. So it warns, and fails only with a spread as below."""
    term_spread: float = 0.10
    """Share of the label's rows with the term minus share of the others', lower bound. Honest
    terms that spread so far ("phase 2", "cancer") have an excess below .2."""
    term_spread_warn: float = 0.40

    own_level: float = 1e-3
    """Level, divided by the number of tests, at which a row's own status word or reason for
    stopping stands in its text more often than in that of others. Honest text shows no such
    thing: the smallest of 13 p-values was .10."""
    own_rows: int = 5

    leak_rows: int = 5
    leak_share: float = 0.005
    """Rows with a sentence that tells the outcome: from both limits on it fails. The leak guard
    leaves none in what ``ingest`` writes."""

    mention_rows: int = 2
    mention_level: float = 0.01
    """Train rows that hold their own status as a word, and the chance at which that warns. Every
    mention is listed; this only decides which of them a person must read."""

    duplicate_likeness: float = 0.9
    """Share of word triples two texts have in common before they count as copies."""
    duplicate_words: int = 30
    """Words below which equal texts may be chance."""
    duplicate_fail: float = 0.05
    """Share of a check's rows with a copy among the rows learnt from. TOP has one in 901; sister
    trials of one protocol are honest, and a random split spreads them."""


LIMITS = AuditLimits()


Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that one check saw.

    ``field`` is the field of the trial it is about, empty where it is about the rows as such.
    ``finding`` is a sentence for people; ``figures`` are its numbers for programs.
    """

    check: str
    verdict: Verdict
    field: str
    finding: str
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able values."""
        return {
            "check": self.check,
            "verdict": self.verdict,
            "field": self.field,
            "finding": self.finding,
            "figures": {name: round(float(value), 6) for name, value in self.figures.items()},
        }


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The findings of every check, the gravest of each check first.

    ``rows`` are the rows of the data set, ``rows_read_closely`` those that the checks with models
    and counts read (learning rows only, a sample of them in a large data set).
    """

    name: str
    sha256: str
    task: str
    seed: int
    rows: int
    rows_read_closely: int
    lines: tuple[AuditFinding, ...]

    @property
    def passed(self) -> bool:
        """Whether no finding is a failure; warnings are allowed."""
        return self.verdict != "fail"

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of all."""
        verdicts = {line.verdict for line in self.lines}
        return "fail" if "fail" in verdicts else "warn" if "warn" in verdicts else "pass"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that failed, in the order of their findings."""
        failed = (line.field for line in self.lines if line.verdict == "fail" and line.field)
        return tuple(dict.fromkeys(failed))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able values."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "task": self.task,
            "seed": self.seed,
            "rows": self.rows,
            "rows_read_closely": self.rows_read_closely,
            "passed": self.passed,
            "verdict": self.verdict,
            "findings": [line.to_dict() for line in self.lines],
        }


OnStep = Callable[[str], None]
"""Is told the name of each step as it begins."""


_NAMED = 3


def ids(names: Sequence[str]) -> str:
    """The first of the rows that a finding is about: "NCT1, NCT2, NCT3 and 1,204 more"."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {thousands(more)} more" if more > 0 else "")


def points(value: float) -> str:
    """A share or an area as it is written here: "0.718"."""
    return f"{value:.3f}"
