"""The leak audit: does a data set give its labels away, and by which field?

The checks of the splits (ids, labels, sizes, time) and of the sentences are in this file. Sentences
are found by the leak guard's own rules. Status words that it leaves, because plans and criteria use
them too ("consent was withdrawn"), are listed with their rows, however few they are.
"""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from llm4top.data.audit.fields import check_fields, check_presence
from llm4top.data.audit.findings import LIMITS, AuditFinding, AuditReport, OnStep, ids
from llm4top.data.audit.near_duplicates import check_near_duplicates
from llm4top.data.audit.status import check_status
from llm4top.data.audit.terms import (
    AuditRows,
    check_terms,
    field_terms,
    flat_text,
    sample_rows,
    shown_fields,
)
from llm4top.data.dataset import Dataset
from llm4top.data.parquet import trial_texts
from llm4top.data.splits import check_disjoint
from llm4top.errors import EmptyClassError, TooFewRowsError
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.registry.leak_grammar import MARKS, MENTIONS
from llm4top.registry.leak_guard import guard_fields
from llm4top.registry.trial import TRIAL_FIELDS, Trial
from llm4top.text import percent, thousands

IDS = "shared ids"
LABELS = "labels in each split"
TIME = "time overlap"
_UNDATED = 0.5


def check_countable(dataset: Dataset) -> None:
    """Refuse splits that nothing can be measured on.

    Raises ``SplitError`` for an id in two splits, ``TooFewRowsError`` for a split of one row or
    too few train rows, ``EmptyClassError`` for a label without a row: of train, and for a binary
    task of any split that has rows.
    """
    check_disjoint(dataset.nct_ids, dataset.splits)
    counts = dataset.counts()
    if "train" not in counts:
        raise TooFewRowsError(
            "the train split is empty.", hint="An audit checks the training rows."
        )
    for split, by_label in counts.items():
        if sum(by_label.values()) == 1:
            raise TooFewRowsError(
                f"the {split} split has one row.", hint="Split again with larger shares."
            )
        empty = [label for label, rows in by_label.items() if not rows]
        if empty and (split == "train" or dataset.task.kind == "binary"):
            raise EmptyClassError(
                f"the {split} split has no row with label {', '.join(map(repr, empty))}.",
                hint="Split again, or make the data set from more records.",
            )
    enough = [label for label, rows in counts["train"].items() if rows >= LIMITS.label_rows]
    if len(enough) < 2:
        there = ", ".join(f"{rows} {label}" for label, rows in counts["train"].items())
        raise TooFewRowsError(
            f"the train split has too few rows to audit: {there}.",
            hint=f"Two labels with {LIMITS.label_rows} rows each are the least.",
        )


def check_ids(dataset: Dataset) -> list[AuditFinding]:
    """Ids in two splits are refused before; rows that stand twice in one split are counted."""
    repeated = {i: n for i, n in Counter(dataset.nct_ids).items() if n > 1}
    if not repeated:
        text = (
            f"Each of the {thousands(len(dataset))} rows is a different trial; none is in two "
            "splits."
        )
        return [AuditFinding(IDS, "pass", "", text)]
    return [
        AuditFinding(
            IDS,
            "warn",
            "",
            f"No trial is in two splits, but {thousands(len(repeated))} with several rows in one "
            f"split ({ids(sorted(repeated))}): these trials count more than others.",
            {"trials": len(repeated)},
        )
    ]


def check_labels(dataset: Dataset) -> list[AuditFinding]:
    """Labels that a split other than train has no row of (several labels only)."""
    findings = [
        AuditFinding(
            LABELS,
            "warn",
            "",
            f"The {split} split has no row with label {label!r}: it cannot be evaluated there.",
        )
        for split, by_label in dataset.counts().items()
        for label, rows in by_label.items()
        if not rows
    ]
    return findings or [AuditFinding(LABELS, "pass", "", "Every split has rows of every label.")]


def check_time(dataset: Dataset) -> list[AuditFinding]:
    """Whether train rows are older than the rows they are checked on."""
    dates = [s or f for s, f in zip(dataset.start_dates, dataset.first_submitted, strict=True)]
    dated = sum(date is not None for date in dates) >= _UNDATED * len(dates)
    when = "start date" if dated else "NCT number, as dates are missing"
    keys = dates if dated else list(dataset.nct_ids)
    by_split: dict[str, list[str]] = {}
    for split, key in zip(dataset.splits, keys, strict=True):
        if key is not None:
            by_split.setdefault(split, []).append(key)
    train = by_split.get("train", [])
    findings = []
    for split in ("valid", "test"):
        checked = by_split.get(split, [])
        if not checked or not train:
            continue
        older = sum(key <= max(train) for key in checked)
        later = sum(key >= min(checked) for key in train)
        if not older:
            text = f"Every {split} row is newer than every train row (by {when})."
            findings.append(AuditFinding(TIME, "pass", "", text))
            continue
        findings.append(
            AuditFinding(
                TIME,
                "warn",
                "",
                f"{split} and train overlap in time: {percent(later / len(train))} of the train "
                f"rows are as new as the oldest {split} row or newer, and "
                f"{percent(older / len(checked))} of the {split} rows are no newer than the newest "
                f"train row (by {when}). Figures on {split} are optimistic; check them on a split "
                "by time too.",
                {"train_later": later / len(train), "older": older / len(checked)},
            )
        )
    return findings or [AuditFinding(TIME, "pass", "", "There is no second split to compare with.")]


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


_GRAVITY = {"fail": 0, "warn": 1, "pass": 2}
_ROWS_PER_STEP = 5000


def audit(
    dataset: Dataset,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore,
) -> AuditReport:
    """Look for what gives the label away, and name the field that does.

    Checks: single fields, single words, the label side in the text, sentences that tell the
    outcome, ids and copies across splits, overlap in time.
    Labels, statuses and reasons for stopping are read of train rows only; valid and test rows for
    their text, ids and dates. Fields that the task hides are passed over. The same seed on the
    same machine gives the same report. The limits and their reasons are in ``AuditLimits``.

    Raises ``SplitError`` for a trial in two splits, ``EmptyClassError`` for a label without rows
    and ``TooFewRowsError`` for a split of one row or too few train rows.
    """
    check_countable(dataset)
    rows = sample_rows(dataset, seed)
    count = _Steps(dataset, rows, on_progress)
    lines: list[AuditFinding] = []
    lines += _gravest_first(check_ids(dataset))
    lines += _gravest_first(check_labels(dataset))
    lines += _gravest_first(check_time(dataset))
    lines += _gravest_first(check_near_duplicates(dataset, count))
    lines += _gravest_first(check_outcome_leaks(dataset, count))
    lines += _gravest_first(check_status(rows, count))
    terms = {}
    for name, texts in rows.fields.items():
        count(f"words of {name}")
        terms[name] = field_terms(texts)
    lines += _gravest_first(check_terms(rows, terms))
    lines += _gravest_first(check_presence(rows))
    lines += _gravest_first(check_fields(rows, terms, seed, count))
    count.finish()
    return AuditReport(
        name=dataset.card.name,
        sha256=dataset.sha256,
        task=dataset.task.name,
        seed=seed,
        rows=len(dataset),
        rows_read_closely=len(rows),
        lines=tuple(lines),
    )


def _gravest_first(findings: list[AuditFinding]) -> list[AuditFinding]:
    return sorted(findings, key=lambda finding: _GRAVITY[finding.verdict])


class _Steps:
    """Counts the steps of an audit and reports them."""

    def __init__(self, dataset: Dataset, rows: AuditRows, report: OnProgress):
        batches = -(-len(dataset) // _ROWS_PER_STEP)
        checks = len(set(dataset.splits) - {"train"})
        self._total = 2 * batches + checks + 3 * len(rows.fields) + 1
        self._done = 0
        self._report = report

    def __call__(self, stage: str) -> None:
        self._report(Progress(stage, self._done, self._total))
        self._done += 1

    def finish(self) -> None:
        """Report that all is done."""
        self._report(Progress("done", self._total, self._total))
