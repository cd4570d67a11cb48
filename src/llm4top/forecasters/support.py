"""How far a forecaster knows trials like one: its support, which follows the calibration.

With ``p`` the calibrated probabilities of the answers and ``b`` the base rates of the trial's
phase (of all phases where it states none), the forecast is ``w log(p) + (1 - w) log(b)`` in logits;
of two answers, ``w logit(p) + (1 - w) logit(b)`` in log-odds. The support ``w`` is a product of
shares, each of them 1 for a trial that is like the learning rows:

- what is learnt: ``exp(-c f)`` for each field that the record lacks (``f`` = 1) and for how thin
  its text is (``f`` up to 1), fitted on copies of the learning rows with fields emptied, as they
  are forecast out of fold (``support_fit``). ``c`` is never below 0, so that nothing that is
  missing raises the support. Without any word the support is 0, whatever was learnt.
- what is stated, because the learning rows cannot show it: ``KIND_SHARES`` and ``known_share``.

The interval is of the event of two answers, else of the most probable answer. Its variance in
log-odds is the calibration's, times ``w`` squared, and the base rate's, times ``(1 - w)`` squared,
and the variance between groups of trials around their forecasts: learnt on the same copies, and for
what is stated ``KIND_DEVIATION``, ``MISSING_DEVIATION`` and ``DRIFT``.
Last, the deviation is multiplied by the scale with which such intervals held 95 % of the rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Annotated, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from llm4top.forecasters.base_rates import ALL_PHASES, BaseRate, base_rate_of
from llm4top.forecasters.calibration.calibrated import (
    Calibrated,
    Calibrator,
    FloatArray,
    reported_labels,
    softmax,
)
from llm4top.forecasters.log_odds import expit, logit
from llm4top.forecasters.support_facts import Facts, Learned, named
from llm4top.registry.trial import Trial
from llm4top.schema import Strict
from llm4top.text import counted, percent

KIND_SHARES = {"study type": 0.0, "no medicine": 0.5, "healthy volunteers": 0.75, "long": 0.75}
"""Stated, not learnt: the support of trials of kinds that the learning rows lack."""
LEAST_SUPPORT = 0.2
"""Below it, by what is stated, there is no forecast."""
LEAST_LETTERS = 100
"""A shorter text is not enough to say that its language is unknown."""
KIND_DEVIATION = 0.5
"""Stated: standard deviation, in log-odds, of the rate of a kind of trial that is not known."""
MISSING_DEVIATION = 0.3
"""Stated: that of the rate of trials that lack one more field than those learnt from."""
DRIFT = 0.15
"""Stated: that of a year's change of the rate, outside the years of the learning rows."""
TEXT_TOO_LONG = 2
"""A text is long from so many times ``Learned.many_words`` on."""

LEAST = 1e-3
"""Probabilities nearer to 0 or 1 count as this near."""
QUANTILE = 1.959963984540054
NonNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True, eq=False)
class Supported:
    """Forecasts of ``n`` trials after their support.

    Attributes:
        calibrated: Probabilities and intervals.
        shares: The support ``w`` of each trial, ``[n]``.
        notes: A sentence for each trial that says why its forecast is not the calibrated one
            alone; None where it is.
    """

    calibrated: Calibrated
    shares: FloatArray
    notes: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pull:
    """How far ``n`` forecasts are drawn and where to.

    Attributes:
        facts: Those of each trial.
        names: The phase of each base rate, or "all".
        shares: The support ``w``, ``[n]``.
        rates: The base rates of all answers, ``[n, K]``.
        sizes: The trials that each was measured among, ``[n]``.
        extra: Variance, in log-odds, between groups of such trials, ``[n]``.
    """

    facts: Sequence[Facts]
    names: Sequence[str]
    shares: FloatArray
    rates: FloatArray
    sizes: FloatArray
    extra: FloatArray

    @property
    def base(self) -> FloatArray:
        """The base rates of the second answer, ``[n]``: the event's, of two answers."""
        return self.rates[:, 1]

    @property
    def of_base(self) -> FloatArray:
        """Variance of the log-odds of ``base``, ``[n]``: see ``variance_of``."""
        return self.variance_of(self.base)

    def variance_of(self, rates: FloatArray) -> FloatArray:
        """Variance of the log-odds of a base rate of each trial, ``[n]``: binomial."""
        return np.asarray(1 / (self.sizes * rates * (1 - rates)).clip(min=LEAST))


class Spread(Strict):
    """Variances, in log-odds, of the rates of groups of trials around their forecasts.

    ``known`` is that of trials like the learning rows, ``unknown`` is added in the measure of
    ``1 - w``, and ``no_phase`` where the phase is not stated. ``scale`` multiplies the deviation
    of all that an interval stands for, so that intervals hold 95 % of the groups' rates.
    """

    known: NonNegative
    unknown: NonNegative
    no_phase: NonNegative
    scale: Annotated[float, Field(ge=1)] = 1.0


class Support(Strict):
    """The support stage of a bundle, as ``support.json`` stores it.

    ``costs`` are ``c`` by what the record lacks (names in ``LACKS``, and "thin"); ``n`` copies of
    learning rows were learnt from.
    """

    learned: Learned
    costs: dict[str, NonNegative]
    spread: Spread
    n: Annotated[int, Field(gt=0)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if set(self.costs) != {*self.learned.fields, "thin"}:
            raise ValueError("costs: need one for each field that was learnt from, and for 'thin'")
        return self

    def share(self, facts: Facts) -> float:
        """The support ``w`` of a trial, 0 to 1."""
        return self.learnt_share(facts) * self.stated_share(facts)

    def learnt_share(self, facts: Facts) -> float:
        """The part of the support that is learnt from masked copies."""
        if not facts.words:
            return 0.0
        cost = sum(self.costs[name] for name in facts.missing)
        return exp(-cost - self.costs["thin"] * facts.thin)

    def stated_share(self, facts: Facts) -> float:
        """The part of the support that is stated."""
        share = self.known_share(facts)
        for kind in self._kinds(facts):
            share *= KIND_SHARES[kind]
        return share

    def known_share(self, facts: Facts) -> float:
        """1 where as many words are known as in the learning rows, 0 where half as many are."""
        usual = self.learned.known
        return min(1.0, max(0.0, 2 * facts.known / usual - 1))

    def refusal(self, trial: Trial) -> str | None:
        """Why a trial gets no forecast at all, in one sentence; None where it gets one.

        An empty or a thin record is not refused: its forecast is the base rate, or close to it.
        """
        facts = self.learned.facts(trial)
        known = self.known_share(facts) if facts.letters >= LEAST_LETTERS else 1.0
        if known < LEAST_SUPPORT:
            return (
                f"the model knows {percent(facts.known)} of this record's words: it may be in a "
                f"language that the model has not learnt, so there is no forecast."
            )
        kinds = self._kinds(facts)
        if not kinds or np.prod([KIND_SHARES[kind] for kind in kinds]) * known >= LEAST_SUPPORT:
            return None
        return f"{_sentence(self._whys(facts))}, so there is no forecast."

    def apply(
        self,
        calibrated: Calibrated,
        trials: Sequence[Trial],
        base_rates: Mapping[str, BaseRate],
        *,
        facts: Sequence[Facts] | None = None,
    ) -> Supported:
        """Draw calibrated forecasts towards the base rates, and widen their intervals.

        Args:
            calibrated: Of the ``trials``, ``[n, K]``.
            trials: The trials, in the same order.
            base_rates: Those of the learning rows. Without any nothing is changed.
            facts: What the trials give to go by, where that is not to be read from them.
        """
        pull = self.pull(trials, base_rates, facts)
        if pull is None:
            return Supported(calibrated, np.ones(len(trials)), (None,) * len(trials))
        base = pull.base.tolist() if pull.rates.shape[1] == 2 else [None] * len(trials)
        notes = map(self._note, pull.facts, pull.shares, base, pull.names)
        return Supported(_drawn(calibrated, pull, self.spread.scale), pull.shares, tuple(notes))

    def pull(
        self,
        trials: Sequence[Trial],
        base_rates: Mapping[str, BaseRate],
        facts: Sequence[Facts] | None = None,
    ) -> Pull | None:
        """How far and where trials are drawn; None without trials or a base rate for each."""
        bases = [base_rate_of(base_rates, trial.phase) for trial in trials]
        if not trials or None in bases:
            return None
        facts = facts or [self.learned.facts(trial) for trial in trials]
        shares = np.array([self.share(one) for one in facts], dtype=np.float64)
        names, rates = zip(*(b for b in bases if b is not None), strict=True)
        sizes = np.array([base_rates[name].n for name in names])
        extra = np.array([self._extra(one, w) for one, w in zip(facts, shares, strict=True)])
        return Pull(facts, names, shares, np.array(rates), sizes, extra)

    def _extra(self, facts: Facts, share: float) -> float:
        """Variance between groups of such trials."""
        spread, stated = self.spread, 1 - self.stated_share(facts)
        learnt = spread.known + (1 - share) * spread.unknown
        learnt += spread.no_phase if "phase" in facts.missing else 0.0
        lacks = len(facts.missing) * MISSING_DEVIATION**2
        return learnt + lacks + stated * KIND_DEVIATION**2 + facts.years * DRIFT**2

    def _kinds(self, facts: Facts) -> list[str]:
        """The names in ``KIND_SHARES`` that apply."""
        long = facts.words > TEXT_TOO_LONG * self.learned.many_words
        found = {
            "study type": facts.study_type is not None,
            "no medicine": not facts.medicine,
            "healthy volunteers": facts.healthy,
            "long": long,
        }
        return [name for name, applies in found.items() if applies]

    def _whys(self, facts: Facts) -> list[str]:
        """What is not as in the learning rows, as clauses."""
        whys = []
        if not facts.words:
            whys.append("the record has nothing that the model reads" + _but_phase(facts))
        elif facts.missing:
            whys.append(f"the record has {named(facts.missing)}")
        elif facts.thin > 0:
            whys.append(f"the record has only {facts.words} words that the model reads")
        if self.known_share(facts) < 1:
            whys.append(f"the model knows only {percent(facts.known)} of its words")
        clauses = {
            "study type": f"the model has learnt from no {(facts.study_type or '').lower()} study",
            "no medicine": "the model has learnt from trials of medicines, and this is none",
            "healthy volunteers": "it takes healthy volunteers, and the model has learnt from "
            "patients",
            "long": "its text is far longer than those that the model has learnt from",
        }
        return whys + [clauses[kind] for kind in self._kinds(facts)]

    def _note(self, facts: Facts, share: float, base: float | None, phase: str) -> str | None:
        whys = self._whys(facts)
        rate = "all phases" if phase == ALL_PHASES else phase
        if base is not None:
            rate = f"{percent(base)}, {rate}"
        if facts.years:
            whys.append(f"it starts {counted(facts.years, 'year')} outside those learnt from")
        if not whys:
            return None
        if share <= 0:
            drawn = f"the forecast is the base rate ({rate})"
        elif share < 0.995:
            part = percent(1 - share)
            drawn = f"the forecast is drawn {part} of the way to the base rate ({rate})"
        else:
            return f"{_sentence(whys)}: the interval is wider."
        return f"{_sentence(whys)}: {drawn}, and the interval is wider."


class _Source(Protocol):
    @property
    def calibration(self) -> Calibrator: ...
    @property
    def support(self) -> Support | None: ...
    @property
    def base_rates(self) -> Mapping[str, BaseRate]: ...


def supported_forecasts(source: _Source, logits: FloatArray, trials: Sequence[Trial]) -> Supported:
    """All that follows the ``logits`` ``[n, K]`` of ``trials``: calibration, then support."""
    calibrated = source.calibration.predict(logits, [trial.phase for trial in trials])
    if source.support is None:
        return Supported(calibrated, np.ones(len(trials)), (None,) * len(trials))
    return source.support.apply(calibrated, trials, source.base_rates)


def _drawn(calibrated: Calibrated, pull: Pull, scale: float) -> Calibrated:
    """See the module."""
    share, extra = pull.shares, pull.extra
    before, rows = calibrated.reported, np.arange(len(share))
    own = logit(np.clip(calibrated.probabilities[rows, before], LEAST, 1 - LEAST))
    drawn = _pooled(calibrated.probabilities, pull.rates, share)
    same = (share >= 1) & (extra == 0) & (scale == 1)
    drawn = np.where(same[:, None], calibrated.probabilities, drawn)
    label = reported_labels(drawn)
    centre = logit(np.clip(drawn[rows, label], LEAST, 1 - LEAST))
    of_base = (1 - share) ** 2 * pull.variance_of(pull.rates[rows, label])
    bounds = []
    for end, sign in ((calibrated.lower, -1), (calibrated.upper, 1)):
        half = np.abs(logit(np.clip(end, LEAST, 1 - LEAST)) - own) / QUANTILE
        deviation = scale * np.sqrt((share * half) ** 2 + of_base + extra)
        bounds.append(np.where(same, end, expit(centre + sign * QUANTILE * deviation)))
    return Calibrated(drawn, *bounds)


def _pooled(p: FloatArray, rates: FloatArray, share: FloatArray) -> FloatArray:
    """The shares' parts of ``p`` ``[n, K]`` and of the base rates ``[n, K]``, in logits."""
    own, rate = (np.clip(values, LEAST, 1 - LEAST) for values in (p, rates))
    if p.shape[1] == 2:
        odds = share * logit(own[:, 1]) + (1 - share) * logit(rate[:, 1])
        return np.column_stack([1 - expit(odds), expit(odds)])
    return softmax(share[:, None] * np.log(own) + (1 - share[:, None]) * np.log(rate))


def _sentence(clauses: Sequence[str]) -> str:
    text = "; ".join(clauses)
    return text[:1].upper() + text[1:]


def _but_phase(facts: Facts) -> str:
    return "" if "phase" in facts.missing else " but the phase"
