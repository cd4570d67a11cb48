"""Deletion curves: do reasons point at what a forecast rests on?

The pieces of a record, its sections with the strongest one in lines, are deleted in the order of
their reasons, those first that pull the forecast away from that of an empty record; and in random
orders. A reason that is true to the model moves the log-odds further than chance does (Petsiuk, Das
& Saenko, RISE, 2018, do so with images).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.data.masked_copies import GROUPS, emptied
from llm4top.errors import TaskError
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.reasons.chance import Event, event_log_odds
from llm4top.forecasters.reasons.explain import explain
from llm4top.forecasters.reasons.explanation import Explanation
from llm4top.forecasters.reasons.pieces import Piece, pieces_of, without
from llm4top.prompts.sections import trial_sections
from llm4top.registry.trial import Record, Trial

SHARES = (0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of a record's pieces that are deleted."""

_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class DeletionPoint:
    """What deleting a ``share`` of the pieces does, as means over records.

    ``top`` and ``random`` are the absolute changes of the log-odds, ``ratio`` is the first over
    the second with its 95 % interval (bootstrap over records). ``top_words`` and ``random_words``
    are the shares of the words that were deleted.
    """

    share: float
    top: float
    random: float
    ratio: float
    lower: float
    upper: float
    top_words: float
    random_words: float


@dataclass(frozen=True, slots=True)
class DeletionCurves:
    """The points of all shares, over ``n`` records with ``orders`` random orders each."""

    n: int
    orders: int
    seed: int
    pieces: float
    points: tuple[DeletionPoint, ...]


def deletion_curves(
    forecaster: Forecaster,
    records: Iterable[Record | Trial],
    *,
    orders: int = 5,
    seed: int = 0,
    on_record: Callable[[int], None] | None = None,
) -> DeletionCurves:
    """Deletion in the order of the reasons against random orders.

    Args:
        forecaster: Any forecaster.
        records: Records; those without a forecast, or with fewer than five pieces, are passed over.
        orders: Random orders of each record.
        seed: Of the orders and of the bootstrap.
        on_record: Called with the number of records done.

    Raises:
        ValueError: No record is left.
    """
    rng = np.random.default_rng(seed)
    rows: list[NDArray[np.float64]] = []
    sizes: list[int] = []
    for item in records:
        trial = item.trial if isinstance(item, Record) else item
        try:
            reasons = explain(forecaster, item, seed=seed)
        except TaskError:
            continue
        pieces = _pieces(trial, reasons)
        if len(pieces) < 5:
            continue
        rows.append(_changes(forecaster, trial, reasons, pieces, orders, rng))
        sizes.append(len(pieces))
        if on_record is not None:
            on_record(len(rows))
    if not rows:
        raise ValueError("no record has a forecast and five pieces.")
    found = np.array(rows)
    points = tuple(_point(share, found[:, k], rng) for k, share in enumerate(SHARES))
    return DeletionCurves(len(rows), orders, seed, float(np.mean(sizes)), points)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is deleted at once, a section or a piece, and its value."""

    part: str | Piece
    value: float


def _pieces(trial: Trial, reasons: Explanation) -> list[_Unit]:
    units = [_Unit(c.name, c.log_odds) for c in reasons.sections if c.name != reasons.pieces_of]
    if reasons.pieces_of is not None:
        cut = pieces_of(trial, reasons.pieces_of)
        units += [_Unit(p, c.log_odds) for p, c in zip(cut, reasons.pieces, strict=True)]
    return units


def _changes(
    forecaster: Forecaster,
    trial: Trial,
    reasons: Explanation,
    units: Sequence[_Unit],
    orders: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """``[shares, 4]``: changes of the log-odds and shares of words, by reasons and at random."""
    (probabilities,) = forecaster.predict_proba([trial])
    event = Event.of(forecaster, probabilities)
    total = sum(c.log_odds for c in reasons.sections)
    values = np.array([unit.value for unit in units]) * (1 if total >= 0 else -1)
    ways = [
        np.argsort(-values, kind="stable"),
        *(rng.permutation(len(units)) for _ in range(orders)),
    ]
    copies = [
        _less(trial, [units[i] for i in way[: ceil(share * len(units))]])
        for way in ways
        for share in SHARES
    ]
    before, *after = event_log_odds(forecaster, event, [trial, *copies]).tolist()
    moved = np.abs(np.array(after) - before).reshape(len(ways), len(SHARES))
    whole = _words(trial, forecaster.sections_read)
    lost = [1 - _words(copy, forecaster.sections_read) / max(1, whole) for copy in copies]
    words = np.array(lost).reshape(len(ways), len(SHARES))
    return np.column_stack([moved[0], moved[1:].mean(axis=0), words[0], words[1:].mean(axis=0)])


def _less(trial: Trial, units: Sequence[_Unit]) -> Trial:
    sections = [unit.part for unit in units if isinstance(unit.part, str)]
    copy = without(trial, [unit.part for unit in units if isinstance(unit.part, Piece)])
    return emptied(copy, [field for section in sections for field in GROUPS[section]])


def _words(trial: Trial, sections: Sequence[str] | None) -> int:
    return sum(len(section.text.split()) for section in trial_sections(trial, only=sections))


def _point(share: float, rows: NDArray[Any], rng: np.random.Generator) -> DeletionPoint:
    top, random, top_words, random_words = rows.mean(axis=0).tolist()
    drawn = rng.integers(0, len(rows), (_DRAWS, len(rows)))
    means = rows[drawn, :2].mean(axis=1)
    ratios = means[:, 0] / np.maximum(means[:, 1], 1e-12)
    lower, upper = np.quantile(ratios, (0.025, 0.975)).tolist()
    ratio = top / max(random, 1e-12)
    return DeletionPoint(share, top, random, ratio, lower, upper, top_words, random_words)
