"""``llm4top audit``: whether a data set reveals its labels, and by which field."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.console import print_json, safe, standard_output, table_of
from llm4top.cli.exit_codes import IN_PART
from llm4top.cli.options import TextFormat
from llm4top.cli.watch import watching
from llm4top.text import counted, thousands

if TYPE_CHECKING:
    from llm4top.data.audit.findings import AuditReport

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


def audit(
    dataset: Annotated[
        Path,
        typer.Argument(help="Folder of a data set made by `llm4top ingest`.", metavar="DATASET"),
    ],
    output: TextFormat = "text",
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the folds.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
) -> None:
    """Check a data set for leaks: whether anything reveals the label, and which field.

    Checks each field alone, single words, the record's own status and reason for stopping in its
    text, sentences that reveal the outcome, copies and shared ids across splits, and overlap in
    time. Only labels of train rows are read. Exits with 1 if the audit fails; warnings pass unless
    --strict is given.

    [bold]Examples[/bold]

        llm4top audit data/top

        llm4top audit data/top --format json > audit.json

        llm4top audit data/top --strict && llm4top train --config mine.yaml
    """
    from llm4top.data.audit.audit import audit as run
    from llm4top.data.dataset import load_dataset

    with watching(lines=False) as progress:
        report = run(load_dataset(dataset), seed=seed, on_progress=progress)
    if output == "json":
        print_json(report.to_dict())
    else:
        _print(report)
    if not report.passed or (strict and report.verdict != "pass"):
        raise typer.Exit(IN_PART)


def _print(report: AuditReport) -> None:
    console = standard_output()
    console.print(
        f"[bold]{safe(report.name)}[/]: {thousands(report.rows)} trials, task {report.task}; "
        f"{thousands(report.rows_read_closely)} train rows read closely, seed {report.seed}"
    )
    rows = []
    for line in report.lines:
        verdict = f"[{_COLOURS[line.verdict]}]{line.verdict}[/]"
        rows.append((verdict, safe(line.check), safe(line.field), safe(line.finding)))
    console.print(table_of(("", "Check", "Field", "Finding"), rows))
    console.print(_conclusion(report))


def _conclusion(report: AuditReport) -> str:
    warnings = sum(line.verdict == "warn" for line in report.lines)
    if report.passed:
        tail = f", with {counted(warnings, 'warning')}" if warnings else ""
        return f"[green]Passed[/]{tail}."
    fields = safe(", ".join(report.fields))
    where = f" Look at: {fields}." if fields else ""
    return f"[red]Failed.[/]{where}"
