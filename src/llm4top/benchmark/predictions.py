"""One forecaster's predictions for the rows of one check."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm4top.benchmark.rows import POOLED, CheckName
from llm4top.data.dataset import Dataset
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.reports.report import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Probabilities ``[n, K]`` of the rows ``ids`` of a check.

    ``phase`` is what the forecaster was trained on: one phase, or "pooled" for all of them (and for
    untrained models); it has no predictions for trials of other phases. ``blends`` marks what is
    blended with a baseline.
    """

    name: str
    kind: Kind
    phase: str
    learnt_from: str
    check: CheckName
    ids: tuple[str, ...]
    probabilities: NDArray[np.float64]
    identity: str = ""
    note: str = ""
    blends: bool = False

    def scores(self, rows: Dataset) -> Scores:
        """Its scores of exactly these rows, in their order; raises what ``Scores`` raises."""
        place = {nct_id: i for i, nct_id in enumerate(self.ids)}
        split = "test" if self.check == "test" else "valid"
        found = self.probabilities[[place[nct_id] for nct_id in rows.nct_ids]]
        return Scores.of_rows(self.name, split, rows, found)

    @property
    def sha256(self) -> str:
        """Identity of the predictions and their forecaster."""
        head = repr((self.name, self.kind, self.phase, self.learnt_from, self.check, self.ids))
        digest = hashlib.sha256(f"{head}{self.identity}{self.note}".encode())
        digest.update(np.ascontiguousarray(self.probabilities).tobytes())
        return digest.hexdigest()


def trained_on_text(phase: str, trials: int) -> str:
    """What a forecaster was trained on, in words."""
    where = "all phases" if phase == POOLED else f"phase {phase}"
    return f"{where}, {trials} trials"
