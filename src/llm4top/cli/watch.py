"""How work is shown while it runs: a bar on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llm4top.cli.console import note, safe, standard_error
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.text import duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_EVERY = 30.0
"""Seconds between two lines where no terminal shows a bar."""

_STAGES = {
    "preflight": "Checking",
    "prompts": "Writing prompts",
    "training": "Training",
    "cross-fitting": "Folds for calibration",
    "calibration": "Calibrating",
    "bundle": "Writing the bundle",
    "check": "Checking the reloaded bundle",
    "done": "Done",
}
"""What the stages of a training are called; those of other work are words already."""


@contextmanager
def watching(*, quiet: bool = False, lines: bool = True) -> Iterator[OnProgress]:
    """Show the progress that the callback receives, on standard error.

    Args:
        quiet: Show nothing at all.
        lines: Whether to write lines where standard error is no terminal.
    """
    console = standard_error()
    if quiet or not (console.is_terminal or lines):
        yield ignore
        return
    if not console.is_terminal:
        yield Lines()
        return
    from rich import progress as bars

    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=24),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TextColumn("{task.fields[details]}"),
    )
    with bars.Progress(*columns, console=console, transient=True) as bar:
        yield _Bars(bar)


def details(progress: Progress) -> str:
    """The detail and the figures of a training that are known, in words."""
    known = progress.figures
    parts = [progress.detail] if progress.detail else []
    if "loss" in known:
        parts.append(f"loss {known['loss']:.3f}")
    if "log_loss" in known:
        parts.append(f"validation log-loss {known['log_loss']:.3f}")
    if "tokens_per_second" in known:
        parts.append(f"{known['tokens_per_second']:.0f} tokens/s")
    if "eta_seconds" in known:
        parts.append(f"{duration(known['eta_seconds'])} left")
    return ", ".join(parts)


class Lines:
    """One line for each stage, each new validation figure, and every half minute."""

    def __init__(self) -> None:
        self._stage = ""
        self._log_loss: float | None = None
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        """Print a line where there is something new to say."""
        now = time.monotonic()
        log_loss = progress.figures.get("log_loss")
        news = progress.stage != self._stage
        news = news or (log_loss is not None and log_loss != self._log_loss)
        if not news and now - self._last < LINE_EVERY:
            return
        self._stage, self._log_loss, self._last = progress.stage, log_loss, now
        count = f" {progress.done}/{progress.total}" if progress.total else ""
        tail = details(progress)
        note(f"{_STAGES.get(progress.stage, progress.stage)}{count}{': ' if tail else ''}{tail}")


class _Bars:
    """One bar a stage."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._stage: str | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            for task in list(self._bar.task_ids):
                self._bar.remove_task(task)
            self._stage = progress.stage
            self._bar.add_task(safe(_STAGES.get(progress.stage, progress.stage)), details="")
        self._bar.update(
            self._bar.task_ids[0],
            completed=progress.done,
            total=progress.total or None,
            details=safe(details(progress)),
        )
