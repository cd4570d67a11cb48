"""Is there a sentence or a status word left that tells how the trial went?

Sentences are found by the leak guard's own rules. Status words that it leaves, because plans and
criteria use them too ("consent was withdrawn"), are listed with their rows, however few they are.
"""

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field

from llm4top.data.audit.findings import LIMITS, AuditFinding, OnStep, ids
from llm4top.data.audit.rows import flat_text, shown_fields
from llm4top.data.dataset import Dataset
from llm4top.data.parquet import trial_texts
from llm4top.registry.leak_guard import guard_fields
from llm4top.registry.leak_identifiers import MARKS
from llm4top.registry.leak_status import MENTIONS
from llm4top.registry.trial import TRIAL_FIELDS, Trial
from llm4top.text import thousands

CHECK = "sentences that reveal the outcome"
WORDS = "status words"
_REPORT_EVERY = 5000
_MARKED = frozenset(mark.reason for mark in MARKS)
_MENTION = re.compile("|".join(rf"\b{name}\b" for name in MENTIONS))


@dataclass(slots=True)
class _Seen:
    """By field and reason, or by field and word, the rows it is found in."""

    told: defaultdict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    words: dict[tuple[str, str], str] = field(default_factory=dict)
    """The words of the first row."""
    mentions: defaultdict[tuple[str, str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )


def check_outcome_leaks(dataset: Dataset, on_step: OnStep) -> list[AuditFinding]:
    """What the leak guard's rules still find in any row, and where status words stand."""
    seen = _Seen()
    shown = shown_fields(dataset)
    for number, text in enumerate(trial_texts(dataset.trials)):
        if number % _REPORT_EVERY == 0:
            on_step("sentences that reveal the outcome")
        stored = json.loads(text)
        for key, words in _found(stored, shown).items():
            seen.told[key].append(number)
            seen.words.setdefault(key, words)
        for name in shown:
            if name in stored:
                for word in set(_MENTION.findall(flat_text(stored[name]).lower())):
                    seen.mentions[name, word].append(number)
    findings = [
        _finding(key, rows, seen.words[key], dataset)
        for key, rows in sorted(seen.told.items(), key=lambda item: -len(item[1]))
    ]
    if not findings:
        findings.append(
            AuditFinding(CHECK, "pass", "", f"None in {thousands(len(dataset))} rows of any split.")
        )
    return findings + _mentions(seen, dataset)


def _mentions(seen: _Seen, dataset: Dataset) -> list[AuditFinding]:
    """One line a field; a warning where a word stands in the rows whose status it is."""
    by_field: defaultdict[str, list[str]] = defaultdict(list)
    suspect: set[str] = set()
    for (name, word), rows in sorted(seen.mentions.items(), key=lambda item: -len(item[1])):
        own, learning = _own(word, rows, dataset)
        suspect |= {name} if own else set()
        text = f"“{word}” is in {thousands(len(rows))} {'row' if len(rows) == 1 else 'rows'} "
        text += f"({ids([dataset.nct_ids[row] for row in rows])})"
        if own:
            text += (
                f", {thousands(own)} of them among the {thousands(learning)} train rows with "
                "that status"
            )
        by_field[name].append(text)
    if not by_field:
        text = "No field contains a status word."
        return [AuditFinding(WORDS, "pass", "", text)]
    return [
        AuditFinding(
            WORDS,
            "warn" if name in suspect else "pass",
            name,
            f"{name}: {'; '.join(texts)}."
            + (" Read these rows: the word may be their own status." if name in suspect else ""),
            {"words": len(texts)},
        )
        for name, texts in by_field.items()
    ]


def _own(word: str, rows: list[int], dataset: Dataset) -> tuple[int, int]:
    """Train rows with the word and the status, 0 if chance explains them; and all with the status.

    Statuses of other splits are not read.
    """
    from scipy.stats import hypergeom

    learning = [n for n, split in enumerate(dataset.splits) if split == "train"]
    whose = {n for n in learning if (dataset.statuses[n] or "").lower() == word}
    there = set(rows).intersection(learning)
    own = len(there & whose)
    if own < LIMITS.mention_rows or not whose:
        return 0, len(whose)
    chance = float(hypergeom.sf(own - 1, len(learning), len(whose), len(there)))
    return (own if chance <= LIMITS.mention_level else 0), len(whose)


def _found(stored: dict[str, object], shown: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """Field and reason of what a row tells, with its words."""
    found: dict[tuple[str, str], str] = {}
    trial = Trial.from_dict({n: v for n, v in stored.items() if n in shown})
    values = {n: v for n in TRIAL_FIELDS if (v := getattr(trial, n)) not in (None, ())}
    for item in guard_fields(values):
        found.setdefault((item.field, item.reason), item.excerpt)
    return found


def _finding(key: tuple[str, str], rows: list[int], words: str, dataset: Dataset) -> AuditFinding:
    name, reason = key
    share = len(rows) / len(dataset)
    many = len(rows) >= LIMITS.leak_rows and share >= LIMITS.leak_share
    return AuditFinding(
        CHECK,
        "fail" if many and reason not in _MARKED else "warn",
        name,
        f"{name}: {reason} ({thousands(len(rows))} of {thousands(len(dataset))} rows: "
        f"{ids([dataset.nct_ids[row] for row in rows])}), as in: “{words}”.",
        {"rows": len(rows), "share": share},
    )
