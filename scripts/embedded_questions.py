#!/usr/bin/env python
"""Fit and judge the models of the other questions: scripts/embedded_questions.py DATA --out FOLDER

DATA is described in question_rows.py. Each question gets a bundle of its own in FOLDER: a blend of
TF-IDF + logistic regression, extra-trees and trees over structured features, with equal weights.

1. The trials are ordered by registration. The newest fifth is forecast by what the rest taught:
   parts, blend and calibration (fitted out of fold within the rest), and the yardsticks. So is the
   fifth before it, for the support alone.
2. All parts are fitted on all rows, the calibration on their out-of-fold forecasts, the support
   (question_support.py) on those of copies and on 1, and the bundle is saved with the figures of 1
   in its card.

The sources of records have different fields and different answers, so the parts also learn from
thin copies: what is missing then tells them nothing of the source.

Nothing is chosen by these figures. A duration is only known of a trial that has ended: of late
starts the short ones alone. So `duration` learns from, and is judged on, starts before 2014.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from question_rows import Rows, read_source, rows_of, year
from question_support import Step, copies_of, learned_support, rates_of

from llm4top.data.masked_copies import emptied
from llm4top.evaluation.metrics.bootstrap import interval
from llm4top.evaluation.metrics.ordinal import ordinal_losses, ordinal_means
from llm4top.forecasters.baselines.extra_trees import ExtraTreesForecaster
from llm4top.forecasters.baselines.simple import BaseRateForecaster, TfidfForecaster
from llm4top.forecasters.baselines.structured import StructuredForecaster
from llm4top.forecasters.blend import Blend
from llm4top.forecasters.bundles.figures import CardTable, Evaluation, FinalFit
from llm4top.forecasters.bundles.manifest import BundleFacts, DataEntry
from llm4top.forecasters.bundles.read import confirm_reload
from llm4top.forecasters.bundles.trained_on import TrainedOn
from llm4top.forecasters.bundles.write import save_bundle
from llm4top.forecasters.calibration.calibrated import Calibrator, softmax
from llm4top.forecasters.cross_fit import LearningRows, calibrate_out_of_fold, cross_fit
from llm4top.forecasters.distribution import Bins
from llm4top.forecasters.support import Support
from llm4top.forecasters.support_fit import FULL
from llm4top.registry.trial import TRIAL_FIELDS
from llm4top.tasks.builtin import SHARE, TASKS
from llm4top.text import thousands
from llm4top.training.finalize import card_figures

SEED = 0
FOLDS = 3
METHOD = "platt"
QUESTIONS = ("completion", "why-it-fails", "duration")
ENDED = 2014.0
LATER = 0.2
LITTLE = 0.03
"""A gain below this share of the base rate's log-loss is called little."""
READ = frozenset(("phase", "study_type", "brief_title", "conditions", "interventions", "criteria"))
"""What every source of records has."""
YARDSTICKS = {"TF-IDF + logistic regression": "tfidf-alone", "base rate of the phase": "base-rate"}
LICENCE = (
    "Registry text is from ClinicalTrials.gov. The labels come from registry records, TrialBench "
    "and Verdica; the last two state no licence. The code is under the Apache License 2.0."
)
NOTE = (
    "The newest fifth by registration number, forecast by what the trials registered before them "
    "taught; nothing was chosen on them. {skill}"
)


def parts(task: str) -> dict[str, Any]:
    """The unfitted parts: small, because they ship with the package."""
    several = len(TASKS[task].labels) > 2
    trees = 30 if several else 70
    common: dict[str, Any] = {"seed": SEED, "thin_copies": True}
    return {
        "tfidf": TfidfForecaster(task, titles=True, min_count=8 if several else 4, **common),
        "extra-trees": ExtraTreesForecaster(
            task, trees=trees, least_leaf=12, min_count=20, **common
        ),
        "structured": StructuredForecaster(task, trees=trees, least_leaf=20, **common),
    }


def learning_rows(rows: Rows) -> tuple[LearningRows, np.ndarray, np.ndarray]:
    """The rows by registration, each trial with what every source has; values; later ones."""
    kept = np.arange(len(rows.ids))
    if rows.task.name == "duration":
        kept = kept[np.array([year(start) for start in rows.starts]) < ENDED]
    order = sorted(kept, key=lambda i: rows.ids[i])
    hidden = tuple(name for name in TRIAL_FIELDS if name not in READ)
    trials = [emptied(rows.trials[i], hidden) for i in order]
    learned = LearningRows(
        trials, rows.labels[order], [rows.ids[i] for i in order], np.ones(len(order))
    )
    later = np.arange(len(order)) >= round((1 - LATER) * len(order))
    return learned, rows.values[order], later


def out_of_fold(rows: LearningRows, task: str, *, copies: bool = False) -> dict[str, np.ndarray]:
    """The blend's logits ``[n, K]`` of rows that it did not learn from ("full"), and of copies."""
    also = copies_of(rows.trials) if copies else {}
    found = [
        cross_fit(part, rows, also=also, folds=FOLDS, seed=SEED) for part in parts(task).values()
    ]
    full = {FULL: np.mean([one.logits for one in found], axis=0)}
    return full | {name: np.mean([one.also[name] for one in found], axis=0) for name in also}


def fitted(rows: LearningRows, task: str) -> Blend:
    """The blend fitted on the rows."""
    return Blend.equal(
        {
            name: part.fit(rows.trials, rows.labels, sample_weight=rows.weights)
            for name, part in parts(task).items()
        }
    )


def step(rows: LearningRows, starts: Sequence[str | None], first: float, task: str) -> Step:
    """From the share ``first`` of the rows on, the next fifth forecast by the rows before it."""
    n = len(rows)
    past, asked = (
        np.arange(round(low * n), round(high * n))
        for low, high in ((0, first), (first, first + LATER))
    )
    learned = rows.take(past)
    return Step(
        learned,
        rows.take(asked),
        [starts[i] for i in asked.tolist()],
        fitted(learned, task),
        calibrate_out_of_fold(out_of_fold(learned, task)[FULL], learned, METHOD),
    )


def judged(step: Step, task: str) -> dict[str, np.ndarray]:
    """Probabilities ``[m, K]`` of the later trials, by forecaster, the blend first."""
    past, asked, blend = step.past, step.later, step.blend
    own = step.calibrator.predict(blend.label_logits(asked.trials), asked.phases).probabilities
    found = {"this model, calibrated": own}
    for name, logits in blend.logits_of_parts(asked.trials).items():
        found[f"{name} alone"] = softmax(logits)
    for label, model in zip(
        YARDSTICKS, (TfidfForecaster(task), BaseRateForecaster(task)), strict=True
    ):
        found[label] = model.fit(past.trials, past.labels).predict_proba(asked.trials)
    return found


def in_units(
    found: dict[str, np.ndarray], y: np.ndarray, values: np.ndarray, task: str
) -> CardTable:
    """MAE, CRPS and coverage of an ordinal question's forecasts."""
    bins, rows, unit = Bins.of(TASKS[task]), [], TASKS[task].unit
    scale = {"mae": 100, "crps": 100} if unit == SHARE else {}
    unit = "percentage points" if scale else unit
    for name, p in found.items():
        losses = ordinal_losses(p, y, bins, values)
        losses = {metric: loss * scale.get(metric, 1) for metric, loss in losses.items()}
        means, drawn = ordinal_means(losses, y, seed=SEED)
        cells = []
        for metric in ("mae", "crps", "coverage_80"):
            low, high = interval(drawn[metric])
            cells.append(f"{means[metric]:.3g} [{low:.3g}, {high:.3g}]")
        rows.append((name, *cells))
    return CardTable(
        title=f"In {unit}, later trials (n = {thousands(len(y))})",
        text="Mean absolute error of the median, CRPS, and the share of trials inside the 80 % "
        "interval (0.8 is right), with 95 % intervals. Values beyond the last bin edge count as "
        "that edge. The base rate's median is the median of the phase.",
        columns=("Forecaster", "MAE", "CRPS", "Coverage of 80 %"),
        rows=tuple(rows),
    )


def make(rows: Rows, folder: Path) -> None:
    """Judge and fit one question, and write its bundle."""
    task = rows.task.name
    learned, values, later = learning_rows(rows)
    print(f"{task}: {len(learned)} trials, {later.sum()} later", flush=True)
    known = dict(zip(rows.ids, zip(rows.trials, rows.starts, strict=True), strict=True))
    whole, starts = zip(*(known[group] for group in learned.groups), strict=True)
    steps = [step(learned, starts, first, task) for first in (1 - 2 * LATER, 1 - LATER)]
    found, y = judged(steps[-1], task), steps[-1].later.labels
    figures = card_figures(found, y, split="later", seed=SEED)
    evaluation = Evaluation.model_validate({**figures, "note": NOTE.format(skill=skill(found, y))})
    logits = out_of_fold(learned, task, copies=True)
    support, coverage = learned_support(
        learned, whole, starts, logits, steps, method=METHOD, folds=FOLDS, seed=SEED
    )
    tables: tuple[CardTable, ...] = (coverage,)
    if rows.task.kind == "ordinal":
        tables = (in_units(found, y, values[later], task), coverage)
    told(evaluation, tables, support)
    save(
        folder,
        learned,
        task,
        calibrate_out_of_fold(logits[FULL], learned, METHOD),
        support,
        {"evaluations": (evaluation,), "tables": tables},
    )


def told(evaluation: Evaluation, tables: Sequence[CardTable], support: Support) -> None:
    """Print what goes into the card."""
    print(evaluation.note, flush=True)
    for name, one in evaluation.forecasters.items():
        print(f"  {name}: {one['roc_auc']} {one['log_loss']} {one['brier']}", flush=True)
    for table in tables:
        print("  " + "\n  ".join(map(str, table.rows)), flush=True)
    print(f"  {support.costs} {support.spread}", flush=True)


def save(
    folder: Path,
    rows: LearningRows,
    task: str,
    calibrator: Calibrator,
    support: Support,
    measured: dict[str, Any],
) -> None:
    """Fit the blend on all rows, write its bundle, and compare what is read back."""
    blend = fitted(rows, task)
    sha256 = hashlib.sha256(
        repr([*zip(rows.groups, rows.labels.tolist(), strict=True)]).encode()
    ).hexdigest()
    facts = BundleFacts(
        data=DataEntry(
            name=f"labelled registry records ({task})",
            sha256=sha256,
            counts={"train": len(rows)},
            note="Records of ClinicalTrials.gov, TrialBench and Verdica; labels by the rule of "
            "the question, else by TrialBench, else by Verdica. Not a random sample of all "
            "trials. No trial of TOP's validation or test files is among them.",
        ),
        base_rates=rates_of(rows, len(TASKS[task].labels)),
        final_fit=FinalFit(trials=len(rows), folds=FOLDS),
        licence=LICENCE,
        seed=SEED,
        **measured,
    )
    save_bundle(
        folder,
        name=f"llm4top-{task}",
        forecaster=blend,
        calibration=calibrator,
        support=support,
        facts=facts,
        trained_on=TrainedOn.of(rows.groups, (), data_sha256=sha256),
        replace=True,
    )
    compared = rows.trials[:: max(1, len(rows) // 200)]
    confirm_reload(folder, compared, blend.label_logits(compared), calibrator)


def skill(found: dict[str, np.ndarray], y: np.ndarray) -> str:
    """One honest sentence: by how much its log-loss is below that of the phase's base rate."""
    rows = np.arange(len(y))
    own, base = (
        -np.log(np.clip(found[name][rows, y], 1e-15, 1))
        for name in (next(iter(found)), "base rate of the phase")
    )
    means, drawn = ordinal_means({"gain": base - own}, y, seed=SEED)
    low, high = interval(drawn["gain"])
    said = (
        f"Its log-loss is {means['gain']:.3f} below that of the base rate of the phase "
        f"(95 % interval {low:.3f} to {high:.3f})"
    )
    small = low <= 0 or means["gain"] < LITTLE * base.mean()
    return f"{said}: little skill." if small else f"{said}."


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the bundles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the bundles")
    parser.add_argument("--only", nargs="+", choices=TASKS, default=QUESTIONS)
    asked = parser.parse_args(arguments)
    source = read_source(asked.data)
    for name in asked.only:
        make(rows_of(source, TASKS[name]), asked.out / name)


if __name__ == "__main__":
    main()
