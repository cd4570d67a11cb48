"""Forecasts as text: CSV, JSON and JSON Lines in UTF-8 or ASCII, and a table for people.

Every writer prints a row as soon as it has it and keeps none, so memory stays flat.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TextIO

from llm4top.cli.console import names_apart, safe, short_name
from llm4top.cli.streams import is_unicode
from llm4top.forecasters.forecast_format import COLUMNS, Forecast, NotApplicable, csv_cells
from llm4top.text import CsvRows, interval, percent

if TYPE_CHECKING:
    from rich.console import Console

    from llm4top.forecasters.forecaster import Forecaster


class ForecastWriter(ABC):
    """Writes forecasts one at a time; ``close`` ends the document, not the stream."""

    @abstractmethod
    def write(self, forecast: Forecast) -> None:
        """Write one forecast."""

    def leave_out(self, record: NotApplicable) -> None:  # noqa: B027 - most formats have no place
        """Note a record that the question does not apply to."""

    def close(self) -> None:  # noqa: B027 - most formats need no ending
        """End the document."""


class CsvWriter(ForecastWriter):
    """``COLUMNS``, one row a record; probabilities with six decimals, absent values empty.

    A record that the question does not apply to has "not applicable" as "status", and the reason.
    ``heading`` says whether the heading is still to be written.
    """

    def __init__(self, stream: TextIO, *, heading: bool = True):
        self._stream = stream
        self._rows = CsvRows(stream)
        if heading:
            self._rows.writerow(COLUMNS)

    def write(self, forecast: Forecast) -> None:
        """Write one row and flush it."""
        self._rows.writerow(csv_cells(forecast.row()))
        self._stream.flush()

    def leave_out(self, record: NotApplicable) -> None:
        """Write one row that has no number."""
        self._rows.writerow(csv_cells(record.row()))
        self._stream.flush()


class JsonLinesWriter(ForecastWriter):
    """One JSON object a line; a record without a forecast has the status "not applicable"."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, forecast: Forecast) -> None:
        """Write one line and flush it."""
        self._line(forecast.to_dict(sections=False))

    def leave_out(self, record: NotApplicable) -> None:
        """Write one line that has no number."""
        self._line(record.to_dict())

    def _line(self, values: dict[str, Any]) -> None:
        self._stream.write(_json(values, self._stream) + "\n")
        self._stream.flush()


class JsonWriter(ForecastWriter):
    """One JSON document, ``{"forecasts": [...], "not_applicable": [...]}``, written as it grows.

    The second list is held in memory until the end: a name and a reason each.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._left_out: list[NotApplicable] = []
        self._separator = '{"forecasts": [\n'

    def write(self, forecast: Forecast) -> None:
        """Write one element of the array."""
        values = _json(forecast.to_dict(sections=False), self._stream)
        # In one piece, so that Ctrl-C between two of them leaves a document that can be closed.
        self._stream.write(self._separator + values)
        self._separator = ",\n"
        self._stream.flush()

    def leave_out(self, record: NotApplicable) -> None:
        """Keep the record for the second list."""
        self._left_out.append(record)

    def close(self) -> None:
        """Close the array and write the second one."""
        self._stream.write("\n]" if self._separator == ",\n" else '{"forecasts": []')
        others = [_json(record.to_dict(), self._stream) for record in self._left_out]
        listed = "\n" + ",\n".join(others) + "\n" if others else ""
        self._stream.write(f', "not_applicable": [{listed}]}}\n')
        self._stream.flush()


class HtmlWriter(ForecastWriter):
    """One HTML page, written at the end: the report of the only trial, or of all together.

    All forecasts are held in memory until then.
    """

    def __init__(self, stream: TextIO, forecaster: Forecaster):
        self._stream = stream
        self._forecaster = forecaster
        self._forecasts: list[Forecast] = []
        self._left_out: list[NotApplicable] = []

    def write(self, forecast: Forecast) -> None:
        """Keep the forecast for the end."""
        self._forecasts.append(forecast)

    def leave_out(self, record: NotApplicable) -> None:
        """Keep the record for the end."""
        self._left_out.append(record)

    def close(self) -> None:
        """Write the page."""
        from llm4top.cli.trial_report import report_text
        from llm4top.workspace.serving.parsing import NOT_APPLICABLE, Refusal
        from llm4top.workspace.views.exports import to_html

        if len(self._forecasts) == 1 and not self._left_out:
            self._stream.write(report_text(self._forecaster, self._forecasts[0]))
            return
        left_out = [Refusal(one.record, NOT_APPLICABLE, one.reason) for one in self._left_out]
        self._stream.write(to_html(self._forecasts, left_out).decode())


def _json(values: Any, stream: TextIO) -> str:
    text = json.dumps(_finite(values), ensure_ascii=not is_unicode(stream))
    # A file's name may hold bytes that are no text at all.
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _finite(value: Any) -> Any:
    """``value`` with null where JSON has no number."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_WIDTHS = {"Trial": 11, "Phase": 7, "Chance": 6, "Interval": 13, "Base rate": 9}
_GAP = 2
_LEAST_TITLE = 12


class TableWriter(ForecastWriter):
    """A line a trial: chance, interval, base rate, title; warnings and other answers below it.

    ``several`` says that the question has more than two answers: the most probable is named.
    ``title`` stands above the first line: the question, where it is not about success.
    """

    def __init__(self, console: Console, *, several: bool = False, title: str = ""):
        self._console = console
        self._several = several
        self._title = title
        self._started = False
        fixed = sum(width + _GAP for width in _WIDTHS.values())
        self._in_one_line = console.width >= fixed + _LEAST_TITLE
        self._title_width = max(console.width - fixed, _LEAST_TITLE)

    def write(self, forecast: Forecast) -> None:
        """Print the trial's line, and the heading before the first."""
        if not self._started:
            self._started = True
            self._heading()
        name = safe(forecast.nct_id or self._folded(short_name(forecast.record)))
        phase = safe((forecast.phase or "").replace("Phase ", ""))
        rate, _ = forecast.compared_with
        base = "" if rate is None else percent(rate)
        chance = f"[bold]{percent(forecast.probability)}[/]"
        title = safe(forecast.title)
        if self._in_one_line:
            self._row(name, phase, chance, _interval(forecast), base, title)
        else:
            self._row(name, chance, _interval(forecast))
            about = [f"base rate {base}" if base else "", f"phase {phase}" if phase else "", title]
            self._cut("  " + ", ".join(part for part in about if part))
        for mark, line in self._below(forecast):
            self._line(mark, line)

    @staticmethod
    def _folded(name: str) -> str:
        """A name that is too long with its number on a separate line."""
        return name.replace("#", "\n#") if len(name) > _WIDTHS["Trial"] else name

    def _heading(self) -> None:
        if self._title:
            self._console.print(f"[bold]{safe(self._title)}[/]")
        words = list(_WIDTHS) if self._in_one_line else ["Trial", "Chance", "Interval"]
        self._row(*(f"[bold]{word}[/]" for word in words), "[bold]Title[/]" * self._in_one_line)
        if not self._in_one_line:
            self._cut("  base rate, phase, title")

    def _below(self, forecast: Forecast) -> list[tuple[str, str]]:
        from llm4top.forecasters.distribution import in_words

        lines = []
        if forecast.unit is not None:
            chance_of = f"the chance is that of {forecast.label}"
            lines.append((">", safe(f"{in_words(forecast)}; {chance_of}")))
        elif self._several:
            most = f"[bold]{safe(forecast.label)}[/]"
            lines.append((">", f"{most} is the most probable of: {_all(forecast)}"))
        if forecast.same_trial_as:
            _, earlier = names_apart(forecast.record, forecast.same_trial_as)
            lines.append(("=", f"the same trial as {safe(earlier)}"))
        return lines + [("[yellow]![/]", safe(warning)) for warning in forecast.warnings]

    def _line(self, mark: str, text: str) -> None:
        from rich.table import Table

        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_column(width=3, justify="right")
        line.add_column(overflow="fold")
        line.add_row(mark, text)
        self._console.print(line)

    def _row(self, *cells: str) -> None:
        from rich.table import Table

        row = Table.grid(padding=(0, _GAP, 0, 0))
        widths = list(_WIDTHS.values())
        if not self._in_one_line:
            widths = [_WIDTHS["Trial"], _WIDTHS["Chance"], _WIDTHS["Interval"]]
        row.add_column(width=widths[0], overflow="fold")
        for width in widths[1:]:
            row.add_column(width=width, no_wrap=True)
        if self._in_one_line:
            row.add_column(width=self._title_width, overflow="ellipsis", no_wrap=True)
        row.add_row(*cells[: len(row.columns)])
        self._console.print(row)

    def _cut(self, text: str) -> None:
        self._console.print(text, overflow="ellipsis", no_wrap=True)


def _all(forecast: Forecast) -> str:
    """Every answer with its chance and, in brackets, its base rate."""
    rates = forecast.target_rates or forecast.base_rates or (None,) * len(forecast.labels)
    parts = []
    for label, chance, rate in zip(forecast.labels, forecast.probabilities, rates, strict=True):
        base = "" if rate is None else f" (base rate {percent(rate)})"
        parts.append(f"{safe(label)} {percent(chance)}{base}")
    return ", ".join(parts)


def _interval(forecast: Forecast) -> str:
    return interval(forecast.lower, forecast.upper) or "none"
