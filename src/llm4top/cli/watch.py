"""How a training run is shown while it runs: a bar on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llm4top.cli.console import note, standard_error
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.text import duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_EVERY = 30.0
"""Seconds between two lines where no terminal shows a bar."""

PHASES = {
    "preflight": "Checking",
    "prompts": "Writing prompts",
    "training": "Training",
    "calibration": "Calibrating",
    "bundle": "Writing the bundle",
    "check": "Checking the reloaded bundle",
    "done": "Done",
}


def figures(progress: Progress) -> str:
    """The figures that are known, in words: loss, validation log-loss, tokens/s, time left."""
    known = progress.figures
    parts = []
    if "loss" in known:
        parts.append(f"loss {known['loss']:.3f}")
    if "log_loss" in known:
        parts.append(f"validation log-loss {known['log_loss']:.3f}")
    if "tokens_per_second" in known:
        parts.append(f"{known['tokens_per_second']:.0f} tokens/s")
    if "eta_seconds" in known:
        parts.append(f"{duration(known['eta_seconds'])} left")
    return ", ".join(parts)


@contextmanager
def watching(speaks: bool) -> Iterator[OnProgress]:
    """What to hand to ``train`` as ``progress``; silent where this process does not speak."""
    console = standard_error()
    if not speaks:
        yield ignore
        return
    if not console.is_terminal:
        yield Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        yield _Bars(bar)


class Lines:
    """One line for each phase, each new validation figure, and every half minute."""

    def __init__(self) -> None:
        self._phase = ""
        self._log_loss: float | None = None
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        """Print a line where there is something new to say."""
        now = time.monotonic()
        new_phase = progress.stage != self._phase
        log_loss = progress.figures.get("log_loss")
        new_figure = log_loss is not None and log_loss != self._log_loss
        if not (new_phase or new_figure or now - self._last >= LINE_EVERY):
            return
        self._phase, self._log_loss, self._last = progress.stage, log_loss, now
        count = f" {progress.done}/{progress.total}" if progress.total else ""
        tail = ": ".join(part for part in (progress.detail, figures(progress)) if part)
        note(f"{PHASES[progress.stage]}{count}{': ' if tail else ''}{tail}")


class _Bars:
    """One bar a phase."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._phase = ""

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._phase:
            for task in list(self._bar.task_ids):
                self._bar.remove_task(task)
            self._phase = progress.stage
            self._bar.add_task(PHASES[progress.stage], figures="")
        self._bar.update(
            self._bar.task_ids[0],
            completed=progress.done,
            total=progress.total or None,
            figures=figures(progress) or progress.detail,
        )
