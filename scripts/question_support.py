"""The support stage of the embedded questions: scripts/embedded_questions.py.

It is learnt as that of the embedded model is: copies of the learning rows with fields emptied are
forecast out of fold, for what missing fields cost, and copies of later trials by what earlier ones
taught, for how far groups of trials lie from their forecasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm4top.data.masked_copies import masked
from llm4top.forecasters.base_rates import BaseRate, measure_base_rates
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.figures import CardTable
from llm4top.forecasters.calibration.calibrated import Calibrator
from llm4top.forecasters.cross_fit import LearningRows, assign_folds
from llm4top.forecasters.support import Support
from llm4top.forecasters.support_fit import FULL, Judged, learn_support
from llm4top.forecasters.support_slices import coverage_table
from llm4top.registry.trial import Trial

PATTERNS = (
    "no criteria",
    "no phase",
    "no criteria, no phase",
    "no conditions",
    "no interventions",
    "title only",
    "criteria only",
)
"""What a copy lacks. Questions read the title, conditions, interventions and criteria."""
SECTIONS = ("phase", "brief_title", "conditions", "interventions", "criteria")


def copies_of(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """The trials with fields emptied, by pattern."""
    return {name: [masked(trial, name) for trial in trials] for name in PATTERNS}


def rates_of(rows: LearningRows, labels: int) -> dict[str, BaseRate]:
    """The base rates of rows."""
    return measure_base_rates(labels, rows.phases, rows.labels.tolist())


@dataclass(frozen=True, eq=False)
class Step:
    """The blend and calibration of earlier rows, ``past``, and the ``later`` rows they forecast."""

    past: LearningRows
    later: LearningRows
    starts: Sequence[str | None]
    blend: Blend
    calibrator: Calibrator

    def copies(self, labels: int) -> Judged:
        """Copies of the later rows with their forecasts."""
        copies = {FULL: self.later.trials, **copies_of(self.later.trials)}
        forecasts = {
            name: self.calibrator.predict(
                self.blend.label_logits(trials), [trial.phase for trial in trials]
            )
            for name, trials in copies.items()
        }
        rates = rates_of(self.past, labels)
        return Judged.of(self.later, copies, forecasts, rates, self.starts)


def learned_support(
    rows: LearningRows,
    whole: Sequence[Trial],
    starts: Sequence[str | None],
    logits: dict[str, np.ndarray],
    steps: Sequence[Step],
    *,
    method: str,
    folds: int,
    seed: int,
) -> tuple[Support, CardTable]:
    """The support, and how its intervals hold, as a table of the card.

    Args:
        rows: The learning rows, with what every source has.
        whole: Their trials with all that is known of them: they tell of what kinds these are.
        starts: Their start dates, None where not known.
        logits: Out-of-fold logits of the rows ("full") and of each of ``copies_of``.
        steps: Two or more.
        method: Of the calibration.
        folds, seed: Those of the out-of-fold logits.
    """
    labels = logits[FULL].shape[1]
    later = [step.copies(labels) for step in steps]
    strata = list(zip(rows.labels.tolist(), rows.phases, strict=True))
    support = learn_support(
        LearningRows(whole, rows.labels, rows.groups, rows.weights),
        logits,
        {FULL: rows.trials, **copies_of(rows.trials)},
        assign_folds(rows.groups, strata, folds=folds, seed=seed),
        rates_of(rows, labels),
        sections=SECTIONS,
        starts=starts,
        later=later,
        calibration=method,
    )
    return support, coverage_table(support, later)
