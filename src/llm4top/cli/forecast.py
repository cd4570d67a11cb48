"""``llm4top forecast``: the chance of success of every trial in files, folders and zips."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.completion import model_names, task_names
from llm4top.cli.console import note, printable, thousands
from llm4top.cli.exit_codes import IN_PART, NOTHING_DONE
from llm4top.cli.forecast_run import ForecastFormat, Sort, forecast_all
from llm4top.cli.inputs import Records, opened
from llm4top.cli.output_file import written

if TYPE_CHECKING:
    from llm4top.cli.tally import Tally
    from llm4top.forecasters.bundles.read import LoadedForecaster

RESUMABLE = (ForecastFormat.csv, ForecastFormat.jsonl)

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Records: XML or JSON files, TOP's CSV, zips, folders of them; - is standard input.",
        metavar="PATHS",
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        help="A bundle's name or folder, or a base model to ask untrained.",
        metavar="MODEL",
        autocompletion=model_names,
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        help="The question. Default: the one the bundle has learnt, else outcome.",
        metavar="TASK",
        autocompletion=task_names,
    ),
]
OutputOption = Annotated[
    ForecastFormat,
    typer.Option("--format", help="A table for people, or a format for programs."),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Maximum number of records.", metavar="N")
]
OutOption = Annotated[
    Path | None, typer.Option(help="Write to this file instead of standard output.", metavar="FILE")
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Continue an interrupted call, with --out and csv or jsonl."),
]
SortOption = Annotated[
    Sort | None,
    typer.Option(
        help="Order: highest chance first, by record, or furthest above the base rate first. "
        "Default: as read."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")]
QuantizeOption = Annotated[
    str | None, typer.Option(help="4bit loads the base model in 4 bits, for less memory.")
]
BatchTokensOption = Annotated[
    int | None,
    typer.Option(min=1, help="Tokens in one batch. Default: by the device's free memory."),
]
ExampleOption = Annotated[
    bool,
    typer.Option(
        "--example",
        help="Forecast the invented examples that ship with LLM4TOP: one trial as XML and as JSON, "
        "and one with results.",
    ),
]


def forecast(
    paths: PathsArgument = None,
    model: ModelOption = "embedded",
    task: TaskOption = None,
    output: OutputOption = ForecastFormat.table,
    limit: LimitOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    sort: SortOption = None,
    device: DeviceOption = "auto",
    quantize: QuantizeOption = None,
    batch_tokens: BatchTokensOption = None,
    example: ExampleOption = False,
) -> None:
    """Forecast the chance of success of every trial in PATHS.

    One line a trial on standard output, as soon as it is done; refused records by name on
    standard error. Records that the question does not apply to (an observational study) get no
    number: "status" says "not applicable" and "reason" why; --format json lists them apart.
    Copies of a trial, by NCT id, are named, and counted once in the number of successes to expect.

    CSV has one row a trial: probability, lower, upper, base_rate and score are about "label"; a
    question with several answers has each of them in "probabilities" and "base_rates". score is
    the log-odds before calibration and orders trials with equal chances. JSON and CSV are the
    same as the Studio's and the API's: docs/forecast-format.md describes every key and column.

    With --out, Ctrl-C or a full disk leaves what is done in FILE.partial; --resume continues it.
    Exits with 0 if no record was refused, 1 if some were, 2 if there was nothing to forecast.

    [bold]Examples[/bold]

        llm4top forecast --example

        llm4top forecast NCT01234567.xml ctg-studies.json

        llm4top forecast AllPublicXML.zip --format csv --out forecasts.csv --resume

        llm4top forecast drafts/ --sort chance

        llm4top forecast drafts/ --model runs/qwen3-8b-top --format json > forecasts.json
    """
    asked = list(paths or ())
    if example:
        asked.append(Path(__file__).parent.parent / "examples")
    if not asked:
        raise typer.BadParameter("give a file or a folder, or --example.", param_hint="PATHS")
    if resume and (out is None or output not in RESUMABLE or sort is not None):
        raise typer.BadParameter(
            "goes with --out and --format csv or jsonl, without --sort.", param_hint="--resume"
        )
    if output is not ForecastFormat.table and isinstance(sys.stdout, io.TextIOWrapper):
        # What programs read is UTF-8, whatever the terminal's encoding.
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    resumable = output in RESUMABLE and sort is None
    with (
        opened(asked) as records,
        written(out, resume=resume, resumable=resumable) as target,
    ):
        with _working(f"Loading {model}"):
            from llm4top.cli.model_options import open_forecaster

            forecaster = open_forecaster(
                model, task, device=device, quantize=quantize, batch_tokens=batch_tokens
            )
        tally = forecast_all(
            forecaster, records, output, target, limit=limit, resume=resume, sort=sort
        )
    if output is ForecastFormat.table and tally.done:
        _explain_base_rates(forecaster)
    _conclude(tally, records, forecaster.identity)


def _explain_base_rates(forecaster: LoadedForecaster) -> None:
    """Say which trials the column of base rates is about."""
    manifest = forecaster.manifest
    if manifest is None or manifest.data is None or not manifest.base_rates:
        return
    learnt = manifest.base_rates.get("all")
    trials = f"{thousands(learnt.n)} trials" if learnt else "trials"
    note(
        f"Base rate: what was observed in the same phase among the {trials} of "
        f"{printable(manifest.data.name)} that the model learnt from, not among all trials."
    )


def _conclude(tally: Tally, records: Records, bundle: str) -> None:
    """Say how many there were and by which model; leave with the exit code that follows."""
    from llm4top.forecasters.forecast_format import DISCLAIMER

    for line in tally.lines():
        note(printable(line))
    apart = f"{thousands(tally.left_out)} not applicable, " if tally.left_out else ""
    refused = f"{thousands(records.refused)} refused"
    note(f"{thousands(tally.done)} forecast by {bundle}, {apart}{refused}. {DISCLAIMER}")
    if tally.done + tally.left_out == 0:
        if not records.refused:
            records.explain_nothing()
        raise typer.Exit(NOTHING_DONE)
    if records.refused:
        raise typer.Exit(IN_PART)


@contextmanager
def _working(words: str) -> Iterator[None]:
    """Say what is being done while it takes its time; nothing where nobody watches."""
    from llm4top.cli.console import standard_error

    console = standard_error()
    if not console.is_terminal:
        yield
        return
    with console.status(words):
        yield
