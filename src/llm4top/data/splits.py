"""Split rules: which rows are for training, validation and test.

Rows of one trial always stay together: every rule groups by NCT id, and ``check_disjoint`` holds
the result to it.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from llm4top.errors import SplitError

Dating = Literal["start_date", "first_submitted", "nct_number"]
_ISO = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")
_NAMED_AT_MOST = 5
_FAR = 0.05
"""How far, in shares of all rows, a split may be from its own before dates are parted."""
_ROUNDED = 0.005
SPLIT_NAMES = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What a split rule may read of a row. ``own_split`` is the split its source puts it in."""

    nct_id: str
    label: str
    start_date: str | None = None
    first_submitted: str | None = None
    own_split: str | None = None


@dataclass(frozen=True, slots=True)
class OwnSplit:
    """The split that the source itself declares: TOP's files, after grouping by NCT id."""

    def __str__(self) -> str:
        return "the source's own split, one trial in one split only"

    def assign(self, rows: Sequence[RowFacts]) -> list[str | None]:
        """Split of each row; raises ``SplitError`` where a source declares none."""
        if any(row.own_split is None for row in rows):
            raise SplitError(
                "these records have no split of their own.",
                hint="Split by start date or at random.",
            )
        return [row.own_split for row in rows]


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Oldest rows for training, then validation, the newest for the test.

    Either cut points (ISO dates, as coarse as wanted: "2010", "2010-06"; a row dated on a cut
    point is after it; without ``test_from`` there is no test split) or ``shares`` of the rows
    for train, valid and test. Rows of one date stay together, unless a split would then be empty or
    more than 5 % of all rows from its share: such rows are parted by NCT number, the order of
    registration (never with ``keep_dates``).

    ``dating`` chooses the date: the start, the first submission, or "nct_number" where a source has
    no dates. A trial without a start date was often registered long after it began, so that its
    first submission would make an old trial the newest of all: it is a train row where it was
    submitted before the validation split begins, and left out otherwise. Where most trials have no
    start date, all are dated by their first submission instead. Rows without any date are left out,
    or with ``undated`` "train" are train rows.

    Raises ``SplitError`` for settings that contradict each other.
    """

    valid_from: str | None = None
    test_from: str | None = None
    shares: tuple[float, float, float] | None = None
    dating: Dating = "start_date"
    undated: Literal["drop", "train"] = "drop"
    keep_dates: bool = False

    def __post_init__(self) -> None:
        cuts = self.valid_from or self.test_from
        if (cuts is None) == (self.shares is None) or (self.test_from and not self.valid_from):
            raise SplitError("a split by time needs cut points or shares, one of the two.")
        for cut in (self.valid_from, self.test_from):
            if cut is not None and not _ISO.fullmatch(cut):
                raise SplitError(
                    f"{cut!r} is not a date.", hint="Write it as 2004, 2004-06 or 2004-06-30."
                )
        if self.valid_from and self.test_from and self.test_from < self.valid_from:
            raise SplitError("the test split would begin before the validation split.")
        if self.valid_from and self.dating == "nct_number":
            raise SplitError("cut points are dates; NCT numbers are split by shares.")
        if self.shares is not None:
            _check_shares(self.shares)

    def __str__(self) -> str:
        what = {
            "start_date": "start date (first submission where most have none)",
            "first_submitted": "date of first submission",
            "nct_number": "NCT number",
        }[self.dating]
        if self.shares is not None:
            cut = f"oldest to newest, shares {_share_text(self.shares)}"
        else:
            cut = f"valid from {self.valid_from}"
            cut += f", test from {self.test_from}" if self.test_from else ", no test split"
        undated = "left out" if self.undated == "drop" else "in train"
        return f"by {what}: {cut}; rows without one {undated}"

    def assign(self, rows: Sequence[RowFacts]) -> list[str | None]:
        """Split of each row, None for a row that is left out."""
        keys, fallbacks = self._keys(rows)
        valid_from, test_from = self.valid_from, self.test_from
        if self.shares is not None:
            known = [key for key in keys if key is not None]
            valid_from, test_from = _share_cuts(known, self.shares)
            if not self.keep_dates and _is_far(known, valid_from, test_from, self.shares):
                keys = [
                    None if key is None else f"{key} {row.nct_id}"
                    for key, row in zip(keys, rows, strict=True)
                ]
                known = [key for key in keys if key is not None]
                valid_from, test_from = _share_cuts(known, self.shares)
        return [
            self._undated(fallback, valid_from)
            if key is None
            else _side(key, valid_from, test_from)
            for key, fallback in zip(keys, fallbacks, strict=True)
        ]

    def _keys(self, rows: Sequence[RowFacts]) -> tuple[list[str | None], list[str | None]]:
        """What each row is ordered by, and when one without that was submitted."""
        none: list[str | None] = [None] * len(rows)
        if self.dating == "nct_number":
            return [row.nct_id for row in rows], none
        started = sum(row.start_date is not None for row in rows)
        dated = sum((row.start_date or row.first_submitted) is not None for row in rows)
        if self.dating == "start_date" and 2 * started >= dated:
            return [row.start_date for row in rows], [row.first_submitted for row in rows]
        if self.dating == "start_date":
            return [row.first_submitted or row.start_date for row in rows], none
        return [row.first_submitted for row in rows], none

    def _undated(self, submitted: str | None, valid_from: str | None) -> str | None:
        if submitted is not None:
            # Registered before, so planned before: it holds nothing of the validation's years.
            return "train" if valid_from is None or submitted < valid_from else None
        return "train" if self.undated == "train" else None


@dataclass(frozen=True, slots=True)
class RandomSplit:
    """A random split, stratified by label, the same for the same seed in any row order.

    A random split is optimistic: its validation and test rows are from the same years as training.
    """

    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 0

    def __post_init__(self) -> None:
        _check_shares(self.shares)

    def __str__(self) -> str:
        return f"random, stratified by label: shares {_share_text(self.shares)}, seed {self.seed}"

    def assign(self, rows: Sequence[RowFacts]) -> list[str | None]:
        """Split of each row."""
        strata: defaultdict[str, set[str]] = defaultdict(set)
        for nct_id, label in {row.nct_id: row.label for row in rows}.items():
            strata[label].add(nct_id)
        split_of: dict[str, str] = {}
        for ids in strata.values():
            # Ordered by a hash, so that a trial's split does not depend on the other rows.
            ordered = sorted(ids, key=self._draw)
            learn = round(self.shares[0] * len(ordered))
            steer = learn + round(self.shares[1] * len(ordered))
            for position, nct_id in enumerate(ordered):
                split_of[nct_id] = (
                    "train" if position < learn else "valid" if position < steer else "test"
                )
        return [split_of[row.nct_id] for row in rows]

    def _draw(self, nct_id: str) -> str:
        return hashlib.sha256(f"{self.seed}:{nct_id}".encode()).hexdigest()


def walk_forward(rows: Sequence[RowFacts], cuts: Sequence[str]) -> list[list[str | None]]:
    """Splits that walk forward in time: learn from all that is older, check on what came next.

    Args:
        rows: What is known of each row: ``[n]``.
        cuts: ISO dates, as coarse as wanted, from old to new.

    Returns:
        For each cut the split of each row ``[n]``: "train" before the cut, "valid" from it to the
        next cut (after the last one: to the end), None for what is later or undated, as
        ``TimeSplit`` dates rows. No row is "valid" twice.

    Raises:
        SplitError: A cut is no date, or the cuts are not in order.
    """
    if not cuts or any(later <= cut for cut, later in pairwise(cuts)):
        raise SplitError("cuts must be one or more dates, from old to new.")
    rules = [TimeSplit(cut, later) for cut, later in pairwise([*cuts, None])]
    return [[None if split == "test" else split for split in rule.assign(rows)] for rule in rules]


SplitRule = OwnSplit | TimeSplit | RandomSplit


def check_disjoint(nct_ids: Iterable[str], splits: Iterable[str]) -> None:
    """Hold that each trial is in one split only; ``SplitError`` names those that are not."""
    seen: dict[str, str] = {}
    torn = {
        nct_id
        for nct_id, split in zip(nct_ids, splits, strict=True)
        if seen.setdefault(nct_id, split) != split
    }
    if torn:
        named = ", ".join(sorted(torn)[:_NAMED_AT_MOST])
        more = f" and {len(torn) - _NAMED_AT_MOST} more" if len(torn) > _NAMED_AT_MOST else ""
        raise SplitError(
            f"{len(torn)} trials are in more than one split: {named}{more}.",
            hint="Make the data set again with `llm4top ingest`, which groups by NCT id.",
        )


def _side(key: str, valid_from: str | None, test_from: str | None) -> str:
    if test_from is not None and key >= test_from:
        return "test"
    return "valid" if valid_from is not None and key >= valid_from else "train"


def _share_cuts(
    keys: Sequence[str], shares: tuple[float, float, float]
) -> tuple[str | None, str | None]:
    ordered = sorted(keys)

    def cut(share: float) -> str | None:
        position = round(share * len(ordered))
        return ordered[position] if position < len(ordered) else None

    return cut(shares[0]), cut(shares[0] + shares[1])


def _is_far(
    keys: Sequence[str],
    valid_from: str | None,
    test_from: str | None,
    shares: tuple[float, float, float],
) -> bool:
    """Whether whole dates leave a split empty that has a share, or far from it."""
    sides = [_side(key, valid_from, test_from) for key in keys]
    found = [sides.count(split) for split in SPLIT_NAMES]
    return any(
        abs(n - share * len(keys)) > _FAR * len(keys) or (share > 0 and not n)
        for n, share in zip(found, shares, strict=True)
    )


def real_shares(rule: SplitRule, splits: Iterable[str]) -> str:
    """The rule in words, with the real shares where they differ from those of the rule."""
    counts = Counter(splits)
    n = counts.total()
    shares = getattr(rule, "shares", None)
    if shares is None or not n:
        return str(rule)
    found = [counts[split] / n for split in SPLIT_NAMES]
    if all(abs(a - b) < _ROUNDED for a, b in zip(found, shares, strict=True)):
        return str(rule)
    words = " / ".join(f"{round(share, 2):g}" for share in found)
    return f"{rule}; real shares {words}"


def _check_shares(shares: tuple[float, float, float]) -> None:
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6 or shares[0] == 0:
        raise SplitError(
            f"shares {_share_text(shares)} are not a split.",
            hint="Give three shares for train, valid and test that add up to 1, such as .8 .1 .1.",
        )


def _share_text(shares: Sequence[float]) -> str:
    return " / ".join(f"{share:g}" for share in shares)
