"""``llm4top forecast``: the chance of success of every trial in files, folders and zips."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from llm4top.cli._console import counted, note, printable, progress_bar, thousands
from llm4top.cli._exit import IN_PART, NOTHING_DONE

if TYPE_CHECKING:
    from llm4top.cli._output import ForecastWriter
    from llm4top.forecasters import Forecast, LoadedForecaster, NotApplicable
    from llm4top.registry import Record, RecordReader

CHUNK = 64
"""Trials that are forecast together: enough to batch by length, few enough to see rows soon."""

NAMED = 3
"""Records that are named of those that a question does not apply to; the rest is counted."""


class ForecastFormat(StrEnum):
    """Formats of the forecasts."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Records: XML or JSON files, TOP's CSV, zips, folders of them.", metavar="PATHS..."
    ),
]
ModelOption = Annotated[
    str, typer.Option(help="A bundle's name or folder, or a base model to ask untrained.")
]
TaskOption = Annotated[
    str | None,
    typer.Option(help="The question. Default: the one the bundle has learnt, else outcome."),
]
OutputOption = Annotated[
    ForecastFormat,
    typer.Option("--format", help="A table for people, or a format for programs."),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Stop after so many trials.", metavar="N")
]
OutOption = Annotated[
    Path | None, typer.Option(help="Write to this file instead of standard output.")
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
    bool, typer.Option("--example", help="Forecast the invented example that ships with it.")
]


def forecast(
    paths: PathsArgument = None,
    model: ModelOption = "embedded",
    task: TaskOption = None,
    output: OutputOption = ForecastFormat.table,
    limit: LimitOption = None,
    out: OutOption = None,
    device: DeviceOption = "auto",
    quantize: QuantizeOption = None,
    batch_tokens: BatchTokensOption = None,
    example: ExampleOption = False,
) -> None:
    """Forecast the chance of success of every trial in PATHS.

    One line a trial on standard output, as soon as it is done; refused records by name on
    standard error. CSV columns: record, nctid, phase, task, probability, lower, upper, base_rate,
    warnings, bundle. Exits with 0 if every record was forecast, 1 if some were refused, 2 if
    there was nothing to forecast.

    [bold]Examples[/bold]

        llm4top forecast --example

        llm4top forecast NCT01234567.xml ctg-studies.json

        llm4top forecast AllPublicXML.zip --limit 500 --format csv > forecasts.csv

        llm4top forecast drafts/ --model runs/qwen3-8b-top --format json --out forecasts.json
    """
    asked = list(paths or ())
    if example:
        asked.append(Path(__file__).parent.parent / "examples")
    if not asked:
        raise typer.BadParameter("give a file or a folder, or --example.", param_hint="PATHS")
    from llm4top.registry import read_records

    reader = read_records(
        asked,
        on_refusal=lambda error: note(f"Refused: {printable(str(error))}"),
        on_note=lambda remark: note(f"Note: {printable(str(remark))}"),
    )
    with _working(f"Loading {model}"):
        from llm4top.cli._models import open_forecaster

        forecaster = open_forecaster(
            model, task, device=device, quantize=quantize, batch_tokens=batch_tokens
        )
    with _opened(out) as stream:
        done, left_out = _forecast_all(forecaster, reader, output, stream, limit)
    _conclude(done, left_out, reader.summary.skipped, forecaster.identity)


class LeftOut:
    """Counts the records that the question does not apply to; names the first of each reason."""

    def __init__(self) -> None:
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        self._counts: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many there were."""
        return self._counts.total()

    def add(self, record: NotApplicable) -> None:
        """Count one."""
        self._counts[record.reason] += 1
        if len(self._names[record.reason]) < NAMED:
            self._names[record.reason].append(record.record)

    def lines(self) -> list[str]:
        """One line a reason, the commonest first, with the first names."""
        lines = []
        for reason, count in self._counts.most_common():
            rest = count - len(self._names[reason])
            names = ", ".join(self._names[reason]) + (
                f" and {thousands(rest)} more" if rest else ""
            )
            lines.append(f"Not forecast: {counted(count, 'record')} ({names}): {reason}")
        return lines


def _conclude(done: int, left_out: LeftOut, refused: int, bundle: str) -> None:
    """Say how many there were and by which model; leave with the exit code that follows."""
    from llm4top.cli._output import DISCLAIMER

    for line in left_out.lines():
        note(printable(line))
    apart = f"{thousands(left_out.count)} not applicable, " if left_out.count else ""
    note(
        f"{thousands(done)} forecast by {bundle}, {apart}{thousands(refused)} refused. {DISCLAIMER}"
    )
    if done + left_out.count == 0:
        raise typer.Exit(NOTHING_DONE)
    if refused:
        raise typer.Exit(IN_PART)


def _forecast_all(
    forecaster: LoadedForecaster,
    reader: RecordReader,
    output: ForecastFormat,
    stream: TextIO,
    limit: int | None,
) -> tuple[int, LeftOut]:
    """Forecast and write record after record; return how many, and what was left out."""
    from llm4top.forecasters import NotApplicable

    done, left_out = 0, LeftOut()
    with _progress(output, stream, limit) as (writer, advance):
        for record, forecast in _forecasts(forecaster, islice(reader, limit), advance):
            if isinstance(forecast, NotApplicable):
                writer.leave_out(forecast)
                left_out.add(forecast)
                continue
            writer.write(record, forecast)
            done += 1
        if done or output is not ForecastFormat.table:
            writer.close()
    return done, left_out


def _forecasts(
    forecaster: LoadedForecaster, records: Iterator[Record], advance: Callable[[int], None]
) -> Iterator[tuple[Record, Forecast | NotApplicable]]:
    """Each record with its forecast; holds the records of one chunk."""
    from llm4top.forecasters import forecast_records

    waiting: deque[Record] = deque()

    def remembered() -> Iterator[Record]:
        for record in records:
            waiting.append(record)
            yield record

    forecasts = forecast_records(
        forecaster, remembered(), chunk=CHUNK, progress=lambda p: advance(p.prompts)
    )
    for forecast in forecasts:
        yield waiting.popleft(), forecast


@contextmanager
def _progress(
    output: ForecastFormat, stream: TextIO, limit: int | None
) -> Iterator[tuple[ForecastWriter, Callable[[int], None]]]:
    """A writer for the stream and a bar that does not run into what is written.

    Where the rows themselves appear on a terminal as CSV or JSON, they are the progress.
    """
    from rich.console import Console

    from llm4top.cli._output import WRITERS, TableWriter

    on_terminal = stream.isatty()
    if output is ForecastFormat.table:
        console = Console(file=stream, highlight=False)
        with progress_bar("Forecasting", limit, console if on_terminal else None) as bar:
            yield TableWriter(console), lambda n: bar.update(bar.task_ids[0], completed=n)
        return
    writer = WRITERS[output.value](stream)
    if on_terminal:
        yield writer, lambda _: None
        return
    with progress_bar("Forecasting", limit) as bar:
        yield writer, lambda n: bar.update(bar.task_ids[0], completed=n)


@contextmanager
def _working(words: str) -> Iterator[None]:
    """Say what is being done while it takes its time; nothing where nobody watches."""
    from llm4top.cli._console import standard_error

    console = standard_error()
    if not console.is_terminal:
        yield
        return
    with console.status(words):
        yield


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that is there only when it is whole."""
    if out is None:
        yield sys.stdout
        return
    scratch = out.with_name(f".{out.name}.partial")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        scratch.replace(out)
    finally:
        scratch.unlink(missing_ok=True)
