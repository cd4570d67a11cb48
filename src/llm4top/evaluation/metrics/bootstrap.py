"""The bootstrap: the same draws for every forecaster, in bounded memory.

A draw takes as many rows as there are, with replacement (Efron and Tibshirani 1993); a stratified
one takes, within each label, as many as the label has. Stratified draws hold the prevalence fixed:
right for what does not depend on it (ROC-AUC), and far too narrow an interval for what does. A row
taken twice counts twice, so a draw is a vector of counts, and a metric is computed from counts: the
whole sample is the draw in which every row counts once.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llm4top.evaluation.predictions import FloatArray, IntArray

CountArray = NDArray[np.int32]
"""32 bits: gathering and adding up counts is most of the work, and it is the memory's."""
DRAWS = 1000
_CELLS = 2**17
"""Counts held at a time by one thread, unless one draw has more: they fit a processor's cache."""
_WORTH_A_THREAD = 2**22
_MOST_THREADS = 8

Statistic = Callable[[CountArray], dict[str, FloatArray]]
"""Metrics of several draws: from counts ``[b, n]``, rows grouped by label as ``grouped`` gives
them, to values ``[b]`` by metric, NaN where a metric cannot be measured."""


def grouped(y: IntArray) -> IntArray:
    """Row numbers ordered by label, rows of one label in their own order: ``[n]``."""
    return np.argsort(y, kind="stable").astype(np.int64)


def whole(statistic: Statistic, n: int) -> dict[str, float]:
    """The metrics of the sample itself."""
    return {name: float(v[0]) for name, v in statistic(np.ones((1, n), dtype=np.int32)).items()}


def bootstrap(
    statistic: Statistic,
    y: IntArray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    stratified: bool = False,
    threads: int | None = None,
) -> dict[str, FloatArray]:
    """The metrics of every draw: ``[draws]`` by metric.

    With ``stratified`` each draw has as many rows of each label as ``y`` has; without, a draw may
    lack a label. Draws depend on ``y`` and ``seed`` alone, each with its own random stream:
    neither the number of ``threads`` (default: the processor's, up to 8) nor later draws change
    one. Memory is a few times the larger of n and 131,072 numbers a thread, however many draws
    there are.
    """
    sizes = np.bincount(y) if stratified else np.array([len(y)])
    block = max(1, min(draws, _CELLS // len(y)))
    firsts = range(0, draws, block)

    def measure(first: int) -> dict[str, FloatArray]:
        last = min(first + block, draws)
        return statistic(draw_counts(sizes, first, last, seed))

    parts = list(_in_threads(measure, firsts, _threads(threads, len(y) * draws)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def draw_counts(sizes: IntArray, first: int, last: int, seed: int) -> CountArray:
    """Counts of the draws ``first`` to ``last`` (excluded): ``[last - first, n]``.

    ``sizes`` are the rows of each stratum, one behind another; all rows are one without strata.
    """
    bounds = [0, *np.cumsum(sizes).tolist()]
    counts = np.zeros((last - first, bounds[-1]), dtype=np.int32)
    for i, draw in enumerate(counts):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(first + i,)))
        for low, high in pairwise(bounds):
            if high > low:
                # 32 bits are drawn faster, and no split has 2 ** 31 rows.
                rows = rng.integers(0, high - low, size=high - low, dtype=np.int32)
                draw[low:high] = np.bincount(rows, minlength=high - low)
    return counts


def interval(values: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the finite ``values``; NaN, NaN where most are not.

    What exists in few draws has an interval that says little of the sample.
    """
    finite = values[np.isfinite(values)]
    if not len(finite) or 2 * len(finite) < len(values):
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    lower, upper = np.quantile(finite, [tail, 1 - tail])
    return float(lower), float(upper)


def _threads(given: int | None, work: int) -> int:
    if given is not None:
        return max(1, given)
    if work < _WORTH_A_THREAD:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return min(_MOST_THREADS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def _in_threads(
    measure: Callable[[int], dict[str, FloatArray]], firsts: range, threads: int
) -> Iterator[dict[str, FloatArray]]:
    if threads == 1 or len(firsts) == 1:
        yield from map(measure, firsts)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(measure, firsts)
