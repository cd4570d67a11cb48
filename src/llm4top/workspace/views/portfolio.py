"""Many forecasts looked at together: choosing, sorting, and how many successes to expect."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.views.caveats import is_learnt, is_out_of_scope

NOT_STATED = "not stated"
"""The value of a trial that does not say its phase, area or sponsor's class."""

NODES = 41
"""Quantiles of the calibration's error at which a portfolio is looked at."""

DIRECT = 512
"""Up to so many chances are convolved one by one; more in halves, by the FFT."""


def name_of(item: Forecast) -> str:
    """What a list calls the trial: its title, else its registry number, else its file."""
    return item.title or item.nct_id or item.record


def phase_of(item: Forecast) -> str:
    """The trial's phase, or ``NOT_STATED``."""
    return item.phase or NOT_STATED


def sponsor_of(item: Forecast) -> str:
    """The class of the trial's sponsor, or ``NOT_STATED``."""
    return item.sponsor_class or NOT_STATED


@dataclass(frozen=True, slots=True)
class Filter:
    """Values to keep; an empty set keeps all."""

    phases: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()
    sponsors: frozenset[str] = frozenset()

    def keeps(self, trial: Forecast) -> bool:
        """Whether the trial passes every part of the filter."""
        return (
            (not self.phases or phase_of(trial) in self.phases)
            and (not self.areas or trial.area in self.areas)
            and (not self.sponsors or sponsor_of(trial) in self.sponsors)
        )

    def apply(self, trials: Iterable[Forecast]) -> list[Forecast]:
        """The trials it keeps, in their order."""
        return [trial for trial in trials if self.keeps(trial)]


def facets(trials: Sequence[Forecast]) -> dict[str, dict[str, int]]:
    """For "phases", "areas" and "sponsors": each value met, sorted, and how many trials have it."""
    return {
        "phases": dict(sorted(Counter(phase_of(trial) for trial in trials).items())),
        "areas": dict(sorted(Counter(trial.area for trial in trials).items())),
        "sponsors": dict(sorted(Counter(sponsor_of(trial) for trial in trials).items())),
    }


def _score(forecast: Forecast) -> float:
    return forecast.score if forecast.score is not None else -np.inf


def by_chance(forecast: Forecast) -> tuple[float, float]:
    """What orders forecasts by their chance: the score decides between equal ones."""
    return forecast.probability, _score(forecast)


def above_base(forecast: Forecast) -> tuple[float, float]:
    """What orders forecasts by how far they are above their base rate; those without one last."""
    base, _ = forecast.compared_with
    difference = forecast.probability - base if base is not None else -np.inf
    return difference, _score(forecast)


_KEYS: dict[str, Callable[[Forecast], Any]] = {
    "chance": lambda trial: by_chance(trial),
    "above base": lambda trial: above_base(trial),
    "title": lambda trial: name_of(trial).casefold(),
    "trial": lambda trial: trial.nct_id or trial.record,
    "phase": lambda trial: phase_of(trial),
    "area": lambda trial: trial.area,
    "sponsor": lambda trial: sponsor_of(trial),
    "warnings": lambda trial: len(trial.warnings),
}

SORTS = tuple(_KEYS)
"""What trials can be sorted by."""


def sort_trials(trials: Iterable[Forecast], by: str, *, descending: bool = False) -> list[Forecast]:
    """The trials sorted by one of ``SORTS``; equals keep their order.

    Raises ``ValueError`` for any other name.
    """
    if by not in _KEYS:
        raise ValueError(f"trials are sorted by {', '.join(SORTS)}, not {by!r}.")
    return sorted(trials, key=_KEYS[by], reverse=descending)


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """How many of ``n`` independent trials succeed: ``mass[k]`` is the probability of k, k = 0..n.

    ``lower`` and ``upper`` bound the central 95 %: below ``lower``, and above ``upper``, lies at
    most 2.5 % of the mass each. ``exact_lower`` and ``exact_upper`` would bound them if the
    chances were known exactly.
    """

    mass: NDArray[np.float64]
    expected: float
    deviation: float
    lower: int
    upper: int
    exact_lower: int
    exact_upper: int

    @property
    def n(self) -> int:
        """How many trials there are."""
        return len(self.mass) - 1

    @property
    def mode(self) -> int:
        """The most probable count; of equals the smallest."""
        return int(self.mass.argmax())


def expected_successes(
    chances: Iterable[float], bounds: Sequence[tuple[float | None, float | None]] = ()
) -> Distribution:
    """The distribution of the number of successes among independent trials.

    For known chances it is Poisson-binomial, exact up to rounding (absolute error below 1e-12):
    convolution one by one, and above 512 chances in halves by the FFT (Hong 2013, Computational
    Statistics & Data Analysis 59, reviews both).

    ``bounds`` are the chances' 95 % intervals, which say how unsure the calibration is. All trials
    have the calibration in common, so its error is taken to move them together: at a standard
    normal z the log-odds of each chance move by z times their distance to its bound over 1.96,
    and the distribution is the mean of the Poisson-binomial ones at ``NODES`` equally probable z.
    That is the widest range of errors the intervals allow, so it errs on the wide side.

    Raises ``ValueError`` for a chance outside of 0..1.
    """
    p = np.fromiter(chances, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("a probability is between 0 and 1.")
    exact = _mass(p[None, :])
    mass = exact
    if bounds and any(low is not None and high is not None for low, high in bounds):
        mass = _mass(_moved(p, bounds))
    k = np.arange(len(mass))
    mean = float((mass * k).sum())
    lower, upper = _central(mass)
    exact_lower, exact_upper = _central(exact)
    return Distribution(
        mass=mass,
        expected=float(p.sum()),
        deviation=float(np.sqrt((mass * (k - mean) ** 2).sum())),
        lower=lower,
        upper=upper,
        exact_lower=exact_lower,
        exact_upper=exact_upper,
    )


def _moved(
    p: NDArray[np.float64], bounds: Sequence[tuple[float | None, float | None]]
) -> NDArray[np.float64]:
    """The chances ``[NODES, n]`` where the calibration errs by each of ``NODES`` quantiles."""
    from scipy.special import expit, logit
    from scipy.stats import norm

    z = norm.ppf((np.arange(NODES) + 0.5) / NODES)[:, None]
    known = [
        (b, c) if b is not None and c is not None else (q, q)
        for q, (b, c) in zip(p, bounds, strict=True)
    ]
    middle, low, high = (
        logit(np.clip(values, 1e-4, 1 - 1e-4)) for values in (p, *np.array(known).T)
    )
    distance = np.where(z < 0, np.maximum(middle - low, 0), np.maximum(high - middle, 0))
    moved: NDArray[np.float64] = expit(middle + z * distance / 1.96)
    # A certainty stays one.
    return np.where((p == 0) | (p == 1), p, moved)


def _mass(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the Poisson-binomial distributions of the rows of ``p`` ``[m, n]``."""
    mean = np.clip(_convolved(p), 0.0, None).mean(axis=0)
    mass: NDArray[np.float64] = mean / mean.sum()
    return mass


def _central(mass: NDArray[np.float64]) -> tuple[int, int]:
    cumulative = np.cumsum(mass)
    lower = int(np.searchsorted(cumulative, 0.025))
    return lower, min(int(np.searchsorted(cumulative, 0.975)), len(mass) - 1)


def _convolved(p: NDArray[np.float64]) -> NDArray[np.float64]:
    n = p.shape[1]
    if n > DIRECT:
        from scipy.signal import fftconvolve

        left, right = _convolved(p[:, : n // 2]), _convolved(p[:, n // 2 :])
        joined: NDArray[np.float64] = fftconvolve(left, right, axes=1)
        return joined
    mass = np.zeros((len(p), n + 1))
    mass[:, 0] = 1.0
    for k in range(1, n + 1):
        chance = p[:, k - 1 : k]
        mass[:, 1 : k + 1] = mass[:, 1 : k + 1] * (1 - chance) + mass[:, :k] * chance
        mass[:, :1] *= 1 - chance
    return mass


def successes(trials: Sequence[Forecast]) -> Distribution | None:
    """The distribution of the trials' events; None for fewer than two, or where a task has none.

    Only binary tasks have an event; trials of several tasks or models do not add up.
    """
    sources = {(trial.task, trial.variant) for trial in trials}
    if len(trials) < 2 or len(sources) != 1 or len(trials[0].labels) != 2:
        return None
    return expected_successes(
        (trial.probability for trial in trials),
        [(trial.lower, trial.upper) for trial in trials],
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """The trials that a portfolio adds up, and those of a list that it leaves out, by reason."""

    trials: Sequence[Forecast]
    copies: Sequence[Forecast]
    learnt: Sequence[Forecast]
    out_of_scope: Sequence[Forecast]


def counted(trials: Iterable[Forecast], included: Collection[str] = ()) -> Counted:
    """Each trial once; without those the model has learnt from, or that are unlike what it knows.

    ``included`` may name "learnt" and "scope": trials of those kinds are added up all the same.
    """
    included_trials: list[Forecast] = []
    copies: list[Forecast] = []
    learnt: list[Forecast] = []
    outside: list[Forecast] = []
    seen: set[str] = set()
    for trial in trials:
        number = trial.nct_id or trial.source_sha256
        if number in seen:
            copies.append(trial)
            continue
        seen.add(number)
        if is_learnt(trial) and "learnt" not in included:
            learnt.append(trial)
        elif is_out_of_scope(trial) and "scope" not in included:
            outside.append(trial)
        else:
            included_trials.append(trial)
    return Counted(included_trials, copies, learnt, outside)


def expected_from_base(trials: Sequence[Forecast]) -> float | None:
    """The successes to expect from the phases' base rates alone; None where one is missing."""
    rates = [trial.compared_with[0] for trial in trials]
    known = [rate for rate in rates if rate is not None]
    return float(sum(known)) if known and len(known) == len(rates) else None
