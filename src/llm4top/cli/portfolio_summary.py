"""What several questions tell of all records together, behind the tables of ``forecast``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llm4top.cli.console import short_name
from llm4top.text import counted, thousands

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import Forecast
    from llm4top.registry.trial import Record
    from llm4top.workspace.views.portfolio import Distribution

NAMED = 3
"""Trials that are named of those left out; the rest is counted."""


class PortfolioSummary:
    """Gathers the forecasts of each question; holds no text of the records."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, str], str | None] = {}
        self._forecasts: defaultdict[str, list[Forecast]] = defaultdict(list)

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records as they come; their planned starts are noted."""
        for record in records:
            source = record.source
            self._starts[source.name, source.sha256] = record.trial.planned_start
            yield record

    def add(self, forecast: Forecast) -> None:
        """Keep what is added up of a forecast."""
        slim = replace(forecast, sections=(), withheld=(), warnings=())
        self._forecasts[forecast.task].append(slim)

    def lines(self, skill: str = "") -> list[str]:
        """The sentences, each a line; none for fewer than two trials.

        ``skill`` is what the model of "why-it-fails" says of its own.
        """
        return [*self._reasons(skill), *self._timeline()]

    def _reasons(self, skill: str) -> list[str]:
        from llm4top.workspace.views.portfolio_questions import failure_reasons

        found = failure_reasons(self._forecasts["outcome"], self._forecasts["why-it-fails"])
        if found.n < 2:
            return []
        each = ", ".join(f"{label} {_figure(one)}" for label, one in found.by_reason)
        weak = "has little skill, and " if "little skill" in skill else ""
        lines = [
            f"Expected to fail: {found.expected:.1f} of {thousands(found.n)} trials; by reason "
            f"{each}. Ranges hold 95 % if the trials are independent. The model of the reasons "
            f"{weak}knows trials that were stopped early, not those that were completed "
            "and failed."
        ]
        if found.unanswered:
            lines.append(_left_out(found.unanswered, "that have no forecast of their reason"))
        return lines

    def _timeline(self) -> list[str]:
        from llm4top.workspace.views.portfolio_questions import timeline

        durations = self._forecasts["duration"]
        if len(durations) < 2:
            return []
        found = timeline(durations, self._starts)
        lines = []
        if told := found.told():
            each = ", ".join(f"{year} {_figure(one)}" for year, one in told)
            start = "trial that states its" if found.n == 1 else "trials that state their"
            lines.append(
                f"Expected to have ended, of {thousands(found.n)} {start} planned start, by the "
                f"end of {each}. Ranges hold 95 % if the trials are independent and start as "
                "planned."
            )
        if found.undated:
            lines.append(_left_out(found.undated, "without a planned start, so without an end"))
        return lines


def _figure(found: Distribution) -> str:
    return f"{found.expected:.1f} ({thousands(found.lower)} to {thousands(found.upper)})"


def _left_out(trials: Sequence[Forecast], why: str) -> str:
    names = ", ".join(one.nct_id or short_name(one.record) for one in trials[:NAMED])
    rest = len(trials) - NAMED
    more = f" and {thousands(rest)} more" if rest > 0 else ""
    return f"Not counted: {counted(len(trials), 'trial')} {why} ({names}{more})."
