"""``llm4top whatif``: a record's forecast beside those of edited copies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llm4top.cli.console import note, print_json, safe, standard_output, table_of
from llm4top.cli.inspect import IdOption, NumberOption, RecordsArgument, find_record
from llm4top.cli.load_model import load_model, load_options
from llm4top.cli.options import (
    ModelChoice,
    ModelLoading,
    ReportFormat,
    ServedLoading,
)
from llm4top.cli.trial_report import is_report, write_report
from llm4top.text import DISCLAIMER

if TYPE_CHECKING:
    from llm4top.forecasters.forecaster import Forecaster
    from llm4top.forecasters.variants import Comparison, Variant
    from llm4top.registry.trial import Record


_Out = Annotated[
    Path | None,
    typer.Option(
        help="Write to this file: .csv, .json, or .html for a report of the trial.",
        dir_okay=False,
    ),
]


@dataclass(frozen=True)
class Changes:
    """What is to read otherwise."""

    edits: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="An edit: 'phase=Phase 3', 'criteria-=3', 'arms[2].role=Placebo Comparator'. "
            "Several make one variant.",
            metavar="EDIT",
        ),
    ] = None
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            help="A named variant: 'larger: phase=Phase 3; enrollment=400'. Up to six.",
            metavar="'NAME: EDITS'",
        ),
    ] = None
    sweep: Annotated[
        str | None,
        typer.Option(
            help="Forecast the record, with the edits of --set, with each value of this field: "
            "phase, masking, enrollment, minimum_age ...",
            metavar="FIELD",
        ),
    ] = None
    values: Annotated[
        str | None,
        typer.Option(
            help="The values to sweep over, separated by commas.",
            show_default="the registry's choices, or a grid",
        ),
    ] = None
    base_rate: Annotated[
        str | None,
        typer.Option(help="Adapt the forecasts to this base rate: 0.56 or 56 %.", metavar="RATE"),
    ] = None

    def check(self) -> None:
        """Raise ``typer.BadParameter`` for options that do not go together."""
        if self.values is not None and self.sweep is None:
            raise typer.BadParameter("it needs --sweep FIELD.", param_hint="--values")
        if self.values is not None and not self.values.strip(", "):
            raise typer.BadParameter("names no value.", param_hint="--values")
        if self.sweep is not None and self.variants:
            raise typer.BadParameter("give --variant or --sweep, not both.", param_hint="--variant")
        if not (self.edits or self.variants or self.sweep):
            raise typer.BadParameter("give --set, --variant or --sweep.", param_hint="--set")

    def compared(self, forecaster: Forecaster, record: Record) -> Comparison:
        """The comparison that they ask for."""
        from llm4top.forecasters import what_if as forecasting

        if self.sweep is None:
            named = {"edited": self.edits} if self.edits else {}
            for name, changes in map(_variant, self.variants or ()):
                if name in named:
                    raise typer.BadParameter(f"{name!r} is named twice.", param_hint="--variant")
                named[name] = changes
            return forecasting.what_if(forecaster, record, named, base_rate=self.base_rate)
        values = None if self.values is None else [v.strip() for v in self.values.split(",")]
        edits = self.edits or ()
        return forecasting.sweep(
            forecaster, record, self.sweep, values, edits=edits, base_rate=self.base_rate
        )


def what_if(
    file: RecordsArgument,
    *,
    changes: Changes,
    record: NumberOption = None,
    nctid: IdOption = None,
    choice: ModelChoice,
    served: ServedLoading,
    output: Annotated[
        ReportFormat, typer.Option("--format", help="A table for people, or for programs.")
    ] = "text",
    out: _Out = None,
) -> None:
    """Forecast a record beside edited copies of it.

    An edit is FIELD=VALUE, FIELD+=LINE (added at the end), FIELD[3]+=LINE (added behind line 3),
    FIELD-=3 (line 3 removed), FIELD[3]=LINE or FIELD[3].PART=VALUE, where lines, arms,
    interventions and outcome measures are numbered from 1. FIELD= empties the field. What an edit
    says about the outcome is withheld from the model, as it is in a record.

    Each difference to the record has a paired 95 % interval; one that includes 0 cannot be told
    from the noise of the calibration. Differences are associations that the model has learnt, not
    effects: the same words in another trial do not change that trial.

    [bold]Examples[/bold]

        llm4top whatif NCT01234567.xml --set "phase=Phase 3" --set "criteria-=3"

        llm4top whatif draft.json --variant "short: criteria=" --variant "early: phase=Phase 1"

        llm4top whatif draft.json --sweep phase --out phases.csv

        llm4top whatif draft.json --set "phase=Phase 3" --out report.html
    """
    changes.check()
    if out is not None and output == "text" and not is_report(out):
        output = _format_of(out)
    found = find_record(file, record, nctid)
    options = load_options(choice.task, ModelLoading(), served)
    forecaster = load_model(choice.model, **options)
    compared = changes.compared(forecaster, found)
    if out is not None and is_report(out):
        write_report(out, forecaster, compared.original.forecast, comparison=compared.to_dict())
    else:
        _write(compared, output, out)
    note(f"Forecast by {forecaster.identity}. {DISCLAIMER}")


def _format_of(out: Path) -> Literal["csv", "json"]:
    """The format of a file by its ending; ``typer.BadParameter`` where that names none."""
    formats: dict[str, Literal["csv", "json"]] = {".csv": "csv", ".json": "json"}
    if out.suffix.lower() not in formats:
        raise typer.BadParameter(
            "end its name in .csv, .json or .html, or add --format.", param_hint="--out"
        )
    return formats[out.suffix.lower()]


def _variant(text: str) -> tuple[str, list[str]]:
    """Name and edits of ``--variant``; a semicolon parts edits where an edit follows."""
    name, colon, rest = text.partition(":")
    if not colon or not name.strip() or not rest.strip():
        raise typer.BadParameter(f"{text!r} is not NAME: EDIT; EDIT.", param_hint="--variant")
    parts = re.split(r";\s*(?=[A-Za-z][\w ]*(?:\[\d+\])?(?:\.\w+)?\s*[+-]?=)", rest)
    return name.strip(), [part.strip() for part in parts if part.strip()]


def _write(compared: Comparison, output: ReportFormat, out: Path | None) -> None:
    from llm4top.files import write_json, write_text
    from llm4top.forecasters.variants import rows_of
    from llm4top.text import csv_text

    if output == "text":
        _print(compared)
        for line in compared.notes:
            note(line)
    elif output == "json":
        print_json(compared.to_dict()) if out is None else write_json(out, compared.to_dict())
    else:
        text = csv_text(rows_of(compared.to_dict()))
        typer.echo(text, nl=False) if out is None else write_text(out, text)


def _print(compared: Comparison) -> None:
    from rich.padding import Padding

    console = standard_output()
    shown = (compared.original, *compared.variants)
    rows = [(safe(one.name), *_cells(one)) for one in shown]
    console.print(table_of(("Variant", "Chance", "Interval", "Difference"), rows))
    for one in compared.variants if compared.sweep is None else ():
        edits = ", ".join(edit.text for edit in one.edits)
        if edits:
            console.print(Padding(f"[dim]{safe(one.name)}: {safe(edits)}[/]", (0, 0, 0, 2)))


def _cells(variant: Variant) -> tuple[str, str, str]:
    from llm4top.forecasters.forecast_format import NotApplicable
    from llm4top.text import interval, percent

    forecast = variant.forecast
    if isinstance(forecast, NotApplicable):
        return "none", "", safe(variant.words)
    bounds = interval(forecast.lower, forecast.upper)
    return f"[bold]{percent(forecast.probability)}[/]", bounds, safe(variant.words)
