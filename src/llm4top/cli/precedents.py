"""``llm4top precedents``: the earlier trials with known outcome that are most like a record."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.console import note, print_json, safe, standard_output
from llm4top.cli.exit_codes import IN_PART, NOTHING_DONE
from llm4top.cli.options import PlainGroup, ReportFormat, add_command, named_task, task_names
from llm4top.cli.streams import opened
from llm4top.cli.watch import watching
from llm4top.text import CsvRows, counted, interval, one_line, percent, thousands

if TYPE_CHECKING:
    from llm4top.forecasters.precedents.found import Found
    from llm4top.forecasters.precedents.precedents import Precedents
    from llm4top.registry.trial import Record

WORDS_ONLY = "none"
_TITLE = 60

precedents_app = typer.Typer(
    name="precedents",
    cls=PlainGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Find the earlier trials with known outcome that are most like a record.",
)

Sources = Annotated[
    list[Path],
    typer.Argument(
        help="A data set made by `llm4top ingest`, TOP's folder, or registry records: files, "
        "folders, zips."
    ),
]
QuestionOption = Annotated[
    str | None,
    typer.Option(
        help="For records: outcome, completion, or a YAML file. Default: outcome for TOP's files, "
        "which bring labels, else completion, which the status tells.",
        autocompletion=task_names,
    ),
]
IndexOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the index.", show_default="precedents in LLM4TOP_HOME"),
]


def build(
    sources: Sources,
    out: IndexOption = None,
    task: QuestionOption = None,
    model: Annotated[
        str,
        typer.Option(
            help="Whose language model reads the trials, or none to compare by words alone."
        ),
    ] = "embedded",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the index that is there.")
    ] = False,
) -> None:
    """Build an index of trials with known outcome, for `llm4top precedents find`.

    No index ships with LLM4TOP, because most data sets may not be passed on. Trials without a
    completion date are left out, since nobody can tell whether they ended before another trial
    began. The test split of a data set is left out as well. Exits with 1 if records were refused.

    [bold]Examples[/bold]

        llm4top precedents build data/top

        llm4top precedents build AllPublicXML.zip --out data/precedents

        llm4top precedents build AllPublicXML.zip --model none --overwrite
    """
    from llm4top.forecasters.precedents.precedents import Precedents, default_folder

    refused: list[Exception] = []
    folder = out or default_folder()
    with watching(lines=False) as progress:
        built = Precedents.build(
            sources,
            folder,
            task=named_task(task),
            model=None if model == WORDS_ONLY else model,
            replace=overwrite,
            on_refusal=refused.append,
            on_progress=progress,
        )
    print_index(built, folder)
    if refused:
        note(f"{counted(len(refused), 'record')} refused. The first: {refused[0]}")
        raise typer.Exit(IN_PART)


def print_index(built: Precedents, folder: Path) -> None:
    """What an index holds: trials, dates, the question and how it was answered."""
    card, console = built.card, standard_output()
    labels = ", ".join(f"{safe(label)} {thousands(n)}" for label, n in card.counts.items())
    console.print(
        f"[bold]{safe(str(folder))}[/]: {counted(len(built), 'trial')} completed between "
        f"{card.first} and {card.last}, task {safe(built.task.name)} ({labels})"
    )
    console.print(f"  {safe(built.task.question)}")
    model = f" and by the language model of {safe(card.model)}" if card.model else ""
    console.print(f"  compared by words{model}")
    for reason, count in card.left_out.items():
        console.print(f"  left out: {thousands(count)} {reason}")
    for terms in card.data.terms:
        console.print(f"  [dim]{safe(terms)}[/]")


def find(
    record: Annotated[
        Path,
        typer.Argument(help="A record, or several: XML, JSON, CSV, zip, folder; - for stdin."),
    ],
    index: IndexOption = None,
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="How many precedents.")] = 10,
    before: Annotated[
        str | None,
        typer.Option(
            help="Only trials completed before this date. Default: the record's start, planned or "
            "real, else today.",
            metavar="DATE",
        ),
    ] = None,
    output: Annotated[
        ReportFormat, typer.Option("--format", help="A table for people, or for programs.")
    ] = "text",
) -> None:
    """Find the earlier trials that are most like each record, and how they ended.

    Two rankings are fused, one by words and one by the language model's own representation. Only
    trials that were completed before the record's start count. The share that succeeded is shown
    with Wilson's 95 % interval, next to the base rate of all earlier trials of the phase.
    Similarity is no cause: a precedent tells what became of a similar trial, not what will become
    of this one.

    [bold]Examples[/bold]

        llm4top precedents find NCT01234567.xml

        llm4top precedents find draft.json -k 20 --before 2026-07

        llm4top precedents find records/ --format csv > precedents.csv
    """
    from llm4top.forecasters.precedents.precedents import Precedents

    loaded = Precedents.load(index)
    with opened([record]) as records:
        _write(((item, loaded.find(item, k, before=before)) for item in records), output)
    if not records.read and not records.refused:
        records.explain_nothing()
    if not records.read or records.refused:
        raise typer.Exit(IN_PART if records.read else NOTHING_DONE)


def _write(found: Iterator[tuple[Record, Found]], output: ReportFormat) -> None:
    from llm4top.forecasters.precedents.found import COLUMNS

    if output == "json":
        print_json([{"record": item.source.name, **answer.to_dict()} for item, answer in found])
    elif output == "csv":
        rows = CsvRows(sys.stdout)
        rows.writerow(("record", *COLUMNS))
        for item, answer in found:
            for row in answer.rows():
                rows.writerow((item.source.name, *row))
    else:
        for item, answer in found:
            _print(item, answer)


def _print(record: Record, found: Found) -> None:
    from llm4top.forecasters.precedents.found import in_words

    console = standard_output()
    name = record.nct_id or one_line(record.source.name)
    console.print(
        f"[bold]{safe(name)}[/]  {counted(found.earlier, 'trial')} completed before {found.before} "
        f"({found.before_is}); {thousands(found.later)} later ones not considered"
    )
    for line in found.notes:
        console.print(f"[yellow]![/] {safe(line)}")
    if not found.neighbours:
        return
    console.print(_shares(found))
    for item in found.neighbours:
        model = "" if item.model is None else f", by the model {item.model:.2f}"
        console.print(
            f"{item.rank:3}. [bold]{item.nct_id}[/] {safe(item.outcome)}, {safe(item.phase or '')}"
            f", completed {item.completion_date}; similarity by words {item.words:.2f}{model}"
        )
        console.print(f"     {safe(one_line(item.title))}", soft_wrap=True)
        console.print(f"     [dim]{item.link}[/]", soft_wrap=True)
        for difference in item.differences:
            console.print(f"     [dim]{safe(one_line(in_words(difference), 200))}[/]")


def _shares(found: Found) -> str:
    """How many of the neighbours had each label, one line each; of a yes-no question the yes."""
    lines = []
    phase = "all phases" if found.base_phase in (None, "all") else found.base_phase
    shown = [found.event] if len(found.shares) == 2 else found.shares
    for share in shown:
        if share is not None:
            lines.append(
                f"{share.count} of {len(found.neighbours)} ended with "
                f"[bold]{safe(share.label)}[/]: {percent(share.share)} "
                f"({interval(share.lower, share.upper)}); base rate "
                f"{percent(share.base_rate)} of {counted(found.base_n, 'earlier trial')}, "
                f"{safe(phase)}"
            )
    return "\n".join(lines)


add_command(precedents_app, build)
add_command(precedents_app, find)
