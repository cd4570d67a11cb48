"""What an audit finds, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llm4top._numbers import thousands

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
