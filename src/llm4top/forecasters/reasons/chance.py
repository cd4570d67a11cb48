"""The chance that an explanation is about, as log-odds of any trials, fast for near copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llm4top.forecasters.calibration.calibrated import FloatArray, softmax
from llm4top.forecasters.calibration.pool import log_probabilities
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.log_odds import logit
from llm4top.prompts.prompt import Prompt
from llm4top.registry.trial import Trial

LEAST = 1e-6
"""Chances nearer to 0 or 1 count as this near, so that log-odds are finite."""


@dataclass(frozen=True, slots=True)
class Event:
    """What the explained chance is of: the labels at ``positions``, which ``name`` describes."""

    name: str
    positions: tuple[int, ...]

    @classmethod
    def of(cls, forecaster: Forecaster, probabilities: FloatArray) -> Event:
        """The event of a forecast with ``probabilities`` ``[K]``.

        The second of two labels; the most probable of several; for ordered labels, all beyond the
        median one.
        """
        labels = forecaster.task.labels
        if forecaster.task.kind == "ordinal":
            median = int(np.searchsorted(np.cumsum(probabilities), 0.5))
            median = min(median, len(labels) - 2)
            return cls(f"more than {labels[median]}", tuple(range(median + 1, len(labels))))
        best = 1 if len(labels) == 2 else int(probabilities.argmax())
        return cls(labels[best], (best,))

    def chance(self, probabilities: FloatArray) -> FloatArray:
        """Chances ``[n]`` of the event from those of all labels ``[n, K]``."""
        return np.asarray(probabilities[:, list(self.positions)].sum(axis=1))


def log_odds(chance: FloatArray | float) -> FloatArray:
    """Log-odds of chances, finite."""
    return np.asarray(logit(np.clip(chance, LEAST, 1 - LEAST)))


def event_log_odds(forecaster: Forecaster, event: Event, trials: Sequence[Trial]) -> FloatArray:
    """Calibrated log-odds ``[n]`` of the event, before support and any shift of the base rate."""
    logits = copies_logits(forecaster, trials)
    phases = [trial.phase for trial in trials]
    return log_odds(event.chance(forecaster.calibration.predict(logits, phases).probabilities))


def copies_logits(forecaster: Forecaster, trials: Sequence[Trial]) -> FloatArray:
    """``Forecaster.logits`` of copies of a trial: a language model reads equal prompts once."""
    if forecaster.kind == "baseline" or not trials:
        return forecaster.logits(trials)
    if forecaster.kind == "language":
        return _read_once(forecaster, trials)
    blend: Any = forecaster.forecaster
    parts = [
        _read_once(part, trials)
        if part.kind == "language"
        else log_probabilities(softmax(part.logits(trials)), floor=blend.floor)
        for part in blend.parts
    ]
    found: FloatArray = blend.pool.logits(parts)
    return found


def _read_once(forecaster: Forecaster, trials: Sequence[Trial]) -> FloatArray:
    prompts = [forecaster.writer.write(trial) for trial in trials]
    first: dict[str, int] = {}
    for position, prompt in enumerate(prompts):
        first.setdefault(prompt.text, position)
    rows = list(first.values())
    read: list[Prompt] = [prompts[row] for row in rows]
    logits = forecaster.logits([trials[row] for row in rows], prompts=read)
    place = {text: n for n, text in enumerate(first)}
    return np.asarray(logits[[place[prompt.text] for prompt in prompts]])
