"""``llm4top ingest``: a data set from TOP's folder or from registry records."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.console import counted, note, percent, printable, progress_bar, thousands
from llm4top.cli.exit_codes import IN_PART

if TYPE_CHECKING:
    from llm4top.data.card import DatasetCard
    from llm4top.data.splits import SplitRule

_SHOWN_REFUSALS = 20
DEFAULT_SHARES = (0.8, 0.1, 0.1)


class SplitName(StrEnum):
    """Ways to split."""

    top = "top"
    time = "time"
    random = "random"


SourcesArgument = Annotated[
    list[Path],
    typer.Argument(help="TOP's folder or a zip of it, or registry records: files, folders, zips."),
]
OutOption = Annotated[Path, typer.Option(help="Folder for the data set.")]
TaskOption = Annotated[
    str, typer.Option(help="outcome, completion, or a YAML file that describes a question.")
]
LabelsOption = Annotated[Path | None, typer.Option(help="A CSV with the columns nctid and label.")]
LabelColumnOption = Annotated[str, typer.Option(help="The column of that CSV with the labels.")]
PhasesOption = Annotated[
    str | None, typer.Option(help="Only these phases, such as I,II,III. Default: all.")
]
SplitOption = Annotated[
    SplitName | None,
    typer.Option(
        help="TOP's own, by start date, or random. Default: the source's own, else by date."
    ),
]
TrainUntilOption = Annotated[
    str | None,
    typer.Option(help="Learn from trials that started before this date.", metavar="DATE"),
]
ValidUntilOption = Annotated[
    str | None,
    typer.Option(
        help="Validate on those before this date; later ones are the test.", metavar="DATE"
    ),
]
SharesOption = Annotated[
    str | None,
    typer.Option(
        help="Shares of train, valid and test: oldest to newest, or at random with --split random. "
        "Default: 0.8,0.1,0.1.",
        metavar="TRAIN,VALID,TEST",
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed of the random split.")]
EnrichOption = Annotated[
    Path | None,
    typer.Option(help="Registry records whose fuller text replaces that of the same trials."),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Maximum number of records of each source.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace the data set that is there.")
]


def ingest(
    sources: SourcesArgument,
    out: OutOption,
    task: TaskOption = "outcome",
    labels: LabelsOption = None,
    label_column: LabelColumnOption = "label",
    phases: PhasesOption = None,
    split: SplitOption = None,
    train_until: TrainUntilOption = None,
    valid_until: ValidUntilOption = None,
    shares: SharesOption = None,
    seed: SeedOption = 0,
    enrich: EnrichOption = None,
    limit: LimitOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a data set to learn from: labelled trials with a split and a card.

    Every trial is in one split only, over all phases. The card (card.json) says where the rows
    came from, how the labels are balanced, and what was left out and why. Exits with 1 if records
    were refused.

    [bold]Examples[/bold]

        llm4top ingest clinical-trial-outcome-prediction/data --out data/top

        llm4top ingest AllPublicXML.zip --task completion --out data/completion

        llm4top ingest AllPublicXML.zip --labels own.csv --train-until 2012 --out data/own

        llm4top ingest TOP --phases II --split random --seed 1 --out data/top-ii
    """
    from llm4top.cli.model_options import named_task
    from llm4top.data.ingest import ingest as run
    from llm4top.data.spool import NO_LABEL
    from llm4top.tasks.builtin import OUTCOME

    refusals = _Refusals()
    rule = _split_rule(split, train_until, valid_until, shares, seed)
    with progress_bar("Reading", None) as bar:
        dataset = run(
            sources,
            out,
            task=named_task(task),
            labels=labels,
            label_column=label_column,
            phases=phases.upper().replace(" ", "").split(",") if phases else (),
            split=rule,
            enrich=enrich,
            limit=limit,
            overwrite=overwrite,
            on_refusal=refusals,
            on_note=lambda remark: note(f"Note: {printable(str(remark))}"),
            on_progress=lambda p: bar.update(bar.task_ids[0], completed=p.done),
        )
    _print_card(dataset.card, out)
    if labels is None and dataset.task == OUTCOME and NO_LABEL in dataset.card.dropped:
        note("Labels for the rest: --labels FILE, a CSV with the columns nctid and label.")
    refusals.conclude()


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


def _split_rule(
    split: SplitName | None,
    train_until: str | None,
    valid_until: str | None,
    shares: str | None,
    seed: int,
) -> SplitRule | None:
    """The rule that the options describe; None for the source's default."""
    from llm4top.data.splits import OwnSplit, RandomSplit, TimeSplit

    if valid_until and not train_until:
        raise typer.BadParameter("needs --train-until too.", param_hint="--valid-until")
    if train_until:
        if split not in (None, SplitName.time):
            raise typer.BadParameter("goes with --split time only.", param_hint="--train-until")
        if shares is not None:
            raise typer.BadParameter(
                "goes without --train-until: the dates decide the shares.", param_hint="--shares"
            )
        return TimeSplit(valid_from=train_until, test_from=valid_until)
    if split is SplitName.top:
        if shares is not None:
            raise typer.BadParameter(
                "goes with --split time or random: TOP's own split has its own shares.",
                param_hint="--shares",
            )
        return OwnSplit()
    if split is SplitName.random:
        return RandomSplit(shares=_shares(shares), seed=seed)
    if split is SplitName.time or shares is not None:
        return TimeSplit(shares=_shares(shares))
    return None


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
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    labels = [str(label) for label in _labels(card)]
    table = Table(box=None, pad_edge=False)
    table.add_column("Split")
    for heading in ("Trials", *labels):
        table.add_column(heading, justify="right")
    table.add_column("Started")
    for split, counts in card.balance.items():
        total = sum(counts.values())
        span = card.time_span.get(split)
        table.add_row(
            split,
            thousands(total),
            *(
                f"{thousands(counts.get(x, 0))} ({percent(counts.get(x, 0) / total)})"
                for x in labels
            ),
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
