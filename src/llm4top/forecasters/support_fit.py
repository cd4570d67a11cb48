"""Learning the support: how much a forecast is worth when fields are missing.

Copies of the learning rows with fields emptied are forecast by models that have not seen the rows
(``cross_fit`` with ``also``), and calibrated by calibrations that have not either. The costs of
what is missing maximise the likelihood of the labels, less a small penalty; then the spread does
that of the rates of groups of copies around the forecasts of the groups, and its scale makes the
intervals of large groups hold 95 % of their rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit, logsumexp

from llm4top.errors import CalibrationError
from llm4top.forecasters.base_rates import BaseRate, base_rate_of
from llm4top.forecasters.calibration.calibrated import (
    INTERVAL_LEVEL,
    Calibrated,
    FloatArray,
    IntArray,
    Phases,
)
from llm4top.forecasters.calibration.methods import DEFAULT_CALIBRATION, make_calibrator
from llm4top.forecasters.cross_fit import LearningRows
from llm4top.forecasters.support import LEAST, QUANTILE, Spread, Support
from llm4top.forecasters.support_facts import Learned
from llm4top.registry.trial import Trial

FULL = "full"
"""The name of the copies that lack nothing."""
LEAST_GROUP = 15
"""Groups with fewer copies tell too little of their rate."""
PERIODS = 4
LARGE_GROUP = 40
"""Coverage is judged by groups of as many copies or more."""
_SCORE_GROUPS = 3
_MOST_SCALE = 3.0
_PENALTY = 1.0  # half a squared cost weighs as much as one unit of log-likelihood
_MOST_COST = 6.0
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_NO_VARIANCE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Copies of rows with honest calibrated forecasts; entry i of each field is about one copy.

    ``patterns`` say what a copy lacks, ``phases`` and ``starts`` are those of the row that it is a
    copy of, ``base_rates`` those of the rows that its forecaster has learnt from.
    """

    trials: Sequence[Trial]
    labels: IntArray
    calibrated: Calibrated
    base_rates: Mapping[str, BaseRate]
    patterns: Sequence[str]
    phases: Phases
    starts: Sequence[str | None]

    @classmethod
    def of(
        cls,
        rows: LearningRows,
        copies: Mapping[str, Sequence[Trial]],
        calibrated: Mapping[str, Calibrated],
        base_rates: Mapping[str, BaseRate],
        starts: Sequence[str | None] | None = None,
    ) -> Self:
        """From the copies and forecasts ``[n]`` of ``rows`` by pattern."""
        n, times = len(rows), len(calibrated)
        return cls(
            trials=[trial for name in calibrated for trial in copies[name]],
            labels=np.tile(rows.labels, times),
            calibrated=_joined(list(calibrated.values())),
            base_rates=base_rates,
            patterns=[name for name in calibrated for _ in range(n)],
            phases=list(rows.phases) * times,
            starts=list(starts or [None] * n) * times,
        )

    def of_pattern(self, name: str) -> Self:
        """The copies of one pattern."""
        kept = [i for i, pattern in enumerate(self.patterns) if pattern == name]
        rows = np.array(kept, dtype=np.int64)
        return replace(
            self,
            trials=[self.trials[i] for i in kept],
            labels=self.labels[rows],
            calibrated=_joined([self.calibrated], rows),
            patterns=[self.patterns[i] for i in kept],
            phases=[self.phases[i] for i in kept],
            starts=[self.starts[i] for i in kept],
        )


def learn_support(
    rows: LearningRows,
    logits: Mapping[str, FloatArray],
    copies: Mapping[str, Sequence[Trial]],
    folds: IntArray,
    base_rates: Mapping[str, BaseRate],
    *,
    sections: Sequence[str] | None,
    starts: Sequence[str | None] | None = None,
    later: Sequence[Judged] = (),
    calibration: str = DEFAULT_CALIBRATION,
) -> Support:
    """Learn the support of a forecaster from out-of-fold forecasts of masked copies.

    Args:
        rows: The learning rows, ``n`` of them.
        logits: Out-of-fold logits ``[n, K]`` of each kind of copy, before calibration, by its name;
            "full" are those of the rows themselves.
        copies: The copies ``[n]`` of each name, row for row.
        folds: The fold in which each row was forecast: ``[n]``.
        base_rates: The base rates that forecasts will be drawn to.
        sections: The sections that the forecaster reads; None for all.
        starts: Start dates of the rows (ISO, None where unknown). They are never an input: they
            tell periods apart, and the years that were learnt from.
        later: Copies of later trials, forecast by forecasters and calibrations of earlier ones.
            Where there are any, the spread is learnt from them and holds the drift of the years;
            else it is learnt from the out-of-fold copies.
        calibration: Name of the calibration.

    Returns:
        The support, to be given to the bundle together with a calibration on ``logits["full"]``.

    Raises:
        CalibrationError: There are no base rates, or the rows are too few.
    """
    learned = Learned.of(rows.trials, sections=sections, starts=starts)
    phases = {name: [trial.phase for trial in copies[name]] for name in logits}
    calibrated = calibrate_copies(logits, rows.labels, phases, folds, calibration=calibration)
    own = Judged.of(rows, copies, calibrated, base_rates, starts)
    none = Spread(known=0, unknown=0, no_phase=0)
    bare = Support(learned=learned, costs=_costs(learned, own), spread=none, n=len(own.trials))
    return bare.model_copy(update={"spread": fit_spread(bare, later or [own])})


def calibrate_copies(
    logits: Mapping[str, FloatArray],
    labels: IntArray,
    phases: Mapping[str, Phases],
    folds: IntArray,
    *,
    calibration: str = DEFAULT_CALIBRATION,
) -> dict[str, Calibrated]:
    """Each kind of copy calibrated on the full rows of the other folds.

    Arguments as for ``learn_support``; ``phases`` are the copies' own.
    """
    parts: dict[str, list[Calibrated]] = {name: [] for name in logits}
    order = np.argsort(np.concatenate([np.flatnonzero(folds == k) for k in np.unique(folds)]))
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        calibrator = make_calibrator(calibration).fit(
            logits[FULL][outside], labels[outside], [phases[FULL][int(i)] for i in outside]
        )
        for name, values in logits.items():
            own = [phases[name][int(i)] for i in inside]
            parts[name].append(calibrator.predict(values[inside], own))
    return {name: _joined(found, order) for name, found in parts.items()}


def group_cells(judged: Judged, *, by_period: bool = True) -> list[tuple[Any, ...]]:
    """Cells of copies: what is missing, the original's phase, the period of its start."""
    if not by_period:
        return list(zip(judged.patterns, judged.phases, strict=True))
    years = np.array([int(start[:4]) if start else -1 for start in judged.starts])
    dated = years[years >= 0]
    cuts = np.quantile(dated, np.arange(1, PERIODS) / PERIODS) if dated.size else []
    periods = np.where(years < 0, -1, np.searchsorted(cuts, years, side="right"))
    return list(zip(judged.patterns, judged.phases, periods.tolist(), strict=True))


def score_groups(
    cells: Sequence[Any], chances: FloatArray, *, of: int = _SCORE_GROUPS, least: int = LEAST_GROUP
) -> list[IntArray]:
    """The rows of each cell, parted by their chance into at most ``of`` groups of ``least``."""
    rows: dict[Any, list[int]] = {}
    for row, cell in enumerate(cells):
        rows.setdefault(cell, []).append(row)
    found: list[IntArray] = []
    for held in rows.values():
        ranked = np.array(sorted(held, key=lambda row: chances[row]), dtype=np.int64)
        if len(ranked) >= least:
            found += np.array_split(ranked, max(1, min(of, len(ranked) // least)))
    return found


def _costs(learned: Learned, judged: Judged) -> dict[str, float]:
    """Penalised maximum likelihood; copies without a word have nothing to tell."""
    names = [*learned.fields, "thin"]
    found = [learned.facts(trial) for trial in judged.trials]
    kept = np.array([facts.words > 0 for facts in found])
    table = np.array([[float(n in f.missing) for n in learned.fields] + [f.thin] for f in found])
    table, labels = table[kept], judged.labels[kept]
    base = [_rates_of(judged.base_rates, trial.phase) for trial in judged.trials]
    own, rate = (
        np.log(np.clip(values, LEAST, 1 - LEAST))
        for values in (judged.calibrated.probabilities[kept], np.array(base)[kept])
    )
    rows = np.arange(len(labels))

    def loss(costs: FloatArray) -> tuple[float, FloatArray]:
        share = np.exp(-table @ costs)
        logits = share[:, None] * own + (1 - share[:, None]) * rate
        logits -= logsumexp(logits, axis=1, keepdims=True)
        gain = (own - rate)[rows, labels] - (np.exp(logits) * (own - rate)).sum(axis=1)
        value = -logits[rows, labels].sum() + _PENALTY / 2 * (costs**2).sum()
        return float(value), (gain * share) @ table + _PENALTY * costs

    bounds = [(0.0, _MOST_COST)] * len(names)
    fitted = minimize(loss, np.full(len(names), 0.1), jac=True, bounds=bounds, method="L-BFGS-B")
    return {name: round(float(c), 6) for name, c in zip(names, fitted.x, strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of copies: ``n`` of each, its events, and means of its forecasts and facts.

    An event is that the answer that a forecast's interval is about was right.

    ``own`` are the variances that the forecasts' intervals stand for before the spread is added;
    ``design`` has a column for each variance of the spread.
    """

    n: FloatArray
    events: FloatArray
    centre: FloatArray
    own: FloatArray
    design: FloatArray

    @classmethod
    def of(cls, bare: Support, judged: Sequence[Judged], *, by_period: bool, least: int) -> Self:
        """Groups of ``least`` copies or more of each ``group_cells``, by their chances."""
        rows: list[tuple[float, ...]] = []
        for one in judged:
            drawn = bare.apply(one.calibrated, one.trials, one.base_rates)
            reported = drawn.calibrated.reported
            chance = drawn.calibrated.probabilities[np.arange(len(reported)), reported]
            ends = _logit(drawn.calibrated.upper) - _logit(drawn.calibrated.lower)
            own = np.nan_to_num((ends / (2 * QUANTILE)) ** 2)
            no_phase = np.array([trial.phase is None for trial in one.trials])
            columns = np.column_stack([_logit(chance), own, 1 - drawn.shares, no_phase])
            rows += [
                (float(len(g)), float((one.labels == reported)[g].sum()), *columns[g].mean(axis=0))
                for g in score_groups(group_cells(one, by_period=by_period), chance, least=least)
            ]
        n, events, centre, own, unknown, no_phase = np.array(rows).reshape(-1, 6).T
        return cls(n, events, centre, own, np.column_stack([np.ones(len(n)), unknown, no_phase]))

    def loss(self, variances: FloatArray) -> float:
        """Less the log-likelihood of the events, the rates' deviations being normal."""
        score = self.centre[:, None] + np.sqrt(self.own + self.design @ variances)[:, None] * _NODES
        likelihood = self.events[:, None] * log_expit(score)
        likelihood += (self.n - self.events)[:, None] * log_expit(-score)
        return -float(logsumexp(likelihood, axis=1, b=_WEIGHTS / _WEIGHTS.sum()).sum())

    def held(self, variances: FloatArray, scale: float) -> NDArray[np.bool_]:
        """Whether each group's rate lies in the interval, chance in the rate allowed for."""
        chance = expit(self.centre)
        by_chance = 1 / (self.n * chance * (1 - chance))
        rate = np.clip(self.events / self.n, 0.5 / self.n, 1 - 0.5 / self.n)
        deviation = scale**2 * (self.own + self.design @ variances) + by_chance
        return np.asarray(np.abs(_logit(rate) - self.centre) <= QUANTILE * np.sqrt(deviation))


def fit_spread(bare: Support, judged: Sequence[Judged]) -> Spread:
    """Variances by maximum likelihood, and the scale that makes the intervals cover."""
    groups = Groups.of(bare, judged, by_period=True, least=LEAST_GROUP)
    if not len(groups.n):
        return bare.spread
    fitted = minimize(
        lambda logs: groups.loss(np.exp(logs)), np.log([0.02, 0.05, 0.05]), method="Nelder-Mead"
    )
    values = np.array([round(float(v), 6) if v > _NO_VARIANCE else 0.0 for v in np.exp(fitted.x)])
    large = Groups.of(bare, judged, by_period=False, least=LARGE_GROUP)
    scales = np.linspace(1, _MOST_SCALE, 81)
    enough = [
        scale
        for scale in scales
        if not len(large.n) or large.held(values, scale).mean() >= INTERVAL_LEVEL
    ]
    known, unknown, no_phase = values.tolist()
    scale = round(float(enough[0] if enough else _MOST_SCALE), 6)
    return Spread(known=known, unknown=unknown, no_phase=no_phase, scale=scale)


def _logit(chance: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(chance, LEAST, 1 - LEAST)), dtype=np.float64)


def _rates_of(rates: Mapping[str, BaseRate], phase: str | None) -> Sequence[float]:
    found = base_rate_of(rates, phase)
    if found is None:
        raise CalibrationError(
            "the support draws forecasts to base rates, and there are none.",
            hint="Measure them with measure_base_rates.",
        )
    return found[1]


def _joined(parts: Sequence[Calibrated], order: IntArray | None = None) -> Calibrated:
    """Calibrated rows one after the other; ``order`` puts them in another order."""
    fields = ("probabilities", "lower", "upper")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in fields]
    return Calibrated(*(column if order is None else column[order] for column in columns))
