"""What several questions tell of all records together, behind the tables of ``forecast``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.cli.console import note, short_name
from llm4top.files import write_json, write_text
from llm4top.text import counted, csv_text, thousands

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import Forecast
    from llm4top.registry.trial import Record
    from llm4top.workspace.views.portfolio import Distribution
    from llm4top.workspace.views.portfolio_sums import PortfolioSums

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
        slim = replace(forecast, sections=(), withheld=())
        self._forecasts[forecast.task].append(slim)

    def sums(self) -> PortfolioSums:
        """What all records add up to: of "outcome", else of the first question of two answers."""
        from llm4top.workspace.views.portfolio_sums import sums_of

        asked = list(self._forecasts.values())
        main = self._forecasts.get("outcome") or next(
            (some for some in asked if len(some[0].labels) == 2), []
        )
        reasons, durations = (
            self._forecasts.get(name, []) for name in ("why-it-fails", "duration")
        )
        return sums_of(main, reasons, durations, self._starts)

    def lines(self, skill: str = "") -> list[str]:
        """The sentences, each a line; none for fewer than two trials.

        ``skill`` is what the model of "why-it-fails" says of its own.
        """
        found = self.sums()
        lines = [*self._reasons(found, skill), *self._timeline(found)]
        return [*(_not_counted(found) if lines else ()), *lines]

    def _reasons(self, sums: PortfolioSums, skill: str) -> list[str]:
        found = sums.failures
        if found is None or found.n < 2:
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

    def _timeline(self, sums: PortfolioSums) -> list[str]:
        found = sums.timeline
        if found is None or found.n + len(found.undated) < 2:
            return []
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


def _not_counted(found: PortfolioSums) -> list[str]:
    """What the sums over several questions leave out, but for copies, which are told before."""
    parts = found.counted
    said = (
        (parts.learnt, "that the model has learnt from or was tuned on"),
        (parts.out_of_scope, "unlike those that the model has learnt from"),
    )
    return [_left_out(trials, why) for trials, why in said if trials]


def _figure(found: Distribution) -> str:
    return f"{found.expected:.1f} ({thousands(found.lower)} to {thousands(found.upper)})"


def _left_out(trials: Sequence[Forecast], why: str) -> str:
    names = ", ".join(one.nct_id or short_name(one.record) for one in trials[:NAMED])
    rest = len(trials) - NAMED
    more = f" and {thousands(rest)} more" if rest > 0 else ""
    return f"Not counted: {counted(len(trials), 'trial')} {why} ({names}{more})."


def write_sums(found: PortfolioSums, out: Path) -> None:
    """Write the sums as CSV, or as JSON where the file is called so."""
    if out.suffix.lower() == ".json":
        write_json(out, found.to_dict())
    else:
        write_text(out, csv_text(found.rows()))
    note(f"What the records add up to is in {out}.")
