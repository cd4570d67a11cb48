"""``selection.json``: what was tried, the results, what was chosen and why; and its log-losses.

Log-losses are computed row by row, so that any two forecasters' are paired. Every forecaster is
scaled in the same way before it is compared: a slope and an offset for each label on its
log-probabilities, cross-fitted on the same folds (``cross_pool``). So no candidate wins or loses
because of its class weights or its overconfidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from llm4top.data.dataset import Dataset
from llm4top.errors import TooFewRowsError
from llm4top.evaluation.metrics.bootstrap import bootstrap, grouped
from llm4top.evaluation.metrics.metrics import figure
from llm4top.evaluation.predictions import FloatArray, IntArray
from llm4top.evaluation.reports.report import Figure
from llm4top.forecasters.calibration.calibrated import MIN_ROWS, MIN_ROWS_OF_A_LABEL
from llm4top.forecasters.calibration.pool import FOLDS, cross_pool

_LEAST_LOG = 1e-15
SEED = 0
"""Of folds and draws: the same for every selection, so that figures can be compared."""


def row_losses(probabilities: FloatArray, y: IntArray) -> FloatArray:
    """-ln p of the label that came true: ``[n]`` of ``[n, K]`` and ``[n]``."""
    found = probabilities[np.arange(len(y)), y]
    return np.asarray(-np.log(np.maximum(found, _LEAST_LOG)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class SelectionScorer:
    """Scores forecasters by log-loss on the rows with label indices ``y`` ``[n]``."""

    y: IntArray
    draws: int = 1000

    @classmethod
    def of(cls, rows: Dataset, *, draws: int, split: str) -> SelectionScorer:
        """The scorer of a split; ``TooFewRowsError`` where it has too few rows to select by."""
        y = np.asarray(rows.label_indices, dtype=np.int64)
        counts = np.bincount(y, minlength=len(rows.task.labels))
        # One fold less must still carry a fit.
        least, rows_needed = MIN_ROWS_OF_A_LABEL + 2, MIN_ROWS * FOLDS // (FOLDS - 1)
        if len(y) < rows_needed or counts.min() < least:
            raise TooFewRowsError(
                f"{len(y)} rows, {counts.min()} of the rarest label: {rows_needed} and {least} "
                "are the least to choose by.",
                where=f"{split} split",
                hint="Set more validation data aside (llm4top ingest).",
            )
        return cls(y, draws)

    def scaled(self, sources: Mapping[str, ArrayLike]) -> FloatArray:
        """Probabilities ``[n, K]`` of one forecaster, or of several pooled, cross-fitted.

        ``sources`` maps names to logits ``[n, K]``.
        """
        return cross_pool(sources, self.y, seed=SEED)

    def losses(self, sources: Mapping[str, ArrayLike]) -> FloatArray:
        """Log-losses ``[n]`` of what ``scaled`` gives."""
        return row_losses(self.scaled(sources), self.y)

    def mean(self, values: FloatArray) -> Figure:
        """The mean of a value of each row ``[n]``, with the interval of the bootstrap.

        Draws are the same for the same rows: the interval of a difference is paired.
        """
        ordered = values[grouped(self.y)]
        drawn = bootstrap(
            lambda counts: {"mean": counts @ ordered / len(ordered)},
            self.y,
            draws=self.draws,
            seed=SEED,
        )["mean"]
        return figure(float(values.mean()), drawn, len(values))


def is_gain(difference: Figure) -> bool:
    """Whether a difference of log-losses is below 0 with its whole interval."""
    return difference.upper is not None and difference.upper < 0


SELECTION_FILE = "selection.json"
SELECTION_SCHEMA = 1

Chosen = Literal["language", "stack", "baseline"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RunOutcome(_Part):
    """One run: its folder below the selection's, and its validation log-loss or why it has none."""

    candidate: str
    seed: int
    steps: int
    folder: str
    log_loss: Figure | None
    error: str = ""


class CandidateOutcome(_Part):
    """A candidate in a rung: mean over its seeds, and the least and greatest of them."""

    candidate: str
    log_loss: Figure | None
    least: float | None
    greatest: float | None
    runs: tuple[RunOutcome, ...]


class Dropped(_Part):
    """A candidate that was dropped. ``behind``: its log-loss minus that of the last one kept."""

    candidate: str
    behind: Figure | None
    reason: str


class RungOutcome(_Part):
    """One rung. ``share`` of each candidate's steps were taken."""

    number: int
    share: float
    candidates: tuple[CandidateOutcome, ...]
    kept: tuple[str, ...]
    dropped: tuple[Dropped, ...]


class BaselineOutcome(_Part):
    """A baseline on the validation split.

    ``newest`` is its log-loss minus the base rate's on the newest learning trials, after learning
    from the older ones; ``confirmed`` says whether the gain holds there, None where that was not
    tried.
    """

    name: str
    label: str
    log_loss: Figure | None
    newest: Figure | None = None
    confirmed: bool | None = None
    note: str = ""


class StackOutcome(_Part):
    """The language model and the best baseline together.

    ``gain`` is its log-loss minus that of the better of the two alone (``against``), ``newest``
    the same where the pool was fitted on older validation trials and judged on the newest.
    """

    taken: bool
    reason: str
    baseline: str = ""
    against: str = ""
    weights: dict[str, float] = {}
    log_loss: Figure | None = None
    gain: Figure | None = None
    newest: Figure | None = None


class Winner(_Part):
    """What was chosen: its kind, its name, its folder below the selection's, its log-loss.

    ``gain`` is its log-loss minus that of the base rate.
    """

    kind: Chosen
    name: str
    folder: str
    identity: str
    log_loss: Figure
    gain: Figure


class Selection(_Part):
    """The whole of ``selection.json``. All figures are log-losses of the validation split.

    ``language`` is the best language model, whose bundle is ``language_bundle``; ``baseline``
    names the best baseline, saved in ``baseline/``.
    """

    schema_version: int = SELECTION_SCHEMA
    created: str
    llm4top: str
    task: str
    data: dict[str, Any]
    settings: dict[str, Any]
    candidates: dict[str, dict[str, Any]]
    rungs: tuple[RungOutcome, ...]
    language: RunOutcome
    language_bundle: str
    baselines: tuple[BaselineOutcome, ...]
    baseline: str
    stack: StackOutcome
    winner: Winner
    why: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_selection(folder: Path | str) -> Selection:
    """The finished selection in ``folder``; ``OSError`` or ``ValueError`` where there is none."""
    return Selection.model_validate_json((Path(folder) / SELECTION_FILE).read_text("utf-8"))
