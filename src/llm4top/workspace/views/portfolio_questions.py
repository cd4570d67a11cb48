"""What further questions tell of a portfolio: why its trials may fail, and when they end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from llm4top.forecasters.distribution import Bins
from llm4top.forecasters.forecast_format import Forecast
from llm4top.tasks.builtin import DAYS_OF_A_MONTH, DURATION, day_of
from llm4top.workspace.views.portfolio import Distribution, expected_successes

Key = tuple[str, str]
"""A record's name and the hash of its bytes: what forecasts of one record have in common."""


def key_of(forecast: Forecast) -> Key:
    """What the forecasts of the same record have in common, whatever the question."""
    return forecast.record, forecast.source_sha256


@dataclass(frozen=True, slots=True)
class FailureReasons:
    """How many of some trials fail, split by reason.

    Attributes:
        by_reason: Each reason with the number of trials that fail for it, most expected first.
        expected: Failures to expect: the sum over ``by_reason``.
        n: How many trials the figures rest on.
        unanswered: Trials that are not among them, for want of a forecast of their reason.
    """

    by_reason: tuple[tuple[str, Distribution], ...]
    expected: float
    n: int
    unanswered: tuple[Forecast, ...]


def failure_reasons(outcomes: Iterable[Forecast], reasons: Iterable[Forecast]) -> FailureReasons:
    """The number of failures to expect for each reason.

    A trial fails for a reason with probability (1 - P(success)) x P(reason | failure). The number
    of trials that do is Poisson-binomial, as in ``expected_successes``: the trials are taken as
    independent, and what its interval says of the chance of success moves all of them together.
    The reasons' own chances are taken as exact, so the intervals are too narrow.

    "why-it-fails" knows trials that were stopped early. Its chances are applied to every failure,
    also to that of a completed trial that missed its endpoint, which it has not learnt from. Its
    card reports little skill: these figures are hardly better than the phases' shares.

    Args:
        outcomes: Forecasts of "outcome". Copies (``same_trial_as``) are not counted.
        reasons: Forecasts of "why-it-fails" of the same records, in any order.

    Returns:
        The figures; without a trial ``by_reason`` is empty.
    """
    answers = {key_of(forecast): forecast for forecast in reasons}
    once = _without_copies(outcomes)
    pairs = [(one, answers[key_of(one)]) for one in once if key_of(one) in answers]
    by_reason = [
        (label, _failing(pairs, k)) for k, label in enumerate(pairs[0][1].labels if pairs else ())
    ]
    by_reason.sort(key=lambda pair: -pair[1].expected)
    return FailureReasons(
        by_reason=tuple(by_reason),
        expected=sum(1 - outcome.probability for outcome, _ in pairs),
        n=len(pairs),
        unanswered=tuple(one for one in once if key_of(one) not in answers),
    )


def _failing(pairs: Sequence[tuple[Forecast, Forecast]], k: int) -> Distribution:
    """How many trials fail for the k-th reason."""
    shares = [reason.probabilities[k] for _, reason in pairs]
    chances = [(1 - one.probability) * q for (one, _), q in zip(pairs, shares, strict=True)]
    bounds = [
        (None, None)
        if one.lower is None or one.upper is None
        else ((1 - one.upper) * q, (1 - one.lower) * q)
        for (one, _), q in zip(pairs, shares, strict=True)
    ]
    return expected_successes(chances, bounds)


@dataclass(frozen=True, slots=True)
class Timeline:
    """How many of some trials have ended by the end of each year.

    Attributes:
        ended: Years without a gap, each with the number of trials that have ended by its end.
        n: How many trials the figures rest on.
        undated: Trials that are not among them, for want of a planned start.
    """

    ended: tuple[tuple[int, Distribution], ...]
    n: int
    undated: tuple[Forecast, ...]

    def told(self) -> tuple[tuple[int, Distribution], ...]:
        """The years worth telling: from the first end to expect until 95 % of all of them."""
        most = 0.95 * self.ended[-1][1].expected if self.ended else 0.0
        last = next((year for year, found in self.ended if found.expected >= most), 0)
        return tuple(
            (year, found) for year, found in self.ended if found.expected >= 0.05 and year <= last
        )


def timeline(durations: Iterable[Forecast], starts: Mapping[Key, str | None]) -> Timeline:
    """The number of trials to expect to have ended by the end of each year.

    A trial that starts on day s has ended by the end of year y with probability F((1 January of
    y + 1) - s), where F is the distribution of its duration: linear within each bin, in months of
    30.4375 days. A start without a day counts as the 15th. The last bin is open, so what lies in
    it never ends here: of 120 months or more it is not known when.

    The trials are taken as independent, their planned starts and the durations' chances as exact,
    and nothing is known of a trial that runs already, so the intervals are too narrow.

    Args:
        durations: Forecasts of "duration". Copies (``same_trial_as``) are not counted.
        starts: The planned start of each record, ISO ("2031-05" or "2031-05-14").

    Returns:
        The figures, up to the year in which the last trial would leave the last closed bin;
        without a dated trial ``ended`` is empty.
    """
    once = _without_copies(durations)
    days = [(one, day_of(starts.get(key_of(one)))) for one in once]
    dated = [(one, day) for one, day in days if day is not None]
    undated = tuple(one for one, day in days if day is None)
    if not dated:
        return Timeline((), 0, undated)
    bins = Bins.of(DURATION)
    first = min(day for _, day in dated).year
    last = max(day for _, day in dated).year + int(np.ceil(bins.edges[-1] / 12))
    years = range(first, last + 1)
    chances = np.array([_ended(bins, one, day, years) for one, day in dated])
    ended = tuple((year, expected_successes(chances[:, k])) for k, year in enumerate(years))
    return Timeline(ended, len(dated), undated)


def _ended(bins: Bins, one: Forecast, start: date, years: Iterable[int]) -> list[float]:
    """The probability that a trial has ended by the end of each year."""
    months = [(date(year + 1, 1, 1) - start).days / DAYS_OF_A_MONTH for year in years]
    return [float(value) for value in bins.below(one.probabilities, months)]


def _without_copies(forecasts: Iterable[Forecast]) -> list[Forecast]:
    return [one for one in forecasts if one.same_trial_as is None]
