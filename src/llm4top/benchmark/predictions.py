"""What one forecaster said about the rows of one check."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm4top.benchmark.rows import POOLED, CheckName
from llm4top.data.dataset import Dataset
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.reports.report import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """Probabilities ``[n, K]`` of the rows ``ids`` of a check.

    ``phase`` is what the forecaster has learnt from: one phase, or "pooled" for all of them (and
    for what learns nothing); it says nothing about trials of other phases. ``pools`` marks what is
    stacked with a baseline.
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
    pools: bool = False

    def covers(self, phase: str) -> bool:
        """Whether its rows hold all those of ``phase``."""
        return self.phase in (POOLED, phase)

    def about(self, rows: Dataset) -> Scores:
        """Its scores of exactly these rows, in their order; raises what ``Scores`` raises."""
        place = {nct_id: i for i, nct_id in enumerate(self.ids)}
        split = "test" if self.check == "test" else "valid"
        found = self.probabilities[[place[nct_id] for nct_id in rows.nct_ids]]
        return Scores.of_rows(self.name, split, rows, found)

    @property
    def sha256(self) -> str:
        """Identity of what was said, and by whom."""
        head = repr((self.name, self.kind, self.phase, self.learnt_from, self.check, self.ids))
        digest = hashlib.sha256(f"{head}{self.identity}{self.note}".encode())
        digest.update(np.ascontiguousarray(self.probabilities).tobytes())
        return digest.hexdigest()


def learnt_words(phase: str, trials: int) -> str:
    """What a forecaster has learnt from, in words."""
    where = "all phases" if phase == POOLED else f"phase {phase}"
    return f"{where}, {trials} trials"
