"""Copies of a trial among forecasts, by NCT id."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from llm4top.forecasters.forecast_format import Forecast


def mark_same_trials(
    forecasts: Iterable[Forecast], seen: dict[str, str] | None = None
) -> Iterator[Forecast]:
    """The forecasts with ``same_trial_as``: the earlier record that has the same NCT id.

    Args:
        forecasts: Forecasts of one input, in the order of its records.
        seen: The first record of each NCT id so far; it is added to.
    """
    first = {} if seen is None else seen
    for forecast in forecasts:
        earlier = first.setdefault(forecast.nct_id, forecast.record) if forecast.nct_id else None
        if earlier in (None, forecast.record):
            yield forecast
        else:
            yield replace(forecast, same_trial_as=earlier)
