"""Which validation trials the evaluations during a training look at, so that they stay cheap."""

import math
import random
from collections import defaultdict
from collections.abc import Sequence

from llm4top.training.config import TrainingConfig
from llm4top.training.selection.candidates import whole_steps

SHARE_OF_TIME = 0.1
"""What all evaluations of a training together may take of its time."""

_FEWEST = 32
"""Fewer trials are never looked at (where there are as many): they would decide by chance."""


def evaluation_count(config: TrainingConfig, train_trials: int) -> int:
    """How many evaluations a training without early stopping makes."""
    per_epoch = math.ceil(train_trials / (config.batch_size * config.accumulation))
    steps = whole_steps(config, train_trials)
    every = max(per_epoch // config.evals_per_epoch, 1)
    return steps // every + (steps % every > 0)


def evaluation_size(config: TrainingConfig, train_trials: int, valid_trials: int) -> int:
    """How many validation trials each evaluation looks at.

    With ``eval_trials: auto`` the count follows from the counts alone, never from a clock, so that
    a run can be repeated and resumed. A training trial costs its forward pass once, the way back
    once (twice where every weight has a gradient), and another forward pass where activations are
    recomputed; a validation trial costs one forward pass.
    """
    if config.eval_trials == "all":
        return valid_trials
    if config.eval_trials != "auto":
        return min(config.eval_trials, valid_trials)
    trained = whole_steps(config, train_trials) * config.batch_size * config.accumulation
    passes = (3 if config.tuning == "full" else 2) + config.gradient_checkpointing
    affordable = SHARE_OF_TIME * passes * trained / evaluation_count(config, train_trials)
    return min(max(int(affordable), _FEWEST), valid_trials)


def evaluation_rows(labels: Sequence[int], size: int, seed: int) -> list[int]:
    """``size`` row numbers in order, drawn by ``seed``; labels keep their shares.

    Every label that is there is among them, where ``size`` allows it.
    """
    if size >= len(labels):
        return list(range(len(labels)))
    by_label: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        by_label[label].append(row)
    chance = random.Random(seed)
    queue: list[tuple[float, int]] = []
    for _, rows in sorted(by_label.items()):
        chance.shuffle(rows)
        # A row comes when its label's share of all rows has been taken; each label's first at once.
        shares = (0.0, *((place + 0.5) / len(rows) for place in range(1, len(rows))))
        queue += zip(shares, rows, strict=True)
    return sorted(row for _, row in sorted(queue)[:size])
