"""Forecasting record after record into one of the formats, from the start or behind a part."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from llm4top.cli.console import names_apart, note, progress_bar, short_name
from llm4top.cli.streams import KeptRow, Target, kept_rows
from llm4top.errors import WorkspaceError
from llm4top.progress import OnProgress, ignore
from llm4top.text import counted, safe_cell, thousands

if TYPE_CHECKING:
    from llm4top.cli.output import ForecastWriter
    from llm4top.forecasters.base_rate_shift import TargetRates
    from llm4top.forecasters.forecast_format import Forecast, NotApplicable
    from llm4top.forecasters.forecaster import Forecaster
    from llm4top.registry.trial import Record
    from llm4top.tasks.task import Task

CHUNK = 64
"""Trials that are forecast together: enough to batch by length, few enough to see rows soon."""


@dataclass(frozen=True)
class Output:
    """Which forecasts are written, where and how."""

    asked: Annotated[
        Literal["table", "json", "jsonl", "csv", "html", "parquet"] | None,
        typer.Option(
            "--format",
            help="A table or an HTML report for people, or a format for programs; parquet writes "
            "many files into the folder --out. Default: by the ending of --out, else a table.",
        ),
    ] = None
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of records.", metavar="N")
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file instead of standard output; a folder for Parquet.",
            metavar="FILE",
        ),
    ] = None
    portfolio: Annotated[
        Path | None,
        typer.Option(
            help="Write what all records add up to into this file (.csv or .json): expected "
            "successes and, as --question asks, failures by reason and trials ended by year.",
            metavar="FILE",
            dir_okay=False,
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume an interrupted call; needs --out and csv or jsonl."),
    ] = False
    sort: Annotated[
        Literal["chance", "record", "base-diff"] | None,
        typer.Option(
            help="Order: highest chance first, by record, or furthest above the base rate first. "
            "Default: as read."
        ),
    ] = None

    @property
    def output(self) -> str:
        """The format: as asked for, by the ending of ``out``, or a table."""
        ending = self.out.suffix.lower().removeprefix(".") if self.out else ""
        known = ("json", "jsonl", "csv", "html", "parquet")
        return self.asked or (ending if ending in known else "table")

    @property
    def resumable(self) -> bool:
        """Whether a later call can continue a file that this one did not finish."""
        return self.output in ("csv", "jsonl") and self.sort is None

    def check(self) -> None:
        """Raise ``typer.BadParameter`` for options that exclude each other."""
        if self.resume and (self.out is None or not self.resumable):
            raise typer.BadParameter(
                "needs --out and --format csv or jsonl, without --sort.", param_hint="--resume"
            )
        if self.portfolio is not None:
            if self.portfolio.suffix.lower() not in (".csv", ".json"):
                raise typer.BadParameter("end its name in .csv or .json.", param_hint="--portfolio")
            if self.resume:
                raise typer.BadParameter(
                    "adds up all records, and --resume skips some: leave one of them out.",
                    param_hint="--portfolio",
                )


def forecast_all(
    forecaster: Forecaster,
    records: Iterator[Record],
    writing: Output,
    target: Target,
    base_rate: TargetRates | None = None,
    *,
    continued: bool = False,
    keep: Callable[[Forecast], None] | None = None,
) -> Tally:
    """Forecast and write record after record; returns the counts of all of them together.

    With ``writing.resume`` the records that the target's part holds are read and not forecast
    again. ``writing.sort`` keeps all forecasts until the last one is made. Ctrl-C ends the
    document before it is raised again. Raises ``WorkspaceError`` for a part that other records or
    another model made. ``continued``: others stand before these. ``keep`` gets each forecast.
    """
    from llm4top.forecasters.forecast import forecast_records

    tally, size = Tally(forecaster.task), 0
    records = islice(records, writing.limit)
    if writing.resume and target.part is not None:
        if target.part.stat().st_size:
            text = base_rate.text if base_rate else None
            records, size = _behind(records, forecaster, text, writing.output, target.part, tally)
            target.cut_to(size)
            target.done = tally.done
            note(f"{counted(tally.done, 'forecast')} in {target.part} already.")
        else:
            note("Nothing to resume: starting with the first record.")
    with _writer(forecaster, writing, target.stream, tally.done, resumed=size > 0 or continued) as (
        writer,
        on_progress,
    ):
        made = forecast_records(
            forecaster, records, base_rate=base_rate, chunk=CHUNK, progress=on_progress
        )
        forecasts = _applicable(made, tally, writer)
        try:
            for forecast in _sorted(forecasts, writing.sort) if writing.sort else forecasts:
                writer.write(told := _counted(forecast, tally))
                if keep is not None:
                    keep(told)
                target.done = tally.done
        except KeyboardInterrupt:
            writer.close()
            raise
        if tally.done or writing.output != "table":
            writer.close()
    return tally


def _counted(forecast: Forecast, tally: Tally) -> Forecast:
    """The forecast with the earlier record of the same trial, where there is one."""
    chance, base = forecast.probability, forecast.compared_with[0]
    earlier = tally.add(forecast.record, forecast.nct_id, chance, base)
    return replace(forecast, same_trial_as=earlier)


def _behind(
    records: Iterator[Record],
    forecaster: Forecaster,
    adapted_to: str | None,
    output: str,
    part: Path,
    tally: Tally,
) -> tuple[Iterator[Record], int]:
    """The records that are still to be forecast, and how many bytes of the part hold the others.

    Only whole chunks are skipped, so that the rest is forecast in the same batches, and with the
    same bits, as in one call.
    """
    from llm4top.forecasters.forecast import not_applicable
    from llm4top.forecasters.forecast_format import COLUMNS

    rows = kept_rows(part, output, tuple(COLUMNS))
    size = 0
    while taken := list(islice(records, CHUNK)):
        held = list(islice(rows, len(taken)))
        _check_rows(held, taken, forecaster.identity, adapted_to, part)
        if len(held) < len(taken):
            return chain(taken, records), size
        for record, row in zip(taken, held, strict=True):
            name, size = record.source.name, row.end
            other = not_applicable(forecaster, record)
            if other is None:
                tally.add(name, record.nct_id, row.probability, row.base_rate)
            else:
                tally.leave_out(other)
    if next(rows, None) is not None:
        raise _other_records(part)
    return iter(()), size


def _check_rows(
    rows: Sequence[KeptRow],
    records: Sequence[Record],
    identity: str,
    adapted_to: str | None,
    part: Path,
) -> None:
    for row, record in zip(rows, records, strict=False):
        if row.record not in (record.source.name, safe_cell(record.source.name)):
            raise _other_records(part)
        if row.bundle is not None and row.bundle != identity:
            raise WorkspaceError(
                f"holds forecasts of {row.bundle}, and the model is {identity}.",
                where=str(part),
                hint="Name the same model, or remove the file to start again.",
            )
        if row.bundle is not None and row.adapted_to not in (
            adapted_to,
            safe_cell(adapted_to or "") or None,
        ):
            raise WorkspaceError(
                f"holds forecasts {_adapted(row.adapted_to)}, and these would be "
                f"{_adapted(adapted_to)}.",
                where=str(part),
                hint="Give the same --base-rate, or remove the file to start again.",
            )


def _adapted(to: str | None) -> str:
    return "not adapted to a base rate" if to is None else f"adapted to the base rate {to}"


def _other_records(part: Path) -> WorkspaceError:
    return WorkspaceError(
        "holds forecasts of other records than these.",
        where=str(part),
        hint="Give the same paths in the same order, or remove the file to start again.",
    )


def _applicable(
    made: Iterable[Forecast | NotApplicable], tally: Tally, writer: ForecastWriter
) -> Iterator[Forecast]:
    """The forecasts; a record that the question does not apply to is noted."""
    from llm4top.forecasters.forecast_format import NotApplicable

    for forecast in made:
        if isinstance(forecast, NotApplicable):
            writer.leave_out(forecast)
            tally.leave_out(forecast)
        else:
            yield forecast


def _sorted(forecasts: Iterable[Forecast], sort: str) -> Iterator[Forecast]:
    """All of them in that order; after Ctrl-C those that there are, and then the interruption."""
    from llm4top.workspace.views.portfolio import above_base, by_chance

    held: list[Forecast] = []
    stopped: KeyboardInterrupt | None = None
    try:
        for forecast in forecasts:
            held.append(forecast)
    except KeyboardInterrupt as interrupt:
        stopped = interrupt
    if sort == "record":
        held.sort(key=lambda forecast: forecast.record)
    else:
        key = by_chance if sort == "chance" else above_base
        held.sort(key=key, reverse=True)
    yield from held
    if stopped is not None:
        raise stopped


@contextmanager
def _writer(
    forecaster: Forecaster, writing: Output, stream: TextIO, before: int, *, resumed: bool
) -> Iterator[tuple[ForecastWriter, OnProgress]]:
    """A writer for the stream and a bar that does not run into what is written.

    Where the rows themselves appear on a terminal as CSV or JSON, they are the progress.
    """
    from llm4top.cli.output import CsvWriter, HtmlWriter, JsonLinesWriter, JsonWriter

    on_terminal = stream.isatty()
    writer: ForecastWriter
    if writing.output == "table":
        from rich.console import Console

        from llm4top.cli.output import TableWriter
        from llm4top.tasks.builtin import OUTCOME

        console = Console(file=stream, highlight=False)
        with progress_bar("Forecasting", writing.limit, console if on_terminal else None) as bar:
            task = forecaster.task
            title = "" if task.name == OUTCOME.name else task.question
            writer = TableWriter(console, several=len(task.labels) > 2, title=title)
            yield writer, lambda p: bar.update(bar.task_ids[0], completed=p.done)
        return
    if writing.output == "csv":
        writer = CsvWriter(stream, heading=not resumed)
    elif writing.output == "html":
        writer = HtmlWriter(stream, forecaster)
    else:
        writer = JsonWriter(stream) if writing.output == "json" else JsonLinesWriter(stream)
    if on_terminal:
        yield writer, ignore
        return
    with progress_bar("Forecasting", writing.limit) as bar:
        yield writer, lambda p: bar.update(bar.task_ids[0], completed=before + p.done)


NAMED = 3
"""Records that are named of many alike; the rest is counted."""


class Tally:
    """Counts forecasts as they come. Holds names and numbers, no records."""

    def __init__(self, task: Task):
        self.done = 0
        self.left_out = 0
        self._task = task
        self._reasons: Counter[str] = Counter()
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        self._first: dict[str, str] = {}
        self._copies: list[str] = []
        self._n_copies = 0
        self._chances = array("d")
        self._from_base: float | None = 0.0

    def add(
        self, record: str, nct_id: str | None, probability: float, base_rate: float | None
    ) -> str | None:
        """Count one forecast; the earlier record with the same NCT id, where there is one."""
        self.done += 1
        first = self._first.setdefault(nct_id, record) if nct_id else record
        if first is not record:
            self._n_copies += 1
            if len(self._copies) < NAMED:
                copy, original = names_apart(record, first)
                self._copies.append(f"{copy} ({nct_id}, as {original})")
            return first
        self._chances.append(probability)
        if base_rate is None or self._from_base is None:
            self._from_base = None
        else:
            self._from_base += base_rate
        return None

    def leave_out(self, record: NotApplicable) -> None:
        """Count a record that the question does not apply to."""
        self.left_out += 1
        self._reasons[record.reason] += 1
        if len(self._names[record.reason]) < NAMED:
            self._names[record.reason].append(short_name(record.record))

    def lines(self) -> list[str]:
        """The sentences, each a line: one a reason, the commonest first; copies; the sum."""
        lines = []
        for reason, count in self._reasons.most_common():
            names = _listed(self._names[reason], count)
            lines.append(f"Not forecast: {counted(count, 'record')} ({names}): {reason}")
        if self._n_copies:
            names = _listed(self._copies, self._n_copies)
            several = "is a copy" if self._n_copies == 1 else "are copies"
            lines.append(
                f"{counted(self._n_copies, 'record')} {several} of a trial that came before, by "
                f"NCT id: {names}."
            )
        return lines + self._expected()

    def _expected(self) -> list[str]:
        """How many trials have the event, copies counted once; nothing for fewer than two."""
        from llm4top.workspace.views.label_bars import event_verb
        from llm4top.workspace.views.portfolio import expected_successes

        if self._task.kind != "binary" or len(self._chances) < 2:
            return []
        found = expected_successes(self._chances)
        once = " (copies counted once)" if self._n_copies else ""
        base = "" if self._from_base is None else f"; by base rates alone {self._from_base:.1f}"
        return [
            f"Expected to {event_verb(self._task.labels[1])}: {found.expected:.1f} of "
            f"{thousands(found.n)} trials{once}, {thousands(found.lower)} to "
            f"{thousands(found.upper)} with 95 % probability if they are independent{base}."
        ]


def _listed(names: list[str], count: int) -> str:
    rest = count - len(names)
    return ", ".join(names) + (f" and {thousands(rest)} more" if rest else "")
