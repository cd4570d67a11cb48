"""``llm4top doctor``: what works, what is missing and how to fix it, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from llm4top.cli.console import print_json, standard_output, table_of
from llm4top.cli.exit_codes import IN_PART
from llm4top.cli.options import TableFormat

if TYPE_CHECKING:
    from llm4top.forecasters.doctor import Check

_MARKS = {"ok": "[green]✓[/]", "missing": "[yellow]○[/]", "broken": "[bold]✗[/]", "info": " "}


def doctor(output: TableFormat = "table") -> None:
    """Check the installation: versions, device, memory, disk and models, with fixes.

    Exits with 1 if something that is needed is broken. A missing optional part is not a fault.

    [bold]Examples[/bold]

        llm4top doctor

        llm4top doctor --format json
    """
    from llm4top.forecasters.doctor import all_checks

    checks = list(all_checks())
    broken = [check for check in checks if check.state == "broken"]
    if output == "json":
        print_json({"healthy": not broken, "checks": [asdict(check) for check in checks]})
    else:
        _print_screen(checks, len(broken))
    if broken:
        raise typer.Exit(IN_PART)


def _print_screen(checks: Sequence[Check], broken: int) -> None:
    from rich.markup import escape

    table = table_of(("", "", ""))
    group = ""
    for check in sorted(checks, key=lambda c: [g.group for g in checks].index(c.group)):
        if check.group != group:
            group = check.group
            table.add_row("", f"[bold]{group}[/]", "")
        found = escape(check.found)
        if check.mend:
            found += f"\n[dim]→ {escape(check.mend)}[/]"
        table.add_row(_MARKS[check.state], escape(check.name), found)
    console = standard_output()
    console.print(table)
    verdict = f"{broken} broken: see ✗ above." if broken else "All that is needed works."
    console.print(f"\n[bold]{verdict}[/]")
