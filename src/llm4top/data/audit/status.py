"""Does a trial's text hold its own label side: its status, its reason for stopping, its label?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm4top.data.audit.findings import LIMITS, AuditFinding, OnStep, ids
from llm4top.data.audit.terms import AuditRows, spaced_words, strength
from llm4top.registry.codes import STATUSES
from llm4top.text import thousands

CHECK = "label side in the text"
_RUN = 3
_SHIFTS = (1, 7, 31, 101, 307)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Words and the rows that they describe; ``own`` marks a row's own status, else its label."""

    words: str
    rows: Mask
    own: bool


def check_status(rows: AuditRows, on_step: OnStep) -> list[AuditFinding]:
    """Whether status words, label names and reasons for stopping stand in the rows they are of.

    Compared with the other rows: a word that stands everywhere tells nothing.
    """
    phrases = list(_phrases(rows))
    tests = max(1, len(phrases) * len(rows.fields))
    findings = []
    for field, texts in rows.fields.items():
        on_step(f"status words in {field}")
        spaced = np.array([spaced_words(text) for text in texts], dtype=object)
        found = [f for each in phrases if (f := _word_finding(each, field, spaced, rows, tests))]
        found.sort(key=lambda finding: -finding.figures["rows"])
        findings += found[:1]
        reason = _reason_finding(field, spaced, rows)
        findings += [reason] if reason else []
    if not findings:
        known = sum(status is not None for status in rows.statuses)
        text = "No field holds its own status, reason for stopping or label."
        if not known:
            text += " The data set has no statuses, so only words of the label were looked for."
        findings.append(AuditFinding(CHECK, "pass", "", text))
    return findings


def _phrases(rows: AuditRows) -> Iterator[_Phrase]:
    statuses = np.array([status or "" for status in rows.statuses], dtype=object)
    for status in sorted(set(statuses) - {""}):
        yield _Phrase(spaced_words(status), statuses == status, own=True)
    names = dict.fromkeys([*STATUSES.values(), *rows.labels])
    for phrase in dict.fromkeys(map(spaced_words, names)):
        if phrase.strip():
            for label in range(len(rows.labels)):
                yield _Phrase(phrase, rows.y == label, own=False)


def _word_finding(
    phrase: _Phrase, field: str, spaced: NDArray[np.object_], rows: AuditRows, tests: int
) -> AuditFinding | None:
    """A failure where the phrase stands far more often in the rows that it is true of."""
    from scipy.stats import hypergeom

    own = int(phrase.rows.sum())
    if not LIMITS.own_rows <= own <= len(rows) - 1:
        return None
    there = np.array([phrase.words in text for text in spaced])
    count, inside = int(there.sum()), int((there & phrase.rows).sum())
    if inside < LIMITS.own_rows:
        return None
    chance = float(hypergeom.sf(inside - 1, len(rows), own, count))
    if chance * tests > LIMITS.own_level:
        return None
    if not phrase.own and not _gives_away(inside, count, own, len(rows)):
        return None
    word = phrase.words.strip()
    label = rows.labels[rows.y[np.flatnonzero(phrase.rows)[0]]]
    whose = "whose status it is" if phrase.own else f"that are {label}"
    return AuditFinding(
        CHECK,
        "fail",
        field,
        f"“{word}” is in {field} of {thousands(inside)} of the {thousands(own)} rows {whose} "
        f"({ids([rows.nct_ids[row] for row in np.flatnonzero(there & phrase.rows)])}), and of "
        f"{thousands(count - inside)} of the {thousands(len(rows) - own)} others. "
        "Remove it from the text: it was not known beforehand.",
        {"rows": inside, "of": own, "others": count - inside, "chance": chance},
    )


def _gives_away(inside: int, count: int, own: int, total: int) -> bool:
    """Whether a word tells a label so surely that it is no ordinary word."""
    excess, spread = strength(np.array([inside]), np.array([count]), own, total, LIMITS.term_level)
    return bool(excess[0] >= LIMITS.term_excess or spread[0] >= LIMITS.term_spread)


def _reason_finding(
    field: str, spaced: NDArray[np.object_], rows: AuditRows
) -> AuditFinding | None:
    """A failure where reasons for stopping stand in their own row's text more than in others'.

    Looked for as a whole, and by runs of three words for those that were shortened.
    """
    reasons = [spaced_words(why or "") for why in rows.why_stopped]
    # One word may stand anywhere by chance.
    positions = [i for i, reason in enumerate(reasons) if len(reason.split()) > 1]
    texts = [spaced[i] for i in positions]
    found = [
        _repeated([as_parts(reasons[i]) for i in positions], texts, len(rows.fields))
        for as_parts in (_whole, _runs)
    ]
    most = max((each for each in found if each), key=lambda each: each["rows"], default=None)
    if most is None:
        return None
    return AuditFinding(
        CHECK,
        "fail",
        field,
        f"{field} repeats the reason for stopping in {thousands(int(most['rows']))} of the "
        f"{thousands(len(positions))} rows that have one; with the text of another such row it "
        f"would be {most['others']:.1f}. Remove it from the text.",
        {**most, "of": len(positions)},
    )


def _repeated(parts: list[frozenset[str]], texts: list[str], tests: int) -> dict[str, float] | None:
    """How many texts hold a part of their own reason, where that is no chance; else None."""
    from scipy.stats import poisson

    own = _holding(parts, texts)
    shifts = [shift for shift in _SHIFTS if shift < len(texts)]
    if own < LIMITS.own_rows or not shifts:
        return None
    others = float(np.mean([_holding(parts, texts[s:] + texts[:s]) for s in shifts]))
    chance = float(poisson.sf(own - 1, max(others, 0.5)))
    if chance * tests > LIMITS.own_level:
        return None
    return {"rows": own, "others": others, "chance": chance}


def _whole(reason: str) -> frozenset[str]:
    return frozenset({reason})


def _runs(reason: str) -> frozenset[str]:
    words = reason.split()
    length = min(_RUN, len(words))
    return frozenset(f" {' '.join(words[i : i + length])} " for i in range(len(words) - length + 1))


def _holding(parts: list[frozenset[str]], texts: list[str]) -> int:
    return sum(any(part in text for part in own) for own, text in zip(parts, texts, strict=True))
