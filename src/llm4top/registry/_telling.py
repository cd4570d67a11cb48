"""What free text may not say: how the trial went, who it is, and whom to call.

The rules are data. A rule has literals, of which one must occur (in lower case) before its pattern
is tried on the sentence around it: nearly every text is done with after a few searches in C.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

IDENTIFIER_MARK = "[identifier]"
CONTACT_MARK = "[contact]"

_STUDY = r"(?:(?:this|the|our|present|current)\s+(?:\w+\s+){0,2}(?:study|trial|protocol)|enrol+ment|accrual|recruitment)"
_BE = r"(?:was|were|is|has\s+been|have\s+been|had\s+been|is\s+now|is\s+being)"
_EARLY = r"(?:\s+(?:now|been|also|prematurely|early|officially|permanently|temporarily))*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which a sentence tells the outcome."""

    reason: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(reason: str, literals: tuple[str, ...], pattern: str) -> Rule:
    return Rule(reason, literals, re.compile(pattern, re.IGNORECASE))


RULES: tuple[Rule, ...] = (
    _rule(
        "says that the trial was stopped",
        ("terminated", "withdrawn", "suspended", "stopped", "halted", "discontinued", "closed"),
        rf"\b{_STUDY}\s+(?:\([^)]*\)\s+)?{_BE}{_EARLY}\s+"
        r"(?:terminated|withdrawn|suspended|stopped|halted|discontinued|closed)\b",
    ),
)


def guard(text: str) -> tuple[str | None, list[tuple[str, str]]]:
    """``text`` without what it may not say, and what was cut as pairs of reason and sentence."""
    return text, []
