"""Is there a sentence left that tells how the trial went?"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict

from llm4top.data._audit_limits import LIMITS
from llm4top.data._audit_report import AuditFinding, OnStep
from llm4top.data._audit_rows import flat_text, shown_fields
from llm4top.data._dataset import Dataset
from llm4top.data._store import trial_texts
from llm4top.registry import TRIAL_FIELDS, Trial
from llm4top.registry._codes import STATUSES
from llm4top.registry._guard import guard_fields
from llm4top.registry._marks import MARKS
from llm4top.registry._text import excerpt

CHECK = "sentences that tell the outcome"
_REPORT_EVERY = 5000
_MARKED = frozenset(mark.reason for mark in MARKS)
_LABEL_SIDE = "has a line of the record's label side"
# "Status: terminated", "why_stop = slow accrual"; an "HIV status: unknown" is none of these.
_ENDED = "|".join(
    re.escape(name) for name in STATUSES.values() if name not in ("Unknown status", "Available")
)
_LINE = re.compile(
    rf"\bstatus\W{{0,3}}[:=\-]\W{{0,3}}(?:{_ENDED})\b|\bwhy[\s_-]?stop(?:ped)?\b", re.IGNORECASE
)


def check_telling(dataset: Dataset, on_step: OnStep) -> list[AuditFinding]:
    """What the leak guard's rules, and lines of the label side, still find in any row."""
    rows: Counter[tuple[str, str]] = Counter()
    first: defaultdict[tuple[str, str], str] = defaultdict(str)
    shown = shown_fields(dataset)
    for number, text in enumerate(trial_texts(dataset.trials)):
        if number % _REPORT_EVERY == 0:
            on_step("sentences that tell the outcome")
        found = _found(json.loads(text), shown)
        rows.update(found.keys())
        for key, words in found.items():
            first[key] = first[key] or words
    findings = [
        _finding(field, reason, count, first[field, reason], len(dataset))
        for (field, reason), count in rows.most_common()
    ]
    if not findings:
        findings.append(
            AuditFinding(CHECK, "pass", "", f"None in {len(dataset):,} rows of any split.")
        )
    return findings


def _found(stored: dict[str, object], shown: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """Field and reason of what a row tells, with its words."""
    found: dict[tuple[str, str], str] = {}
    trial = Trial.from_dict({n: v for n, v in stored.items() if n in shown})
    values = {n: v for n in TRIAL_FIELDS if (v := getattr(trial, n)) not in (None, ())}
    for item in guard_fields(values):
        found.setdefault((item.field, item.reason), item.excerpt)
    for name in shown:
        if name in stored and (match := _LINE.search(flat_text(stored[name]))):
            found.setdefault((name, _LABEL_SIDE), excerpt(match[0]))
    return found


def _finding(field: str, reason: str, count: int, words: str, total: int) -> AuditFinding:
    share = count / total
    many = count >= LIMITS.telling_rows and share >= LIMITS.telling_share
    return AuditFinding(
        CHECK,
        "fail" if many and reason not in _MARKED else "warn",
        field,
        f"{field} {reason} in {count:,} of {total:,} rows, as in: “{words}”."
        if reason == _LABEL_SIDE
        else f"{field}: {reason} ({count:,} of {total:,} rows), as in: “{words}”.",
        {"rows": count, "share": share},
    )
