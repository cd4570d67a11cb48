"""``llm4top ingest``: make a data set from TOP's folder or from registry records."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llm4top.cli.console import note, progress_bar, standard_output, table_of
from llm4top.cli.exit_codes import IN_PART
from llm4top.cli.options import listed, named_task
from llm4top.cli.precedents import print_index
from llm4top.cli.watch import watching
from llm4top.progress import READING, Progress
from llm4top.text import counted, duration, percent, printable, thousands

if TYPE_CHECKING:
    from llm4top.data.card import DatasetCard
    from llm4top.data.dataset import Dataset
    from llm4top.data.splits import SplitRule

_SHOWN_REFUSALS = 20
_MOST_WORKERS = 8
DEFAULT_SHARES = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class Splitting:
    """How the trials are split."""

    split: Annotated[
        Literal["top", "time", "random"] | None,
        typer.Option(
            help="TOP's own, by start date, or random. Default: the source's own, else by date."
        ),
    ] = None
    train_until: Annotated[
        str | None,
        typer.Option(help="Train on trials that started before this date.", metavar="DATE"),
    ] = None
    valid_until: Annotated[
        str | None,
        typer.Option(
            help="Validate on those before this date; later ones are the test split.",
            metavar="DATE",
        ),
    ] = None
    shares: Annotated[
        str | None,
        typer.Option(
            help="Shares of train, valid and test: oldest to newest, or at random with "
            "--split random. Default: 0.8,0.1,0.1.",
            metavar="TRAIN,VALID,TEST",
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of the random split.")] = 0

    def rule(self) -> SplitRule | None:
        """The rule that the options describe; None for the source's default."""
        from llm4top.data.splits import OwnSplit, RandomSplit, TimeSplit

        self._check()
        if self.train_until:
            return TimeSplit(valid_from=self.train_until, test_from=self.valid_until)
        if self.split == "top":
            return OwnSplit()
        if self.split == "random":
            return RandomSplit(shares=_shares(self.shares), seed=self.seed)
        if self.split == "time" or self.shares is not None:
            return TimeSplit(shares=_shares(self.shares))
        return None

    def _check(self) -> None:
        """Raise ``typer.BadParameter`` for options that exclude each other."""
        if self.valid_until and not self.train_until:
            raise typer.BadParameter("needs --train-until too.", param_hint="--valid-until")
        if self.train_until and self.split not in (None, "time"):
            raise typer.BadParameter("needs --split time.", param_hint="--train-until")
        if self.train_until and self.shares is not None:
            raise typer.BadParameter(
                "cannot be combined with --train-until: the dates decide the shares.",
                param_hint="--shares",
            )
        if self.split == "top" and self.shares is not None:
            raise typer.BadParameter(
                "needs --split time or random: TOP's own split has its own shares.",
                param_hint="--shares",
            )


@dataclass(frozen=True)
class Reading:
    """Which records are read, with which labels."""

    labels: Annotated[
        Path | None, typer.Option(help="A CSV file with the columns nctid and label.")
    ] = None
    label_column: Annotated[
        str, typer.Option(help="The column of that CSV file with the labels.")
    ] = "label"
    phases: Annotated[
        str | None, typer.Option(help="Only these phases, such as I,II,III. Default: all.")
    ] = None
    enrich: Annotated[
        Path | None,
        typer.Option(help="Registry records whose fuller text replaces that of the same trials."),
    ] = None
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of records of each source.")
    ] = None
    precedents: Annotated[
        bool,
        typer.Option(
            "--precedents",
            help="Also build the index of `llm4top precedents find` from it, in LLM4TOP_HOME.",
        ),
    ] = False
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that read a large zip or folder together. Default: one for each "
            "core, at most 8.",
        ),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the data set, and index, that is there.")
    ] = False


def ingest(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="TOP's folder or a zip of it, or registry records: files, folders, zips."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the data set.")],
    task: Annotated[
        str,
        typer.Option(
            help="outcome, completion, why-it-fails, duration, enrolment, dropout, "
            "serious-adverse-events, mortality, or a YAML file that describes a question."
        ),
    ] = "outcome",
    *,
    splitting: Splitting,
    reading: Reading,
) -> None:
    """Make a data set for training: labelled trials with a split and a card.

    Every trial is in one split only, across all phases. The card (card.json) says where the rows
    came from, how the labels are balanced, and what was left out and why. Exits with 1 if records
    were refused.

    [bold]Examples[/bold]

        llm4top ingest clinical-trial-outcome-prediction/data --out data/top

        llm4top ingest AllPublicXML.zip --task completion --out data/completion --precedents

        llm4top ingest AllPublicXML.zip --labels own.csv --train-until 2012 --out data/own

        llm4top ingest TOP --phases II --split random --seed 1 --out data/top-ii
    """
    from llm4top.data.shared_reading import cores

    _ingest(
        sources,
        out,
        task=task,
        split=splitting.rule(),
        **{
            **asdict(reading),
            "phases": listed((reading.phases or "").upper()),
            "workers": reading.workers or min(cores(), _MOST_WORKERS),
        },
    )


def _ingest(sources: list[Path], out: Path, *, task: str, precedents: bool, **options: Any) -> None:
    from llm4top.data.ingest import ingest as run
    from llm4top.data.spool import NO_LABEL
    from llm4top.tasks.builtin import OUTCOME

    refusals, pace = _Refusals(), _Pace()
    if precedents:
        _check_index(replace=options["overwrite"])
    with progress_bar("Reading", None) as bar:

        def watch(progress: Progress) -> None:
            pace.watch(progress)
            bar.update(bar.task_ids[0], completed=progress.done)

        dataset = run(
            sources,
            out,
            task=named_task(task) or OUTCOME,
            on_refusal=refusals,
            on_note=lambda remark: note(f"Note: {printable(str(remark))}"),
            on_progress=watch,
            **options,
        )
    _print_card(dataset.card, out)
    note(str(pace))
    if options["labels"] is None and dataset.task == OUTCOME and NO_LABEL in dataset.card.dropped:
        note("Labels for the rest: --labels FILE, a CSV with the columns nctid and label.")
    if precedents:
        _build_index(dataset, replace=options["overwrite"])
    refusals.conclude()


def _check_index(*, replace: bool) -> None:
    """Refuse an index that is there before an hour of reading, not after."""
    from llm4top.forecasters.precedents.precedents import default_folder
    from llm4top.forecasters.precedents.store import check_target

    check_target(default_folder(), replace=replace)


def _build_index(dataset: Dataset, *, replace: bool) -> None:
    from llm4top.forecasters.precedents.precedents import Precedents, default_folder

    with watching(lines=False) as progress:
        built = Precedents.build(dataset, replace=replace, on_progress=progress)
    print_index(built, default_folder())


class _Pace:
    """How many records were read in how much time."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._read = 0
        self._seconds = 0.0

    def watch(self, progress: Progress) -> None:
        """Take note of progress in reading; what comes after it does not count."""
        if progress.stage == READING:
            self._read, self._seconds = progress.done, time.monotonic() - self._start

    def __str__(self) -> str:
        pace = round(self._read / max(self._seconds, 1e-3))
        return (
            f"Read {counted(self._read, 'record')} in {duration(self._seconds)}: "
            f"{thousands(pace)} a second."
        )


class _Refusals:
    """Names the first refused records on standard error and counts them all."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: Exception) -> None:
        self.count += 1
        if self.count <= _SHOWN_REFUSALS:
            note(f"Refused: {printable(str(error))}")

    def conclude(self) -> None:
        """Leave with exit code 1 where there were any."""
        if self.count:
            note(f"{counted(self.count, 'record')} refused.")
            raise typer.Exit(IN_PART)


def _shares(text: str | None) -> tuple[float, float, float]:
    if text is None:
        return DEFAULT_SHARES
    try:
        train, valid, test = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            "give three numbers with commas, such as 0.8,0.1,0.1.", param_hint="--shares"
        ) from None
    return train, valid, test


def _print_card(card: DatasetCard, out: Path) -> None:
    """What a person wants to know first; the whole card is in the folder."""
    from rich.markup import escape

    console = standard_output()
    labels = [str(label) for label in _labels(card)]
    table = table_of(("Split", "Trials", *labels), justify="right")
    table.add_column("Started")
    for split, counts in card.balance.items():
        total = sum(counts.values())
        span = card.time_span.get(split)
        numbers = [counts.get(label, 0) for label in labels]
        table.add_row(
            split,
            thousands(total),
            *(f"{thousands(number)} ({percent(number / total)})" for number in numbers),
            f"{span.first} to {span.last}" if span and span.first else "no dates",
        )
    console.print(f"[bold]{escape(card.name)}[/]: {counted(card.rows, 'trial')} in {out}")
    console.print(table)
    console.print(f"Split: {card.split_rule}.")
    for reason, count in card.dropped.items():
        console.print(f"Left out: {thousands(count)}, {escape(reason)}")
    for happened, count in card.notes.items():
        console.print(f"{escape(happened[:1].upper() + happened[1:])}: {thousands(count)}")
    for warning in card.warnings:
        console.print(f"[yellow]![/] {escape(warning)}")
    for term in card.terms:
        console.print(f"[dim]{escape(term)}[/]")


def _labels(card: DatasetCard) -> list[object]:
    labels = card.task["labels"]
    return list(labels) if isinstance(labels, list | tuple) else []
