"""``llm4top train``: fine-tune a base model on a data set, checked before it starts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli.console import note, standard_error, table_of
from llm4top.cli.exit_codes import NOTHING_DONE
from llm4top.cli.log_to import Logging
from llm4top.cli.options import SETTING, PresetOption, dataset_names, given, read_settings
from llm4top.processes import is_main_process, process_count, was_restarted
from llm4top.progress import OnProgress, Progress, ignore
from llm4top.text import duration, thousands

if TYPE_CHECKING:
    from rich.table import Table

    from llm4top.training.config import TrainingConfig
    from llm4top.training.preflight import PreflightReport
    from llm4top.training.run import TrainingResult
    from llm4top.workspace.jobs.job_progress import Reporter
    from llm4top.workspace.workspace import Workspace

_POLL_S = 1.0
_LAST_UPDATE_S = 10.0


@contextmanager
def registered(out: Path, is_main: bool) -> Iterator[OnProgress]:
    """Keep a run of the workspace up to date with the training in ``out``; yields its callback.

    This is best effort, in a thread: a workspace that cannot be opened, or a database that does
    not answer, is noted once and never delays the training. A stop that is requested elsewhere
    arrives as SIGTERM, after which the training writes a checkpoint. Processes of ``torchrun``
    other than the main one register nothing.
    """
    if not is_main:
        yield ignore
        return
    registration = _Registration(out)
    thread = threading.Thread(target=registration.run, name="registration", daemon=True)
    thread.start()
    try:
        yield registration.on_progress
    finally:
        registration.finished.set()
        thread.join(_LAST_UPDATE_S)


class _Registration:
    def __init__(self, out: Path):
        self.finished = threading.Event()
        self._out = out
        self._latest: Progress | None = None
        self._reporter: Reporter | None = None
        self._stopping = False

    def on_progress(self, progress: Progress) -> None:
        """Remember the newest progress; the thread stores it at its next update."""
        self._latest = progress

    def run(self) -> None:
        """Update the run every second, and once more at the end."""
        from llm4top.errors import LLM4TOPError

        try:
            # A training that fails its checks ends before this and is not registered.
            if self.finished.wait(_POLL_S) and not self._is_ours():
                return
            from llm4top.workspace.workspace import Workspace

            with Workspace.open() as workspace:
                while not self.finished.wait(_POLL_S):
                    self._update(workspace)
                self._update(workspace)
        except LLM4TOPError as error:
            note(f"This training is not shown in the Studio: {error}")
        except Exception as error:  # no error here may end the training
            note(f"This training is not shown in the Studio ({type(error).__name__}: {error}).")

    def _update(self, workspace: Workspace) -> None:
        from llm4top.workspace.jobs.job_progress import Reporter
        from llm4top.workspace.jobs.train_job import without_paths

        # A run that the Studio started is registered already, also when it is resumed here.
        known = self._out.resolve().parent == (workspace.folder / "runs").resolve()
        if known or not self._is_ours():
            return
        run = workspace.runs.adopt(self._out)
        if self._reporter is None:
            self._reporter = Reporter(workspace, run.id, run.attempt)
        progress, self._latest = self._latest, None
        # Once more after its end, the run is over in the workspace too and takes no progress.
        if progress is not None and run.state.is_active:
            self._reporter(without_paths(progress))
        if run.state == "stopping" and not self._stopping:
            self._stopping = True
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_ours(self) -> bool:
        """Whether this process writes the folder; an earlier one may have written it before."""
        from llm4top.training.run_folder import RunFolder

        return RunFolder(self._out).state().get("process") == os.getpid()


@dataclass(frozen=True)
class Flags:
    """Settings that have an option of their own; None where it was not given."""

    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a data set made by `llm4top ingest`, or a data set of the Studio by "
            "its name.",
            autocompletion=dataset_names,
        ),
    ] = None
    base: Annotated[
        str | None, typer.Option(help="The base model: a downloaded one, or a folder.")
    ] = None
    out: Annotated[Path | None, typer.Option(help="Folder of the run and its bundle.")] = None
    preset: PresetOption = None
    tuning: Annotated[str | None, typer.Option(help=SETTING)] = None
    epochs: Annotated[float | None, typer.Option(help=SETTING)] = None
    learning_rate: Annotated[float | None, typer.Option(help=SETTING)] = None
    batch_size: Annotated[int | None, typer.Option(help=SETTING)] = None
    max_tokens: Annotated[int | None, typer.Option(help=SETTING)] = None
    quantize: Annotated[str | None, typer.Option(help=SETTING)] = None
    final_fit: Annotated[str | None, typer.Option(help=SETTING)] = None
    shard: Annotated[bool | None, typer.Option("--shard", help=SETTING)] = None
    device: Annotated[str | None, typer.Option(help=SETTING)] = None
    seed: Annotated[int | None, typer.Option(help=SETTING)] = None


def plain_value(value: object) -> str:
    """The value of a setting as it is written in YAML: "none" for None, "true" for True."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _print_settings(wanted: bool) -> None:
    """Print every setting with what it takes, its default and what it does, and stop."""
    if not wanted:
        return
    from llm4top.training.config import describe_settings

    for setting in describe_settings():
        default = "must be given" if setting.must_be_given else _default(setting.values)
        typer.echo(f"{setting.name}  ({setting.takes}; {default})\n    {setting.description}.")
    raise typer.Exit


def _default(values: Mapping[str, object]) -> str:
    """The default, or one for each preset where they differ."""
    shown = {preset: plain_value(value) for preset, value in values.items()}
    if len(set(shown.values())) == 1:
        return f"default {shown['standard']}"
    return "default " + ", ".join(f"{preset} {value}" for preset, value in shown.items())


ListSettingsOption = Annotated[
    bool,
    typer.Option(
        "--list-settings",
        callback=_print_settings,
        is_eager=True,
        help="Describe every setting, and exit.",
    ),
]


DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check data, memory, disk and tokenizer, measure a few steps, and exit."
    ),
]
GpusOption = Annotated[
    str | None,
    typer.Option(
        metavar="NxGB",
        help="With --dry-run: judge the memory by GPUs that this machine need not have; 8x80 are 8 "
        "with 80 GB each.",
    ),
]


def train(
    flags: Flags,
    logging: Logging,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file with settings; options override it.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the run's last checkpoint.")
    ] = False,
    dry_run: DryRunOption = False,
    gpus: GpusOption = None,
    list_settings: ListSettingsOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    r"""Fine-tune a base model on a data set, and write a bundle to forecast with.

    --tuning says what is trained: an adapter (lora), every weight (full), or a probe: one pass
    over the trials, and a logistic regression over the base model's hidden states, in minutes.
    Data, memory, disk and tokenizer are checked before any weights are loaded. After Ctrl-C or a
    crash, --resume continues from the last checkpoint. At the end the bundle is reloaded and must
    give the same probabilities. [bold]llm4top train --list-settings[/bold] describes every
    setting; KEY=VALUE is read as YAML.

    [bold]Examples[/bold]

        llm4top train --data data/top --base Qwen/Qwen3-8B --out runs/top --dry-run

        llm4top train --data data/top --base Qwen/Qwen3-8B --out runs/top --quantize 4bit

        llm4top train --data data/top --base Qwen/Qwen3-8B --out runs/probe --tuning probe

        llm4top train --config runs/top/config.yaml --resume --log-to mlflow

        llm4top train --config mine.yaml --set lora_rank=8 --set "sections=\[phase, criteria]"

        torchrun --nproc-per-node 2 -m llm4top train --config mine.yaml
    """
    from llm4top.training.config import make_config

    if gpus is not None and not dry_run:
        raise typer.BadParameter("it goes with --dry-run alone.", param_hint="--gpus")
    made = make_config(config, {**read_settings(settings), **given(flags)})
    made = made.model_copy(update={"data": data_folder(made.data)})
    if dry_run:
        _check(made, resume=resume, gpus=gpus)
    else:
        _run(made, logging, resume=resume)


def data_folder(data: Path) -> Path:
    """A data set's folder: ``data`` itself, or that of the Studio's data set of this name.

    Raises ``DatasetError`` where there is neither.
    """
    from llm4top.paths import home_folder

    if data.exists() or not (home_folder() / "llm4top.db").is_file():
        return data
    from llm4top.workspace.workspace import Workspace

    with Workspace.open() as workspace:
        return workspace.datasets.folder(workspace.datasets.called(str(data)).id)


def _checked(config: TrainingConfig, *, resume: bool, gpus: str | None = None) -> PreflightReport:
    from llm4top.training.preflight import preflight

    report = preflight(config, resume=resume, gpus=gpus)
    _print_preflight(report)
    if not report.ok:
        note("The run would fail and was not started: see ✗ above.")
        raise typer.Exit(NOTHING_DONE)
    return report


def _check(config: TrainingConfig, *, resume: bool, gpus: str | None) -> None:
    """What --dry-run does."""
    if not is_main_process():
        return
    data = _checked(config, resume=resume, gpus=gpus).dataset
    if data is None or config.tuning == "probe" or gpus is not None:
        return
    if process_count() > 1:
        note("Time: not measured under torchrun; without it, --dry-run measures one process.")
        return
    from llm4top.training.pace import measured_pace

    pace = measured_pace(config, data)
    note(f"Time: {pace.time_in_words}")
    note(f"Memory: {pace.memory_in_words}")


def _run(config: TrainingConfig, logging: Logging, *, resume: bool) -> None:
    from llm4top.cli.watch import watching
    from llm4top.training.mlflow_follower import followed
    from llm4top.training.run import train as run

    is_main = is_main_process()
    target = logging.target() if is_main else None
    # Under torchrun --max-restarts the command stays the same.
    resume = resume or (was_restarted() and (config.out / "run.json").is_file())
    report = _checked(config, resume=resume) if is_main else None
    found = report.dataset if report else None
    name = found.card.name if found else config.data.name
    try:
        with (
            followed(config, name, target, note),
            registered(config.out, is_main) as store,
            watching(quiet=not is_main) as show,
        ):

            def progress(now: Progress) -> None:
                store(now)
                show(now)

            result = run(config, progress=progress, resume=resume, checked=report)
    except KeyboardInterrupt:
        if is_main:
            note(f"Stopped. Resume with: llm4top train --config {config.out}/config.yaml --resume")
        raise
    if is_main:
        _print_result(result)


def _print_preflight(report: PreflightReport) -> None:
    """Every check with what was found, and what to do about it."""
    from rich.markup import escape

    rows = []
    for check in report.checks:
        hint = f"\n[dim]→ {escape(check.hint)}[/]" if check.hint else ""
        mark = "[green]✓[/]" if check.ok else "[bold]✗[/]"
        rows.append((mark, check.name, escape(check.detail) + hint))
    standard_error().print(table_of(["", "", ""], rows, title="Checks before the start"))


def _print_result(result: TrainingResult) -> None:
    """The figures and those of the baselines with intervals, and where the bundle is."""
    from llm4top.workspace.views.wording import probe_in_words

    console = standard_error()
    metrics = result.metrics
    if metrics:
        where = f"On {metrics['n']} trials of the split {metrics['split']}"
        if result.out_of_fold:
            n = result.out_of_fold["n"]
            console.print(f"\nOut-of-fold, on all {n} trials that the bundle learned from:")
            console.print(metrics_table(result.out_of_fold["forecasters"]))
            where += ", before the final fit on all"
        console.print(f"\n{where}:")
        console.print(metrics_table(metrics["forecasters"]))
    if result.tried:
        console.print(f"{probe_in_words(result.tried)} Took {duration(result.seconds)}.")
    else:
        steps = f"{thousands(result.steps)} steps in {duration(result.seconds)}"
        early = ", stopped early" if result.stopped_early else ""
        best = f", best at step {result.best_step}" if result.best_step is not None else ""
        console.print(f"{steps}{early}{best}.")
    if result.reload_difference is not None:
        apart = f"largest difference {result.reload_difference:.1g}"
        console.print(f"The bundle was loaded again and gives the same probabilities ({apart}):")
    typer.echo(str(result.bundle))
    note(f"Next: llm4top forecast PATHS --model {result.out}")


def metrics_table(forecasters: Mapping[str, Any]) -> Table:
    """A row for each forecaster, a column for each figure."""
    table = table_of([""])
    table.columns[0].min_width = 12
    table.show_header = True
    names = list(next(iter(forecasters.values())))
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for forecaster, figures in forecasters.items():
        table.add_row(forecaster, *(_figure(figures[name]) for name in names))
    return table


def _figure(figure: Mapping[str, float | None]) -> str:
    """A figure with its 95 % interval below it, so that four of them fit a narrow terminal."""
    value, lower, upper = figure["value"], figure["lower"], figure["upper"]
    from llm4top.evaluation.reports.formatting import number

    if value is None:
        return "-"
    bounds = "" if lower is None else f"\n[{number(lower)}, {number(upper)}]"
    return number(value) + bounds
