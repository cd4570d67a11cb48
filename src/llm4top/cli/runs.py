"""``llm4top runs``: what is running, queued and finished, here and in the Studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli.console import note, print_json, safe, standard_output, table_of
from llm4top.cli.exit_codes import IN_PART
from llm4top.cli.options import PlainGroup, TextFormat, add_command, run_ids
from llm4top.text import duration, one_line, printable

if TYPE_CHECKING:
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.workspace import Workspace

_LONGEST = 60
"""Characters of one value in a line of the log."""


def print_run(run: Run, folder: Path, progress: str, log: Sequence[str]) -> None:
    """Print everything that is known about it, with its figures and its log if there are any."""
    import yaml

    table = table_of(("", ""))
    table.columns[0].style, table.columns[0].no_wrap = "bold", True
    rows = {
        "Run": run.id,
        "Kind": run.kind,
        "State": run.state.value,
        "Title": run.title,
        "Device": run.device or "",
        "Machine": run.machine or "",
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
    console = standard_output()
    console.print(table)
    figures = figures_of(folder)
    if figures:
        from llm4top.cli.train import metrics_table

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
        parts.append(f"took {duration((run.finished - run.started).total_seconds())}")
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
    from llm4top.training.run_folder import RunFolder

    return RunFolder(folder).events()


def _line(event: Mapping[str, Any]) -> str:
    details = " ".join(
        f"{name}={_short(value)}"
        for name, value in event.items()
        if name not in ("time", "event") and isinstance(value, str | int | float)
    )
    return f"{event.get('time', '')} {event.get('event', '')} {details}".strip()


def _short(value: str | int | float) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return one_line(text, _LONGEST)


runs_app = typer.Typer(
    cls=PlainGroup,
    name="runs",
    help="List and manage runs: trainings started in a terminal, and all work of the Studio. "
    "(evaluate, compare, select, benchmark and forecast in a terminal are not listed.)",
    invoke_without_command=True,
    rich_markup_mode="rich",
)

_SHORT = 8
"""Digits of an id that a list shows; any beginning that only one run has names it."""


RunArgument = Annotated[
    str,
    typer.Argument(
        help="The run's id, or the beginning of it.", metavar="RUN", autocompletion=run_ids
    ),
]


@runs_app.callback()
def _runs(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        list_runs()


def list_runs(
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of runs.")] = 20,
    output: TextFormat = "text",
) -> None:
    """List the newest runs with their state and progress.

    [bold]Examples[/bold]

        llm4top runs

        llm4top runs list --limit 100 --format json
    """
    with _open() as workspace:
        found = workspace.runs.list(limit=limit)
    if output == "json":
        print_json([asdict(run) for run in found])
    elif found:
        _print_table(found)
    else:
        note("There are no runs yet. Start one with llm4top train, or in: llm4top studio")


def show_run(
    run: RunArgument,
    lines: Annotated[int, typer.Option(min=0, help="Lines of its log.")] = 10,
    output: TextFormat = "text",
) -> None:
    """Show one run: its times, settings, progress, figures, and the end of its log.

    [bold]Examples[/bold]

        llm4top runs show 3f2a

        llm4top runs show 3f2a --lines 100
    """
    from llm4top.workspace.jobs.jobs import log_tail

    with _open() as workspace:
        found = _find(workspace, run)
        folder = workspace.runs.folder(found.id)
        tail = log_tail(workspace, found.id, lines) or folder_log(folder, lines)
    if output == "json":
        shown = {"folder": str(folder), "figures": figures_of(folder), "log": tail}
        print_json(asdict(found) | shown)
        return
    print_run(found, folder, _far(found), tail)


def stop_run(run: RunArgument) -> None:
    """Stop a run, wherever it was started. A training writes a checkpoint first.

    [bold]Examples[/bold]

        llm4top runs stop 3f2a
    """
    with _open() as workspace:
        stopped = workspace.runs.request_stop(_find(workspace, run).id)
    short = stopped.id[:_SHORT]
    if stopped.state.is_over:
        note(f"Run {short} is {stopped.state}.")
    else:
        note(f"Run {short} is stopping. Resume it later: llm4top runs resume {short}")


def delete_run(
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """Delete a finished run with its log, its forecasts and its files.

    The folder of a training that was started in a terminal is kept, and so are bundles.

    [bold]Examples[/bold]

        llm4top runs delete 3f2a

        llm4top runs delete 3f2a --yes
    """
    with _open() as workspace:
        found = _find(workspace, run)
        if not yes:
            title = printable(found.title) or found.kind
            typer.confirm(f"Delete run {found.id[:_SHORT]} ({title})?", abort=True, err=True)
        workspace.runs.delete(found.id)
    note(f"Run {found.id[:_SHORT]} is deleted.")


def resume_run(
    run: RunArgument,
    wait: Annotated[
        bool, typer.Option("--wait", help="Run it here and wait until it has finished.")
    ] = False,
) -> None:
    """Resume a run that was interrupted or failed, from its last checkpoint.

    It is queued for the Studio, or for llm4top worker where no Studio is open.
    With [bold]--wait[/bold] this command works through the queue itself.

    [bold]Examples[/bold]

        llm4top runs resume 3f2a

        llm4top runs resume 3f2a --wait
    """
    with _open() as workspace:
        queued = workspace.runs.resume(_find(workspace, run).id)
        note(f"Run {queued.id[:_SHORT]} waits for {queued.device or 'a device'}.")
        if wait:
            _wait(workspace, queued)
        else:
            note("It resumes when the Studio is open (llm4top studio), or llm4top worker runs.")


def _wait(workspace: Workspace, run: Run) -> None:
    """Work through the queue until the run has finished; exit with 1 where it failed."""
    import time

    from llm4top.workspace.jobs.supervisor import Supervisor

    supervisor = Supervisor(workspace)
    supervisor.start()
    try:
        shown = ""
        while not (now := workspace.runs.get(run.id)).state.is_over:
            if (words := _far(now)) != shown:
                shown = words
                note(printable(f"{now.state}: {words}" if words else str(now.state)))
            time.sleep(0.5)
    except KeyboardInterrupt:
        note("Stopping: a training writes a checkpoint first.")
        raise
    finally:
        supervisor.stop()
    note(printable(f"Run {run.id[:_SHORT]} is {now.state}. {now.error or ''}".rstrip()))
    if now.state != "done":
        raise typer.Exit(IN_PART)


def _open() -> Workspace:
    from llm4top.workspace.workspace import Workspace

    return Workspace.open()


def _find(workspace: Workspace, beginning: str) -> Run:
    """The run whose id begins so. Raises ``NotFoundError`` for none, ``JobError`` for several."""
    from llm4top.errors import JobError

    if len(beginning) == 32:
        return workspace.runs.get(beginning)
    found = [r for r in workspace.runs.list(limit=None) if r.id.startswith(beginning.lower())]
    if len(found) > 1:
        raise JobError(
            f"{len(found)} runs have an id that begins with {beginning!r:.80}.",
            hint="Give more of it.",
        )
    return found[0] if found and beginning else workspace.runs.get(beginning)


def _print_table(runs: list[Run]) -> None:
    from llm4top.workspace.run_states import machine_name

    several = any(run.machine not in (None, machine_name()) for run in runs)
    rows = []
    for run in runs:
        started = f"{(run.started or run.created).astimezone():%Y-%m-%d %H:%M}"
        cells = (run.id[:_SHORT], run.kind, run.state.value, started, safe(_far(run)))
        where = (safe(run.machine or ""),) if several else ()
        rows.append((*cells, *where, safe(run.title)))
    headings = ("Run", "Kind", "State", "Started", "Progress")
    where = ("Machine",) if several else ()
    standard_output().print(table_of((*headings, *where, "Title"), rows))


def _far(run: Run) -> str:
    """How far it is, in a few words; what went wrong where something did."""
    if run.error:
        return run.error.splitlines()[0]
    progress = run.progress
    if run.state == "done" or not progress.get("stage"):
        return ""
    words = str(progress["stage"])
    if progress.get("total"):
        words += f" {progress['done']} of {progress['total']}"
    if progress.get("eta_seconds") is not None:
        words += f", {duration(progress['eta_seconds'])} left"
    return words


add_command(runs_app, list_runs, "list")
add_command(runs_app, show_run, "show")
add_command(runs_app, stop_run, "stop")
add_command(runs_app, resume_run, "resume")
add_command(runs_app, delete_run, "delete")
