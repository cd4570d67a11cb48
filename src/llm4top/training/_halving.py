"""Successive halving: many candidates for a few steps, the best of them for more.

(Jamieson & Talwalkar, Non-stochastic best arm identification and hyperparameter optimization,
2016, arXiv:1502.07943.) Each rung is a fresh run with a schedule of its own: warm-up and decay
stretch over the steps a run has, so the weights after 50 steps of a run of 500 are not those of a
run of 50, and a schedule cut off before its decay says little of where it was going. The survivor
of the last rung has therefore been trained exactly as ``llm4top train`` trains it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm4top.training._config import TrainingConfig


@dataclass(frozen=True, slots=True)
class Rung:
    """``candidates`` are trained for ``share`` of their steps, and ``keep`` of them go on."""

    number: int
    candidates: int
    keep: int
    share: float


def make_rungs(candidates: int, eta: int) -> tuple[Rung, ...]:
    """Rungs that keep one in ``eta`` (rounded up) until one is left, which is trained in full."""
    counts = [candidates]
    while counts[-1] > 1:
        counts.append(math.ceil(counts[-1] / eta))
    last = len(counts) - 1
    return tuple(
        Rung(i + 1, count, counts[i + 1] if i < last else 1, float(eta) ** (i - last))
        for i, count in enumerate(counts)
    )


def whole_steps(config: TrainingConfig, rows: int) -> int:
    """Optimiser steps of a run over ``rows`` training trials in one process, unless it stops early.

    As ``finetune`` counts them.
    """
    steps = math.ceil(math.ceil(rows / (config.batch_size * config.accumulation)) * config.epochs)
    return steps if config.max_steps is None else min(steps, config.max_steps)


def rung_steps(whole: int, share: float, least: int) -> int:
    """Steps of a rung: its share of the whole, at least ``least``, at most the whole."""
    return min(whole, max(least, math.ceil(whole * share)))


def best_of(log_losses: Mapping[str, float], keep: int) -> tuple[list[str], list[str]]:
    """The ``keep`` names of least log-loss and the others, both in that order; ties by position.

    A name without a finite log-loss is never kept.
    """
    order: Sequence[str] = sorted(log_losses, key=lambda name: log_losses[name])
    finite = [name for name in order if math.isfinite(log_losses[name])]
    kept = finite[:keep]
    return kept, [name for name in order if name not in kept]
