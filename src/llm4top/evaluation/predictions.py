"""A forecaster's probabilities for the rows of a split, checked before they are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm4top.data.dataset import Dataset
from llm4top.errors import EmptyClassError, ScoreError, TooFewRowsError
from llm4top.forecasters.distribution import Bins

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_ROWS = 2
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One forecaster's probabilities for ``n`` rows, with the true labels.

    Attributes:
        forecaster: Its name in tables.
        split: "train", "valid" or "test"; nothing is ever chosen from scores of "test".
        labels: The task's labels.
        probabilities: ``[n, K]``, columns in the order of ``labels``.
        y: The true labels' indices ``[n]``.
        ids: The rows' identifiers, each once.
        bins: Those of an ordinal task; None for others.

    Raises:
        ScoreError: Values are not probabilities, or shapes do not match.
        TooFewRowsError: There are fewer than two rows.
        EmptyClassError: A label has no row.
    """

    forecaster: str
    split: str
    labels: tuple[str, ...]
    probabilities: FloatArray
    y: IntArray
    ids: tuple[str, ...] = field(repr=False)
    bins: Bins | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", np.asarray(self.probabilities, np.float64))
        object.__setattr__(self, "y", np.asarray(self.y, np.int64))
        object.__setattr__(self, "ids", tuple(self.ids))
        self._check_shape()
        self._check_values()
        self._check_rows()

    @classmethod
    def of_rows(cls, forecaster: str, split: str, rows: Dataset, probabilities: FloatArray) -> Self:
        """The scores of all ``rows`` of a data set, in their order."""
        y = np.asarray(rows.label_indices, dtype=np.int64)
        bins = Bins.of(rows.task) if rows.task.kind == "ordinal" else None
        return cls(forecaster, split, rows.task.labels, probabilities, y, rows.nct_ids, bins)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def event(self) -> FloatArray:
        """Probability of the second of two labels: ``[n]``; ``ScoreError`` with more labels."""
        if len(self.labels) != 2:
            raise ScoreError("only a binary task has an event.", where=self.where)
        return self.probabilities[:, 1]

    @property
    def where(self) -> str:
        """The forecaster and the split, as errors name them."""
        return f"{self.forecaster}, {self.split} split"

    def take(self, rows: ArrayLike) -> Scores:
        """Those rows (indices or a mask), under the same checks."""
        chosen = np.arange(len(self))[np.asarray(rows)]
        ids = tuple(self.ids[i] for i in chosen)
        return Scores(
            self.forecaster,
            self.split,
            self.labels,
            self.probabilities[chosen],
            self.y[chosen],
            ids,
            self.bins,
        )

    def _check_shape(self) -> None:
        expected = (len(self.y), len(self.labels))
        if self.probabilities.shape != expected or len(self.ids) != len(self.y):
            raise ScoreError(
                f"probabilities of shape {list(self.probabilities.shape)} and {len(self.ids)} ids "
                f"for {len(self.y)} rows and {len(self.labels)} labels.",
                where=self.where,
                hint="Give one row a trial and one column a label.",
            )
        if len(set(self.ids)) != len(self.ids):
            twice = next(i for i in self.ids if self.ids.count(i) > 1)
            raise ScoreError(f"{twice} is there more than once.", where=self.where)

    def _check_values(self) -> None:
        p = self.probabilities
        wrong = ~np.isfinite(p) | (p < 0) | (p > 1)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ScoreError(
                f"the score of {self.ids[row]} for {self.labels[column]!r} is {p[row, column]}, "
                f"no probability ({int(wrong.any(axis=1).sum())} of {len(self)} rows).",
                where=self.where,
                hint="Scores are finite numbers from 0 to 1.",
            )
        off = np.abs(p.sum(axis=1) - 1) > _SUM_TOLERANCE
        if off.any():
            row = int(np.flatnonzero(off)[0])
            raise ScoreError(
                f"the scores of {self.ids[row]} add up to {p[row].sum():.6g}, not to 1.",
                where=self.where,
            )

    def _check_rows(self) -> None:
        if len(self) < LEAST_ROWS:
            raise TooFewRowsError(
                f"{len(self)} row{'' if len(self) == 1 else 's'}; two or more are needed.",
                where=self.where,
                hint="Measure on a larger split.",
            )
        if self.y.min() < 0 or self.y.max() >= len(self.labels):
            raise ScoreError("a row's label is none of the task's.", where=self.where)
        counts = np.bincount(self.y, minlength=len(self.labels))
        if not counts.all():
            missing = ", ".join(repr(self.labels[i]) for i in np.flatnonzero(counts == 0))
            raise EmptyClassError(
                f"no row with label {missing}.",
                where=self.where,
                hint="Measure on a split, or a slice, that has every label.",
            )


def same_rows(scores: Sequence[Scores]) -> None:
    """``ScoreError`` unless all are about the same rows in the same order."""
    for other in scores[1:]:
        first = scores[0]
        same = other.ids == first.ids and other.split == first.split
        if not same or not np.array_equal(other.y, first.y):
            raise ScoreError(
                f"{first.forecaster} and {other.forecaster} were not scored on the same rows.",
                where=other.where,
                hint="Score both on the same data set and split.",
            )
