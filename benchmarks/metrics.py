"""Every metric of 1,000,000 scores with 1,000 bootstrap draws, against scikit-learn draw by draw.

The plain way resamples rows within each label and calls scikit-learn's functions for the metrics
that it has (no ECE, slope or intercept); a few draws are timed, and the whole is a multiple of
them. The ratio is of processor time, so that other work on the machine, and our threads, do not
count. Memory is what the process holds at its peak above the scores themselves. Exits with 1 where
a target is missed.

    python benchmarks/metrics.py
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import time

import numpy as np
import psutil
import sklearn
from sklearn import metrics as reference

from llm4top.evaluation.metrics.metrics import Measured, measure
from llm4top.evaluation.predictions import Scores

MOST_SECONDS, MOST_MEGABYTES, LEAST_RATIO = 60, 1000, 20


def main() -> int:
    options = parse()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}, "
        f"scikit-learn {sklearn.__version__}, load {os.getloadavg()[0]:.1f}"
    )
    scores = make_scores(options.rows)
    decisions = (scores.event >= 0.4).astype(np.int64)
    base = np.tile([0.5, 0.5], (options.rows, 1))
    before = psutil.Process().memory_info().rss
    started, worked = time.perf_counter(), time.process_time()
    measured = measure(scores, decisions=decisions, reference=base, draws=options.draws)
    ours, worked = time.perf_counter() - started, time.process_time() - worked
    unit = 1 if sys.platform == "darwin" else 1024
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before) / 1e6
    small = time_small()
    plain = time_plain(scores, decisions, measured, options.plain_draws) * options.draws
    print(
        f"  ours: {ours:8.1f} s (at most {MOST_SECONDS}), {worked:.1f} s of processor time, "
        f"{len(measured.figures)} metrics"
    )
    print(f"memory: {peak:8.0f} MB above the scores (at most {MOST_MEGABYTES})")
    print(f" plain: {plain:8.0f} s of processor time, from {options.plain_draws} draws")
    print(f" ratio: {plain / worked:8.1f} (at least {LEAST_RATIO})")
    print(f" small: {small:8.2f} s for 1,000 scores")
    held = ours <= MOST_SECONDS and peak <= MOST_MEGABYTES and plain / worked >= LEAST_RATIO
    return 0 if held else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--plain-draws", type=int, default=3)
    return parser.parse_args()


def make_scores(n: int) -> Scores:
    rng = np.random.default_rng(0)
    y = (rng.random(n) < 0.6).astype(np.int64)
    p = 1 / (1 + np.exp(-(rng.normal(0, 1, n) + y - 0.5)))
    ids = tuple(map(str, range(n)))
    return Scores("model", "valid", ("failure", "success"), np.column_stack([1 - p, p]), y, ids)


def time_small() -> float:
    """Seconds for 1,000 scores, the best of three."""
    scores, best = make_scores(1000), float("inf")
    for _ in range(3):
        started = time.perf_counter()
        measure(scores)
        best = min(best, time.perf_counter() - started)
    return best


def time_plain(scores: Scores, decisions: np.ndarray, measured: Measured, draws: int) -> float:
    """Processor seconds a draw; the metrics of the whole sample are compared on the way."""
    whole = plain(scores.event, scores.y, decisions)
    for name, value in whole.items():
        ours = measured.figures[name].value
        if ours is None or abs(ours - value) > 1e-9:
            raise SystemExit(f"{name}: {ours}, scikit-learn {value}")
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(scores.y == label) for label in (0, 1)]
    started = time.process_time()
    for _ in range(draws):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        plain(scores.event[rows], scores.y[rows], decisions[rows])
    return (time.process_time() - started) / draws


def plain(p: np.ndarray, y: np.ndarray, decisions: np.ndarray) -> dict[str, float]:
    found = {
        "roc_auc": reference.roc_auc_score(y, p),
        "average_precision": reference.average_precision_score(y, p),
        "log_loss": reference.log_loss(y, p),
        "brier": reference.brier_score_loss(y, p),
        "ap_decisions": reference.average_precision_score(y, p >= 0.5),
    }
    for end, said in (("", decisions), ("_at_half", p >= 0.5)):
        found |= {
            f"accuracy{end}": reference.accuracy_score(y, said),
            f"balanced_accuracy{end}": reference.balanced_accuracy_score(y, said),
            f"precision{end}": reference.precision_score(y, said),
            f"recall{end}": reference.recall_score(y, said),
            f"f1{end}": reference.f1_score(y, said),
            f"mcc{end}": reference.matthews_corrcoef(y, said),
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
