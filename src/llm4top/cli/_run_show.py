"""One run for a person: how it stands, when it was, its figures and the end of its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from llm4top.cli._console import clock, note, printable, safe

if TYPE_CHECKING:
    from llm4top.workspace import Run

_LONGEST = 60
"""Characters of one value in a line of the log."""


def print_run(run: Run, folder: Path, progress: str, log: Sequence[str]) -> None:
    """Print everything that is known of it, the figures and the log where there are some."""
    import yaml
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "Run": run.id,
        "Kind": run.kind,
        "State": run.state.value,
        "Title": run.title,
        "Device": run.device or "",
        "Times": _times(run),
        "Progress": progress if not run.error else "",
        "Error": run.error or "",
        "Folder": str(folder),
        "Settings": yaml.safe_dump(run.settings, allow_unicode=True).rstrip(),
        "Result": yaml.safe_dump(run.result, allow_unicode=True).rstrip() if run.result else "",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, safe(value))
    console = Console(highlight=False)
    console.print(table)
    figures = figures_of(folder)
    if figures:
        from llm4top.cli._train import metrics_table

        console.print(f"\nOn {figures['n']} trials of the split {figures['split']}:")
        console.print(metrics_table(figures["forecasters"]))
    if log:
        note("\nThe end of its log:")
        for line in log:
            typer.echo(printable(line))


def _times(run: Run) -> str:
    """When it was created, began and ended, and how long it took."""
    parts = [f"created {_moment(run.created)}"]
    if run.started:
        parts.append(f"started {_moment(run.started)}")
    if run.finished:
        parts.append(f"finished {_moment(run.finished)}")
    if run.started and run.finished:
        parts.append(f"took {clock((run.finished - run.started).total_seconds())}")
    return ", ".join(parts)


def _moment(when: datetime) -> str:
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S}"


def figures_of(folder: Path) -> dict[str, Any]:
    """The figures that a training measured last, as its folder holds them; empty without any."""
    for event in reversed(_events(folder)):
        if event.get("event") == "figures" and "forecasters" in event:
            return dict(event)
    return {}


def folder_log(folder: Path, lines: int) -> list[str]:
    """The last events of a training's folder, a line each; for one without a worker's log."""
    return [_line(event) for event in _events(folder)[-lines:]] if lines else []


def _events(folder: Path) -> list[dict[str, Any]]:
    from llm4top.training import RunFolder

    return RunFolder(folder).events()


def _line(event: Mapping[str, Any]) -> str:
    told = " ".join(
        f"{name}={_short(value)}"
        for name, value in event.items()
        if name not in ("time", "event") and isinstance(value, str | int | float)
    )
    return f"{event.get('time', '')} {event.get('event', '')} {told}".strip()


def _short(value: str | int | float) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
