"""What the commands share in talking to a person: progress, percentages, notes.

Results go to standard output, everything else to standard error, so that a pipe carries results
only. ``rich`` is imported where it is used: the help must not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def note(text: str) -> None:
    """One line for the person, on standard error."""
    typer.echo(text, err=True)


def percent(probability: float) -> str:
    """``0.6249`` as "62 %", never "0 %" or "100 %" for a chance that is neither."""
    if 0 < probability < 0.005:
        return "< 1 %"
    if 0.995 <= probability < 1:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def thousands(count: int) -> str:
    """An integer with thin spaces between its thousands."""
    return f"{count:,}".replace(",", "\N{THIN SPACE}")


def clock(seconds: float) -> str:
    """``4000`` as "1 h 07 min"; under a minute in seconds."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 record", "2 records"."""
    return f"{thousands(count)} {noun}{'' if count == 1 else 's'}"


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


def printable(text: str) -> str:
    """``text`` without control characters: a record must not steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def safe(text: str) -> str:
    """Foreign text for a ``rich`` console: neither markup nor control characters."""
    from rich.markup import escape

    return escape(printable(text))


def is_main_process() -> bool:
    """Whether this process speaks: under ``torchrun`` only the first one does."""
    return int(os.environ.get("RANK", "0")) == 0


def standard_error() -> Console:
    """A console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def progress_bar(
    description: str, total: float | None, console: Console | None = None
) -> Iterator[Progress]:
    """A bar with one task, shown only on a terminal and wiped when done.

    On standard error, unless results go to a terminal through ``console``: then through it, so
    that the two do not run into each other.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    console = console or standard_error()
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        bar.add_task(description, total=total)
        yield bar
