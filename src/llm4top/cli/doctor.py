"""``llm4top doctor``: one screen about what works, what is missing and what fixes it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli.exit_codes import IN_PART

if TYPE_CHECKING:
    from llm4top.forecasters.doctor import Check

_MARKS = {"ok": "[green]✓[/]", "missing": "[yellow]○[/]", "broken": "[bold]✗[/]", "info": " "}


class DoctorFormat(StrEnum):
    """Formats of the doctor's report."""

    table = "table"
    json = "json"


def doctor(
    output: Annotated[
        DoctorFormat, typer.Option("--format", help="A screen for people, or JSON.")
    ] = DoctorFormat.table,
) -> None:
    """Check the installation: versions, device, memory, disk, models, and what fixes a fault.

    Exits with 1 if something that is needed is broken. What is merely missing is not a fault.

    [bold]Examples[/bold]

        llm4top doctor

        llm4top doctor --format json
    """
    from llm4top.forecasters.doctor import all_checks

    checks = list(all_checks())
    broken = [check for check in checks if check.state == "broken"]
    if output is DoctorFormat.json:
        _print_json(checks, healthy=not broken)
    else:
        _print_screen(checks, len(broken))
    if broken:
        raise typer.Exit(IN_PART)


def _print_json(checks: Sequence[Check], *, healthy: bool) -> None:
    import json
    from dataclasses import asdict

    report = {"healthy": healthy, "checks": [asdict(check) for check in checks]}
    typer.echo(json.dumps(report, indent=2, ensure_ascii=False))


def _print_screen(checks: Sequence[Check], broken: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    group = ""
    for check in sorted(checks, key=lambda c: [g.group for g in checks].index(c.group)):
        if check.group != group:
            group = check.group
            table.add_row("", f"[bold]{group}[/]", "")
        found = escape(check.found)
        if check.mend:
            found += f"\n[dim]→ {escape(check.mend)}[/]"
        table.add_row(_MARKS[check.state], escape(check.name), found)
    console = Console(highlight=False)
    console.print(table)
    verdict = f"{broken} broken: see ✗ above." if broken else "All that is needed works."
    console.print(f"\n[bold]{verdict}[/]")
