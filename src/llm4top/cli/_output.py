"""Forecasts as text: a table for people, CSV, JSON and JSON Lines for programs.

Every writer prints a row as soon as it has it and keeps none, so memory stays flat.
"""

from __future__ import annotations

import csv
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from llm4top.cli._console import percent, safe
from llm4top.workspace._cells import harmless_cell

if TYPE_CHECKING:
    from rich.console import Console

    from llm4top.forecasters import Forecast, NotApplicable
    from llm4top.registry import Record

CSV_COLUMNS = (
    "record",
    "nctid",
    "phase",
    "task",
    "probability",
    "lower",
    "upper",
    "base_rate",
    "warnings",
    "bundle",
)

DISCLAIMER = "A research estimate: not medical or investment advice."


def forecast_dict(record: Record, forecast: Forecast) -> dict[str, Any]:
    """One forecast as JSON-able values: the CSV's columns and everything that stands behind."""
    values = forecast.to_dict()
    labels = values.pop("labels")
    return {
        "record": values.pop("record"),
        "nctid": values.pop("nct_id"),
        **values,
        "probabilities": dict(zip(labels, forecast.probabilities, strict=True)),
        "withheld": len(record.withheld),
        "source": {
            "format": record.source.format,
            "processed": record.source.processed,
            "sha256": record.source.sha256,
        },
        "disclaimer": DISCLAIMER,
    }


def not_applicable_dict(record: NotApplicable) -> dict[str, Any]:
    """A record that the question does not apply to, as JSON-able values."""
    return {
        "record": record.record,
        "nctid": record.nct_id,
        "task": record.task,
        "not_applicable": record.reason,
    }


class ForecastWriter(ABC):
    """Writes forecasts one at a time; ``close`` ends the document, not the stream."""

    @abstractmethod
    def write(self, record: Record, forecast: Forecast) -> None:
        """Write one forecast."""

    def leave_out(self, record: NotApplicable) -> None:  # noqa: B027 - most formats have no place
        """Note a record that the question does not apply to."""

    def close(self) -> None:  # noqa: B027 - most formats need no ending
        """End the document."""


class CsvWriter(ForecastWriter):
    """``CSV_COLUMNS``, one row a trial; probabilities with six decimals, absent values empty."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._rows.writerow(CSV_COLUMNS)

    def write(self, record: Record, forecast: Forecast) -> None:  # noqa: ARG002
        """Write one row and flush it."""
        row = (
            harmless_cell(forecast.record),
            harmless_cell(forecast.nct_id or ""),
            harmless_cell(forecast.phase or ""),
            harmless_cell(forecast.task),
            _number(forecast.probability),
            _number(forecast.lower),
            _number(forecast.upper),
            _number(forecast.base_rate),
            harmless_cell("; ".join(forecast.warnings)),
            harmless_cell(forecast.bundle),
        )
        self._rows.writerow(row)
        self._stream.flush()


class JsonLinesWriter(ForecastWriter):
    """One JSON object a line; a record without a number has "not_applicable": the reason."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, record: Record, forecast: Forecast) -> None:
        """Write one line and flush it."""
        self._line(_finite(forecast_dict(record, forecast)))

    def leave_out(self, record: NotApplicable) -> None:
        """Write one line that has no number."""
        self._line(not_applicable_dict(record))

    def _line(self, values: dict[str, Any]) -> None:
        json.dump(values, self._stream, ensure_ascii=False)
        self._stream.write("\n")
        self._stream.flush()


class JsonWriter(ForecastWriter):
    """One JSON document, ``{"forecasts": [...], "not_applicable": [...]}``, written as it grows.

    The second list is kept until the end: a name and a reason each.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._left_out: list[NotApplicable] = []
        self._separator = '{"forecasts": [\n'

    def write(self, record: Record, forecast: Forecast) -> None:
        """Write one element of the array."""
        self._stream.write(self._separator)
        self._separator = ",\n"
        json.dump(_finite(forecast_dict(record, forecast)), self._stream, ensure_ascii=False)
        self._stream.flush()

    def leave_out(self, record: NotApplicable) -> None:
        """Keep the record for the second list."""
        self._left_out.append(record)

    def close(self) -> None:
        """Close the array and write the second one."""
        self._stream.write("\n]" if self._separator == ",\n" else '{"forecasts": []')
        others = [json.dumps(not_applicable_dict(r), ensure_ascii=False) for r in self._left_out]
        listed = "\n" + ",\n".join(others) + "\n" if others else ""
        self._stream.write(f', "not_applicable": [{listed}]}}\n')


class TableWriter(ForecastWriter):
    """A line a trial for people: chance, interval and base rate, warnings below it."""

    def __init__(self, console: Console):
        self._console = console
        self._title_width = max(console.width - 54, 12)
        self._started = False

    def write(self, record: Record, forecast: Forecast) -> None:
        """Print the trial's line, and the heading before the first."""
        if not self._started:
            self._started = True
            heading = ("Trial", "Phase", "Chance", "Interval", "Base rate", "Title")
            self._print(*(f"[bold]{word}[/]" for word in heading))
        trial = record.trial
        self._print(
            safe(record.nct_id or _last_part(record.source.name)),
            safe((trial.phase or "").replace("Phase ", "")),
            f"[bold]{percent(forecast.probability)}[/]",
            _interval(forecast),
            "" if forecast.base_rate is None else percent(forecast.base_rate),
            safe(trial.brief_title or trial.official_title or "; ".join(trial.conditions)),
        )
        for warning in forecast.warnings:
            self._console.print(f"  [yellow]![/] {safe(warning)}", soft_wrap=False)

    def _print(self, *cells: str) -> None:
        from rich.table import Table

        row = Table.grid(padding=(0, 2, 0, 0))
        for width in (11, 7, 6, 11, 9):
            row.add_column(width=width, overflow="ellipsis", no_wrap=True)
        row.add_column(width=self._title_width, overflow="ellipsis", no_wrap=True)
        row.add_row(*cells)
        self._console.print(row)


WRITERS: dict[str, Callable[[TextIO], ForecastWriter]] = {
    "csv": CsvWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
}


def _interval(forecast: Forecast) -> str:
    if forecast.lower is None or forecast.upper is None:
        return "none"
    return f"{100 * forecast.lower:.0f} to {100 * forecast.upper:.0f} %"


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.6f}"


def _finite(value: Any) -> Any:
    """``value`` with null where JSON has no number."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _last_part(name: str) -> str:
    return name.replace("!", "/").rpartition("/")[2]
