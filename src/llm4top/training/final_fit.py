"""``final_fit: all``: fit once more on train and valid together what the two have chosen.

The steps are chosen as ever: trained on the train split, stopped by the valid split. Then models
of the same settings are fitted without one fold each, for out-of-fold predictions of all these
rows to calibrate on, and one on all rows, which is the bundle's.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4top.data.dataset import Dataset
from llm4top.files import write_json
from llm4top.forecasters.bundles.figures import FinalFit
from llm4top.forecasters.cross_fit import CrossFit, Fold, LearningRows, Predict, cross_fit
from llm4top.forecasters.forecaster import release_memory
from llm4top.processes import process_count
from llm4top.progress import OnProgress
from llm4top.text import thousands
from llm4top.training.config import TrainingConfig
from llm4top.training.run_folder import RunFolder

if TYPE_CHECKING:
    from llm4top.forecasters.finetuning.finetune import FinetuneResult
    from llm4top.forecasters.language import LanguageForecaster

FitRows = Callable[[Dataset, "Choice", str], "LanguageForecaster"]
"""Fits a run's settings on rows for as long as chosen, in a folder named by the last argument."""
WHOLE = "all"
"""That name where all rows are fitted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How long to train, as the train and valid splits chose it; the fields of the result.

    ``trials`` is the number of training trials that it was chosen with; ``tried`` holds the layers
    and poolings of a probe, which chooses these anew in each fit, by cross-validation.
    """

    trials: int
    steps: int
    best_step: int | None
    best_log_loss: float | None
    stopped_early: bool
    tokens: int
    tried: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, tuned: FinetuneResult, trials: int) -> Choice:
        """From the run that chose."""
        return cls(
            trials,
            tuned.steps,
            tuned.best_step,
            tuned.best_log_loss,
            tuned.stopped_early,
            tuned.tokens,
            tuned.history if tuned.probe is not None else (),
        )

    @classmethod
    def read(cls, run: RunFolder) -> Choice | None:
        """What ``keep`` wrote; None where there is none."""
        try:
            values = json.loads(run.choice_file.read_text("utf-8"))
            return cls(**{**values, "tried": tuple(values.get("tried", ()))})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def keep(self, run: RunFolder) -> None:
        """Write it into the run's folder."""
        write_json(run.choice_file, asdict(self))

    def steps_for(self, trials: int) -> int | None:
        """As many passes over ``trials`` trials as were best; None where there were no steps."""
        best = self.best_step or self.steps
        return max(1, round(best * trials / self.trials)) if best else None


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """All learning rows with their out-of-fold logits, by models that a fold was kept from."""

    rows: Dataset
    cross: CrossFit
    folds: int
    seed: int

    @property
    def entry(self) -> FinalFit:
        """What a manifest says about it."""
        return FinalFit(trials=len(self.rows), folds=self.folds)

    @property
    def learning(self) -> LearningRows:
        """The rows as they are cross-fitted."""
        return LearningRows.of(self.rows)


def learning_rows(dataset: Dataset, *splits: str) -> Dataset:
    """The rows of the splits that are learned from, in the data set's order."""
    return dataset.take([i for i, split in enumerate(dataset.splits) if split in splits])


def cross_fit_run(
    config: TrainingConfig,
    dataset: Dataset,
    run: RunFolder,
    choice: Choice,
    fit: FitRows,
    *,
    folds: int,
    on_progress: OnProgress,
) -> OutOfFold:
    """Out-of-fold logits of all learning rows, by a run's settings trained as long as chosen.

    Each fold's logits are kept in the run's folder as it ends, so a stopped run goes on.
    """
    rows = learning_rows(dataset, config.train_split, config.valid_split)

    def fit_fold(fold: Fold) -> Predict:
        name = f"fold {fold.number + 1} of {fold.of}"
        run.add_event("fold", number=fold.number + 1, of=fold.of, trials=len(fold.learn))
        release_memory()  # of the fold before
        return fit(rows.take(fold.indices.tolist()), choice, name).label_logits

    cross = cross_fit(
        fit_fold,
        LearningRows.of(rows),
        folds=folds,
        seed=config.seed,
        store=run.folds,
        identity={
            "choice": asdict(choice),
            "run": run.identity_file.read_text("utf-8"),
        },
        on_progress=on_progress,
    )
    release_memory()
    return OutOfFold(rows, cross, folds, config.seed)


OUT_OF_FOLD = "out-of-fold predictions"


def final_fit_check(
    config: TrainingConfig, by_split: Mapping[str, Mapping[str, int]]
) -> tuple[str, bool, str]:
    """What it costs or, with False, why it would fail, and what to do then.

    ``by_split`` counts the rows by split and label.
    """
    both = (by_split.get(s, {}) for s in (config.train_split, config.valid_split))
    counts, folds = sum(map(Counter, both), Counter()), config.folds
    if process_count() > 1:
        what = "a final fit on all rows runs in one process."
        return what, False, "Start it without torchrun."
    rarest = min(counts.values(), default=0)
    if rarest < folds:
        what = f"the rarest label has {rarest} trials in train and valid, too few for {folds} folds"
        return f"{what}.", False, "Lower folds, or use final_fit: train."
    fits = folds + 2
    what = (
        f"{fits} trainings: one to choose the steps, {folds} for out-of-fold predictions of "
        f"{thousands(counts.total())} trials, one on all of them. It takes up to {fits} times as "
        "long as one training."
    )
    return what, True, ""


def fit_checkpoints(run: RunFolder, name: str) -> Path:
    """The folder of the checkpoints of one fit, by its name; those of earlier fits are deleted."""
    own = run.folds / name.replace(" ", "-")
    for other in run.folds.glob("*/"):
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return own
