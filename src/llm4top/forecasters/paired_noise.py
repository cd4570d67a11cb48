"""The noise of the difference between two forecasts of one forecaster: a paired interval.

Both forecasts are by the same model and calibration, so within a phase most of the error of one is
the error of the other, and the interval of a difference is far narrower than two intervals side by
side. Between phases it is not. What is drawn, in log-odds:

- the calibration: its parameters from their covariance (Platt), or isotonic regressions on labels
  that are drawn anew at its stored scores (Venn-Abers); see each ``sampled``. A draw holds for
  both forecasts.
- the support: the base rates that it draws towards, from their binomial error, one draw a phase;
  and how far the rates of groups of trials lie from their forecasts, of which it has learnt the
  variance. Two forecasts of one phase share that deviation, those of two phases do not. So it was
  measured on 814 later trials of TOP's training and validation files, for the embedded model: the
  covariance of two trials' deviations, in log-odds, was .08 (standard error .02, as if pairs were
  independent) in one phase, as large for forecasts that are 2 log-odds apart as for equal ones,
  and -.04 (.01) in two. What one variant deviates more, because it lacks a field, is its own.

Its limits: it is the noise of what follows the model's score, for this model. How the score itself
would differ, had the model learnt from other trials, is not in it; nor is whether a trial that was
changed so would fare as the trials do that were so from the start. Its coverage is not measured:
no trial was run in two variants. The measured covariances scatter by distance (-.08 to .16), so a
slow decay within a phase is not excluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from llm4top.forecasters.base_rates import BaseRate
from llm4top.forecasters.calibration.calibrated import (
    INTERVAL_LEVEL,
    Calibrator,
    FloatArray,
    softmax,
)
from llm4top.forecasters.calibration.sampled import sampled_probabilities
from llm4top.forecasters.log_odds import expit, logit
from llm4top.forecasters.support import LEAST, Pull, Support
from llm4top.registry.trial import Trial

DRAWS = 2000
_SEED = 0


class NoiseSource(Protocol):
    """What the noise is asked of: a ``Forecaster``, or anything of its shape."""

    @property
    def calibration(self) -> Calibrator:
        """Turns its logits into probabilities."""
        ...

    @property
    def support(self) -> Support | None:
        """What follows the calibration."""
        ...

    @property
    def base_rates(self) -> Mapping[str, BaseRate]:
        """Those that the support draws towards."""
        ...


def drawn_probabilities(
    source: NoiseSource,
    logits: FloatArray,
    trials: Sequence[Trial],
    *,
    draws: int = DRAWS,
    seed: int = _SEED,
) -> FloatArray | None:
    """Joint draws of the probabilities of some trials: ``[draws, n, K]``.

    Args:
        source: The forecaster.
        logits: Its log-odds of the trials before calibration, ``[n, K]``.
        trials: The trials, in the same order.
        draws: How many.
        seed: Of the random numbers.

    Returns:
        The draws; entry ``[d]`` is one state of the noise for all trials. None where the
        calibration has not stored what can be drawn from.
    """
    rng = np.random.default_rng(seed)
    phases = [trial.phase for trial in trials]
    drawn = sampled_probabilities(source.calibration, logits, phases, draws, rng)
    if drawn is None or source.support is None:
        return drawn
    pull = source.support.pull(trials, source.base_rates)
    if pull is None:
        return drawn
    if drawn.shape[2] > 2:
        point = source.calibration.predict(logits, phases).probabilities
        return _of_several(drawn, point, pull, source.support, phases, rng)
    own = _log_odds(drawn[:, :, 1])
    point = _log_odds(source.calibration.predict(logits, phases).probabilities[:, 1])
    of_phase = {name: rng.standard_normal(draws) for name in sorted(set(pull.names))}
    rates = np.sqrt(pull.of_base) * np.stack([of_phase[name] for name in pull.names], axis=1)
    noise = pull.shares * (own - point) + (1 - pull.shares) * rates
    centre = pull.shares * point + (1 - pull.shares) * _log_odds(pull.base)
    noise += _deviations(pull.extra, source.support.spread.known, phases, draws, rng)
    event = expit(centre + source.support.spread.scale * noise)
    return np.stack([1 - event, event], axis=2)


def _of_several(
    drawn: FloatArray,
    point: FloatArray,
    pull: Pull,
    support: Support,
    phases: Sequence[str | None],
    rng: np.random.Generator,
) -> FloatArray:
    """As for two answers, with noise in each answer's logit: ``[draws, n, K]``.

    The logits' noise is independent from answer to answer, each with half of the variance that
    the log-odds of two answers have.
    """
    draws, _, answers = drawn.shape
    share, rates = pull.shares[:, None], np.clip(pull.rates, LEAST, 1 - LEAST)
    centre = share * np.log(np.clip(point, LEAST, 1)) + (1 - share) * np.log(rates)
    noise = share * (np.log(np.clip(drawn, LEAST, 1)) - np.log(np.clip(point, LEAST, 1)))
    of_base = np.sqrt((1 - rates) / (rates * pull.sizes[:, None]))
    for k in range(answers):
        of_phase = {name: rng.standard_normal(draws) for name in sorted(set(pull.names))}
        shared = np.stack([of_phase[name] for name in pull.names], axis=1)
        noise[:, :, k] += (1 - pull.shares) * of_base[:, k] * shared
        known = support.spread.known / 2
        noise[:, :, k] += _deviations(pull.extra / 2, known, phases, draws, rng)
    moved = centre + support.spread.scale * noise
    return softmax(moved.reshape(-1, answers)).reshape(drawn.shape)


def _log_odds(chance: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(chance, LEAST, 1 - LEAST)), dtype=np.float64)


def _deviations(
    extra: FloatArray,
    known: float,
    phases: Sequence[str | None],
    draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Deviations ``[draws, n]`` of variance ``extra [n]``, of which ``known`` is the phase's."""
    of_phase = {phase: rng.standard_normal(draws) for phase in dict.fromkeys(phases)}
    shared = np.sqrt(known) * np.stack([of_phase[phase] for phase in phases], axis=1)
    # Steps of a random walk: trials share the variance of the one that has less.
    rest = np.clip(extra - known, 0, None)
    steps, place = np.unique(rest, return_inverse=True)
    walk = np.sqrt(np.diff(steps, prepend=0.0)) * rng.standard_normal((draws, len(steps)))
    return np.asarray(shared + np.cumsum(walk, axis=1)[:, place])


def difference_bounds(
    drawn: FloatArray, differences: FloatArray, label: int
) -> tuple[FloatArray, FloatArray]:
    """Bounds of the 95 % intervals of differences to the first trial.

    Args:
        drawn: ``[draws, n, K]``.
        differences: What the forecasts say: probabilities of ``label`` less that of the first
            trial, ``[n - 1]``.
        label: Index of the label.

    Returns:
        Lower and upper bounds ``[n - 1]``; they hold the differences.
    """
    tail = (1 - INTERVAL_LEVEL) / 2
    apart = drawn[:, 1:, label] - drawn[:, :1, label]
    lower, upper = np.quantile(apart, [tail, 1 - tail], axis=0)
    return np.minimum(lower, differences), np.maximum(upper, differences)
