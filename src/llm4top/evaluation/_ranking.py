"""ROC-AUC and average precision from counts, with ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llm4top.evaluation._bootstrap import CountArray
from llm4top.evaluation._scores import FloatArray, IntArray


def running(counts: CountArray) -> CountArray:
    """Counts so far, from none: ``[b, n]`` to ``[b, n + 1]``."""
    total = np.empty((len(counts), counts.shape[1] + 1), dtype=np.int32)
    total[:, 0] = 0
    np.cumsum(counts, axis=1, out=total[:, 1:])
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Where each row with the event stands among the others; scores ascend in both groups.

    ``below`` is the number of rows without the event that score less, ``up_to`` those that score
    no more, ``own`` the number of rows with the event that score less: ``[n1]`` each, None where
    it says nothing new (no ties).
    """

    below: IntArray
    up_to: IntArray | None
    own: IntArray | None

    @classmethod
    def of(cls, without: FloatArray, event: FloatArray) -> Ranking:
        """From sorted scores of the rows without and with the event."""
        below = np.searchsorted(without, event, side="left")
        up_to = np.searchsorted(without, event, side="right")
        own = np.searchsorted(event, event, side="left")
        tied = bool((np.diff(event) == 0).any())
        return cls(below, None if np.array_equal(below, up_to) else up_to, own if tied else None)

    def roc_auc(self, counts: FloatArray, without: CountArray) -> FloatArray:
        """Area under the ROC curve, ties counting half (Mann-Whitney).

        ``counts`` ``[b, n1]`` are of rows with the event, ``without`` ``[b, n0 + 1]`` the running
        counts of the others.
        """
        beaten = without.take(self.below, axis=1).astype(np.float64)
        if self.up_to is not None:
            beaten += without.take(self.up_to, axis=1)
            beaten /= 2
        pairs = np.maximum(counts.sum(axis=1) * without[:, -1].astype(np.float64), 1)
        return np.asarray(np.einsum("bi,bi->b", counts, beaten) / pairs)

    def average_precision(
        self, counts: FloatArray, own: CountArray, without: CountArray
    ) -> FloatArray:
        """Sum of precision times the gain in recall over distinct scores, as scikit-learn's.

        ``own`` ``[b, n1 + 1]`` and ``without`` ``[b, n0 + 1]`` are running counts.
        """
        lower = own[:, :-1] if self.own is None else own.take(self.own, axis=1)
        hits = own[:, -1:] - lower
        said = without[:, -1:] - without.take(self.below, axis=1)
        said += hits
        # Where nothing of a draw scores as much, there is no hit either.
        np.maximum(said, 1, out=said)
        return np.asarray(np.einsum("bi,bi->b", counts, hits / said) / own[:, -1])
