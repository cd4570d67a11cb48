"""``selection.json``: what was tried, the results, what was chosen and why."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from llm4top.evaluation.reports.report import Figure

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
