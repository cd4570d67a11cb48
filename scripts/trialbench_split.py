#!/usr/bin/env python
"""TrialBench's own split: scripts/trialbench_split.py DATA [--only QUESTION ...]

DATA is described in question_rows.py. Of each question's trials those of TrialBench's train split
are learned from, those of its test split are forecast, as far as DATA has their records. Printed
are the figures that TrialBench publishes: the mean absolute error of a duration in years, the
ROC-AUC (macro) of the reason, and the ROC-AUC of the events "anyone drops out", "anyone has a
serious adverse event", "anyone dies", by the probability of any share above none.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from embedded_questions import METHOD, READ, SEED, fitted, judged, out_of_fold
from question_rows import TRIALBENCH, Rows, read_source, rows_of, table
from question_support import Step

from llm4top.data.masked_copies import emptied
from llm4top.evaluation.metrics.bootstrap import interval
from llm4top.evaluation.metrics.metrics import measure_probabilities
from llm4top.evaluation.metrics.ordinal import ordinal_means
from llm4top.forecasters.cross_fit import LearningRows, calibrate_out_of_fold
from llm4top.forecasters.distribution import Bins
from llm4top.forecasters.support_fit import FULL
from llm4top.registry.trial import TRIAL_FIELDS
from llm4top.tasks.builtin import DURATION, TASKS

LEAST = 50
"""A phase with fewer test rows has no figure of its own."""
MONTHS = 12


def split_rows(rows: Rows, split: str) -> tuple[LearningRows, np.ndarray]:
    """The rows of one of TrialBench's splits, with what every source has, and their quantities."""
    kept = [i for i, own in enumerate(rows.splits) if own == split]
    hidden = tuple(name for name in TRIAL_FIELDS if name not in READ)
    trials = [emptied(rows.trials[i], hidden) for i in kept]
    ids = [rows.ids[i] for i in kept]
    return LearningRows(trials, rows.labels[kept], ids, np.ones(len(kept))), rows.values[kept]


def forecasts(past: LearningRows, asked: LearningRows, task: str) -> dict[str, np.ndarray]:
    """Probabilities ``[m, K]`` of the test rows, by forecaster."""
    calibrator = calibrate_out_of_fold(out_of_fold(past, task)[FULL], past, METHOD)
    starts = [None] * len(asked)
    return judged(Step(past, asked, starts, fitted(past, task), calibrator), task)


def figure(task: str, p: np.ndarray, y: np.ndarray, values: np.ndarray) -> str:
    """The question's figure with its 95 % interval."""
    if task == DURATION.name:
        bins = Bins.of(DURATION)
        errors = np.abs(bins.clipped(bins.quantiles(p, [0.5]))[:, 0] - values) / MONTHS
        means, drawn = ordinal_means({"mae": errors}, y, seed=SEED)
        value, draws = means["mae"], drawn["mae"]
    else:
        if TASKS[task].kind == "ordinal":
            p, y = np.column_stack([p[:, 0], 1 - p[:, 0]]), (y > 0).astype(np.int64)
        figures, drawn = measure_probabilities(p, y, seed=SEED)
        value, draws = figures["roc_auc"].value or np.nan, drawn["roc_auc"]
    low, high = interval(draws)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def measure(rows: Rows, data: Path) -> None:
    """Print one question's figures, of all phases and of each."""
    task = rows.task.name
    past, _ = split_rows(rows, "train")
    asked, values = split_rows(rows, "test")
    every = [
        row["split"] for row in table(data / "labels" / f"trialbench_{TRIALBENCH[task][0]}.csv")
    ]
    print(
        f"{task}: {len(past)} of {every.count('train')} train rows, "
        f"{len(asked)} of {every.count('test')} test rows",
        flush=True,
    )
    found = forecasts(past, asked, task)
    least = 2 if rows.task.kind == "ordinal" else len(rows.task.labels)
    phases = np.array([trial.phase or "none" for trial in asked.trials])
    for name in ("all", *sorted(set(phases))):
        own = np.flatnonzero((phases == name) | (name == "all"))
        if len(own) < LEAST or len(set(asked.labels[own])) < least:
            continue
        for label, p in found.items():
            told = figure(task, p[own], asked.labels[own], values[own])
            print(f"  {name:16} {len(own):5}  {label:30} {told}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the questions that TrialBench has labels of."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=TRIALBENCH, default=[*TRIALBENCH])
    asked = parser.parse_args(arguments)
    source = read_source(asked.data)
    for name in asked.only:
        measure(rows_of(source, TASKS[name]), asked.data)


if __name__ == "__main__":
    main()
