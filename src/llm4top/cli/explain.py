"""``llm4top explain``: what moves the forecast of a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.console import note, print_json, safe, standard_output, table_of
from llm4top.cli.inspect import IdOption, NumberOption, RecordsArgument, find_record
from llm4top.cli.load_model import load_model, load_options
from llm4top.cli.options import (
    ModelChoice,
    ModelLoading,
    ServedLoading,
    TableFormat,
)
from llm4top.cli.trial_report import is_report, write_report
from llm4top.files import write_json
from llm4top.text import counted, one_line, percent

if TYPE_CHECKING:
    from rich.console import Console

    from llm4top.forecasters.base_rate_shift import TargetRates
    from llm4top.forecasters.forecaster import Forecaster
    from llm4top.forecasters.reasons.explanation import Contribution, Explanation, PartFeatures
    from llm4top.registry.trial import Record

_Out = Annotated[
    Path | None,
    typer.Option(
        help="Write the JSON into this file; with the ending .html a report of the trial.",
        dir_okay=False,
    ),
]
_BAR = 8
_TEXT = 60


@dataclass(frozen=True)
class Asking:
    """What is explained, and how carefully."""

    base_rate: Annotated[
        str | None,
        typer.Option(help="Adapt the forecast to this base rate, as `llm4top forecast` does."),
    ] = None
    samples: Annotated[
        int, typer.Option(min=4, help="Permutations of more than six sections; an even number.")
    ] = 16
    seed: Annotated[int, typer.Option(help="Seed of the permutations.")] = 0

    def check(self) -> None:
        """Raise ``typer.BadParameter`` for an odd number of permutations."""
        if self.samples % 2:
            raise typer.BadParameter("give an even number.", param_hint="--samples")

    def rates(self, forecaster: Forecaster) -> TargetRates | None:
        """What the forecast is adapted to."""
        from llm4top.forecasters.base_rate_shift import target_rates

        return None if self.base_rate is None else target_rates(self.base_rate, forecaster.task)


def explain(
    file: RecordsArgument,
    record: NumberOption = None,
    nctid: IdOption = None,
    *,
    choice: ModelChoice,
    loading: ModelLoading,
    served: ServedLoading,
    asking: Asking,
    output: TableFormat = "table",
    out: _Out = None,
) -> None:
    """Show what moves the forecast of a record: sections, sentences and features.

    Each bar is a Shapley value: what a section adds to the log-odds, averaged over the orders in
    which sections can be added to an empty record. From the empty record, the sections and the
    later steps add up to the forecast. Then the same for the lines or sentences of the strongest
    section, and for the features of linear and tree parts. Bars with a 95 % interval are sampled.

    These are associations that the model has learnt, not causes: to change the words of a record
    does not change the trial.

    [bold]Examples[/bold]

        llm4top explain NCT01234567.xml

        llm4top explain AllPublicXML.zip --nctid NCT01234567 --format json

        llm4top explain NCT01234567.xml --samples 64 --out reasons.json

        llm4top explain NCT01234567.xml --out report.html
    """
    asking.check()
    if out is not None and out.suffix.lower() in (".csv", ".pdf", ".xml"):
        raise typer.BadParameter("end its name in .json or .html.", param_hint="--out")
    found = find_record(file, record, nctid)
    forecaster = load_model(choice.model, **load_options(choice.task, loading, served))
    rates = asking.rates(forecaster)
    made = _explained(forecaster, found, asking, rates)
    if out is not None and is_report(out):
        (forecast,) = forecaster.forecast([found], base_rate=rates)
        write_report(out, forecaster, forecast, reasons=made)
    elif out is not None:
        write_json(out, made.to_dict())
        note(f"The explanation is in {out}.")
    if output == "json":
        print_json(made.to_dict())
    else:
        _print(made)


def _explained(
    forecaster: Forecaster, record: Record, asking: Asking, rates: TargetRates | None
) -> Explanation:
    from llm4top.forecasters.reasons.explain import explain as explained

    return explained(forecaster, record, samples=asking.samples, seed=asking.seed, base_rate=rates)


def _print(made: Explanation) -> None:
    from llm4top.forecasters.reasons.explanation import ASSOCIATIONS
    from llm4top.forecasters.reasons.pieces import HEADINGS

    console = standard_output()
    console.print(f"[bold]{safe(made.nct_id or made.record)}[/]  {safe(one_line(made.title, 80))}")
    console.print(f"Chance of {safe(made.event)}: [bold]{percent(made.chance)}[/]\n")
    console.print("[bold]By section[/], the strongest first")
    _bars(console, made, made.sections)
    console.print(f"[dim]From {percent(made.start_chance)} for a record without these sections.[/]")
    for step in made.steps:
        console.print(f"[dim]{step.name} adds {step.log_odds:+.2f}. {safe(step.note)}[/]")
    if made.pieces_of is not None:
        heading = HEADINGS[made.pieces_of]
        console.print(f"\n[bold]Within “{heading}”[/], with the rest of the record as it is")
        _bars(console, made, made.pieces)
    for part in made.parts:
        _features(console, part)
    console.print(f"\n[dim]{ASSOCIATIONS} {counted(made.asked, 'copy', 'copies')} forecast.[/]")


def _bars(console: Console, made: Explanation, rows: Sequence[Contribution]) -> None:
    widest = max((abs(row.log_odds) for row in rows), default=0.0) or 1.0
    table = table_of(("", "log-odds", "95 % interval", "", "what it does"))
    for row in rows:
        sampled = row.lower != row.upper
        table.add_row(
            safe(one_line(row.text, _TEXT)),
            f"{row.log_odds:+.2f}",
            f"{row.lower:+.2f} to {row.upper:+.2f}" if sampled else "",
            signed_bar(row.log_odds / widest),
            made.sentence(row),
        )
    # A bar that is folded says nothing: the words make room for it.
    for column in table.columns[1:4]:
        column.no_wrap = True
    console.print(table)


def signed_bar(share: float, width: int = _BAR) -> str:
    """A bar of text from the middle: to the right for a share above 0, to the left below it."""
    blocks = round(abs(share) * width)
    left, right = ("█" * blocks, "") if share < 0 else ("", "█" * blocks)
    return f"{left:>{width}}│{right:<{width}}"


def _features(console: Console, part: PartFeatures) -> None:
    unit = "log-odds" if part.unit == "log-odds" else "its own chance, in points"
    console.print(f"\n[bold]{safe(part.part)}[/], by feature: {unit}")
    scale = 1.0 if part.unit == "log-odds" else 100.0
    widest = max((abs(feature.amount) for feature in part.features), default=0.0) or 1.0
    table = table_of(("", "", "adds", ""))
    for feature in part.features:
        table.add_row(
            safe(one_line(feature.name, _TEXT)),
            safe(feature.value),
            f"{feature.amount * scale:+.2f}",
            signed_bar(feature.amount / widest),
        )
    table.add_row("[dim]all other features[/]", "", f"{part.others * scale:+.2f}", "")
    console.print(table)
