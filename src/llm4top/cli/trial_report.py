"""The report of one trial as an HTML file, for the commands that know something of one trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4top.cli.console import note
from llm4top.errors import TaskError
from llm4top.files import write_text

if TYPE_CHECKING:
    from llm4top.forecasters.forecast_format import Forecast, NotApplicable
    from llm4top.forecasters.forecaster import Forecaster


def is_report(out: Path | None) -> bool:
    """Whether a file of that name is to be a report."""
    return out is not None and out.suffix.lower() in (".html", ".htm")


def write_report(
    out: Path, forecaster: Forecaster, forecast: Forecast | NotApplicable, **known: Any
) -> None:
    """Write the report; ``known`` is what else is known of the trial, as ``TrialReport`` has it.

    Raises ``TaskError`` where the trial has no forecast.
    """
    from llm4top.forecasters.forecast_format import NotApplicable

    if isinstance(forecast, NotApplicable):
        raise TaskError(
            f"there is nothing to report: {forecast.reason}",
            where=forecast.record,
            hint="Choose a record that gets a forecast.",
        )
    write_text(out, report_text(forecaster, forecast, **known))
    note(f"The report is in {out}.")


def report_text(forecaster: Forecaster, forecast: Forecast, **known: Any) -> str:
    """The report's HTML."""
    from llm4top.workspace.bundles import facts_of
    from llm4top.workspace.views.trial_report import TrialReport

    manifest = forecaster.manifest
    model = None if manifest is None else facts_of(manifest)
    return TrialReport(forecast, model=model, **known).to_html().decode()
