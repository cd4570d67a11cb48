"""What the other embedded models say of a trial, in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm4top.forecasters.distribution import in_words, summary_of
from llm4top.forecasters.forecast_format import Forecast
from llm4top.tasks.builtin import TASKS
from llm4top.text import interval, percent


@dataclass(frozen=True, slots=True)
class Answer:
    """One question with its answer, what is usual in the phase, and the bundle that answers it.

    ``skill`` is what the bundle's card says of its figures.
    """

    question: str
    answer: str
    usual: str
    bundle: str
    skill: str = ""


def answer_of(forecast: Forecast, bundle: str, facts: Mapping[str, Any] | None = None) -> Answer:
    """A forecast of a built-in question as an answer.

    ``bundle`` is the id of what made it, ``facts`` are the manifest's.
    """
    measured: Sequence[Mapping[str, Any]] = (facts or {}).get("evaluations") or ({},)
    task = TASKS[forecast.task]
    if forecast.unit is not None:
        answer, usual = in_words(forecast), ""
        if forecast.base_rates:
            common = summary_of(task, forecast.base_rates)
            usual = in_words(
                replace(forecast, median=common.median, p10=common.p10, p90=common.p90)
            )
    elif task.kind == "binary":
        answer = _with_interval(forecast)
        usual = "" if forecast.base_rate is None else percent(forecast.base_rate)
    else:
        answer = _ranked(forecast.labels, forecast.probabilities)
        usual = _ranked(forecast.labels, forecast.base_rates) if forecast.base_rates else ""
    return Answer(task.question, answer, usual, bundle, str(measured[0].get("note", "")))


def _with_interval(forecast: Forecast) -> str:
    bounds = interval(forecast.lower, forecast.upper)
    return percent(forecast.probability) + (f" ({bounds})" if bounds else "")


def _ranked(labels: Sequence[str], shares: Sequence[float]) -> str:
    """The labels with their shares, the largest first."""
    order = sorted(range(len(labels)), key=lambda k: -shares[k])
    return ", ".join(f"{labels[k]} {percent(shares[k])}" for k in order)
