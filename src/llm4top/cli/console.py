"""What the commands share in writing to a terminal: notes, tables, JSON, a progress bar.

Results go to standard output, everything else to standard error, so that a pipe carries results
only. ``rich`` is imported where it is used: the help must not wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import typer

from llm4top.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table


def note(text: str) -> None:
    """One line for the person, on standard error."""
    typer.echo(text, err=True)


def print_json(values: Any) -> None:
    """Indented JSON on standard output; what JSON has no type for as text."""
    typer.echo(json.dumps(values, indent=2, ensure_ascii=False, default=str))


def short_name(name: str) -> str:
    """A record's file or member without its folders: "draft.json#2" of "a/draft.json!#2"."""
    file, _, member = name.rpartition("!")
    if not file:
        return _last(member)
    return f"{_last(file)}{member}" if member.startswith("#") else _last(member)


def names_apart(one: str, other: str) -> tuple[str, str]:
    """Short names of two records, with as many of their folders as it takes to differ."""
    parts = [name.replace("!#", "#").replace("!", "/").split("/") for name in (one, other)]
    for n in range(1, max(map(len, parts)) + 1):
        first, second = ("/".join(part[-n:]) for part in parts)
        if first != second:
            return first, second
    return one, other


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def safe(text: str) -> str:
    """Foreign text for a ``rich`` console: neither markup nor control characters."""
    from rich.markup import escape

    return escape(printable(text))


def standard_output() -> Console:
    """A console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


def standard_error() -> Console:
    """A console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def table_of(
    headings: Iterable[str],
    rows: Iterable[Iterable[str]] = (),
    *,
    justify: Literal["left", "right"] = "left",
    title: str | None = None,
) -> Table:
    """A table without lines; long cells are wrapped, and headings shown unless all are empty.

    ``justify`` is for every column but the first.
    """
    from rich.table import Table

    headings = tuple(headings)
    table = Table(
        box=None,
        pad_edge=False,
        show_header=any(headings),
        title=title,
        title_justify="left",
    )
    for i, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", justify=justify if i else "left")
    for row in rows:
        table.add_row(*row)
    return table


@contextmanager
def progress_bar(
    description: str, total: float | None, console: Console | None = None
) -> Iterator[Progress]:
    """A bar with one task, shown only on a terminal and wiped when done.

    On standard error, unless results go to a terminal through ``console``: then through it, so
    that the two do not run into each other.
    """
    from rich import progress as bars

    console = console or standard_error()
    bar = bars.Progress(
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        bar.add_task(description, total=total)
        yield bar
