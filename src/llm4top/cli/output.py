"""Forecasts as text for programs: CSV, JSON and JSON Lines, always in UTF-8 or ASCII.

Every writer prints a row as soon as it has it and keeps none, so memory stays flat.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TextIO

from llm4top.cli.streams import is_unicode
from llm4top.forecasters.forecast_format import COLUMNS, csv_cells
from llm4top.text import CsvRows

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import Forecast, NotApplicable


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
