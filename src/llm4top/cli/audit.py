"""``llm4top audit``: does a data set give its labels away, and by which field?"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.console import counted, progress_bar, safe, thousands
from llm4top.cli.exit_codes import IN_PART

if TYPE_CHECKING:
    from llm4top.data.audit.findings import AuditReport
    from llm4top.progress import Progress

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


class AuditFormat(StrEnum):
    """Formats of the audit."""

    text = "text"
    json = "json"


DatasetArgument = Annotated[
    Path, typer.Argument(help="A data set, as `llm4top ingest` writes it.", metavar="DATASET")
]
OutputOption = Annotated[AuditFormat, typer.Option("--format", help="Text for people, or JSON.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the sample and of the folds.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")]


def audit(
    dataset: DatasetArgument,
    output: OutputOption = AuditFormat.text,
    seed: SeedOption = 0,
    strict: StrictOption = False,
) -> None:
    """Look for leaks: does anything in a data set give the label away, and which field?

    Looks at each field alone, at single words, for the record's own status and reason for
    stopping in its text, for sentences that tell the outcome, for copies and shared ids across
    splits, and for overlap in time. Only labels of train rows are read. Exits with 1 if the audit
    fails; warnings pass, unless --strict is given.

    [bold]Examples[/bold]

        llm4top audit data/top

        llm4top audit data/top --format json > audit.json

        llm4top audit data/top --strict && llm4top train --config mine.yaml
    """
    from llm4top.data.audit.audit import audit as run
    from llm4top.data.dataset import load_dataset

    loaded = load_dataset(dataset)
    with progress_bar("Auditing", None) as bar:

        def show(progress: Progress) -> None:
            bar.update(
                bar.task_ids[0],
                description=f"Auditing: {progress.stage}",
                completed=progress.done,
                total=progress.total,
            )

        report = run(loaded, seed=seed, on_progress=show)
    if output is AuditFormat.json:
        typer.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print(report)
    if not report.passed or (strict and report.verdict != "pass"):
        raise typer.Exit(IN_PART)


def _print(report: AuditReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"[bold]{safe(report.name)}[/]: {thousands(report.rows)} trials, task {report.task}; "
        f"{thousands(report.rows_read_closely)} train rows read closely, seed {report.seed}"
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("", "Check", "Field", "Finding"):
        table.add_column(heading, overflow="fold")
    for line in report.lines:
        colour = _COLOURS[line.verdict]
        verdict = f"[{colour}]{line.verdict}[/]"
        table.add_row(verdict, safe(line.check), safe(line.field), safe(line.finding))
    console.print(table)
    console.print(_conclusion(report))


def _conclusion(report: AuditReport) -> str:
    warnings = sum(line.verdict == "warn" for line in report.lines)
    if report.passed:
        tail = f", with {counted(warnings, 'warning')}" if warnings else ""
        return f"[green]Passed[/]{tail}."
    fields = safe(", ".join(report.fields))
    where = f" Look at: {fields}." if fields else ""
    return f"[red]Failed.[/]{where}"
