"""One row for each trial: of the records of a trial, which becomes the row."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm4top.data.sources import phases_of

_STRICTNESS = {None: 0, "train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record, without its text.

    ``in_question`` is false for one that cannot be a row (no label, or another phase); its
    split still decides in which splits other records of its trial may be.
    """

    nct_id: str
    label: str
    phase: str | None
    file: str
    own_split: str | None
    start_date: str | None
    first_submitted: str | None
    processed: str | None
    format: str
    source_sha256: str
    in_question: bool = True


@dataclass(slots=True)
class Pool:
    """The candidates that become rows, by position, with the files their copies stood in.

    ``dropped`` holds NCT id and reason of each that does not.
    """

    kept: dict[int, tuple[str, ...]] = field(default_factory=dict)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


def pool(candidates: Sequence[Candidate], *, keep_own_split: bool) -> Pool:
    """One candidate for each NCT id.

    A trial in a test file is removed from train and valid, one in a valid file from train.
    ``keep_own_split`` false is for a new split over the source's train and valid: its test rows
    are left out altogether, so that they stay unseen. Of what remains the newest record stands
    for the trial; copies that disagree on label or phase are all left out.
    """
    result = Pool()
    copies: defaultdict[str, list[int]] = defaultdict(list)
    for position, candidate in enumerate(candidates):
        copies[candidate.nct_id].append(position)
    for positions in copies.values():
        remaining = _strictest(candidates, positions, result, keep_own_split)
        if remaining:
            _merge(candidates, remaining, result)
    result.kept = dict(sorted(result.kept.items()))
    return result


def _strictest(
    candidates: Sequence[Candidate], positions: Sequence[int], result: Pool, keep_own_split: bool
) -> list[int]:
    """The copies in question that stand in the strictest split their trial is in."""
    strictest = max((candidates[p].own_split for p in positions), key=_STRICTNESS.__getitem__)
    remaining = []
    for position in positions:
        own = candidates[position]
        if not own.in_question:
            continue
        if own.own_split == "test" and not keep_own_split:
            reason = "in a test file of its source, which no other split may use"
        elif strictest == "test" and own.own_split != "test":
            reason = f"also in a test file: left out of {own.own_split or 'the rest'}"
        elif strictest == "valid" and own.own_split == "train" and keep_own_split:
            reason = "also in a validation file: left out of train"
        else:
            remaining.append(position)
            continue
        result.dropped.append((own.nct_id, reason))
    return remaining


def _merge(candidates: Sequence[Candidate], positions: Sequence[int], result: Pool) -> None:
    newest = max(candidates[p].processed or "" for p in positions)
    current = [p for p in positions if (candidates[p].processed or "") == newest]
    first = candidates[current[0]]
    reason = None
    if any(candidates[p].label != first.label for p in current):
        reason = "copies with different labels"
    elif any(phases_of(candidates[p].phase) != phases_of(first.phase) for p in current):
        reason = "copies with different phases"
    if reason is not None:
        result.dropped += [(first.nct_id, reason)] * len(positions)
        return
    result.kept[current[0]] = tuple(dict.fromkeys(candidates[p].file for p in current))
    result.notes["copies of one trial merged into one row"] += len(current) - 1
    result.notes["older records of a trial replaced by the newest"] += len(positions) - len(current)
