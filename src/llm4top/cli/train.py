"""``llm4top train``: fine-tune a base model on a data set, checked before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli.completion import dataset_names
from llm4top.cli.console import is_main_process, note, standard_error, table_of
from llm4top.cli.exit_codes import NOTHING_DONE
from llm4top.cli.help import SETTING
from llm4top.cli.options import PresetOption, given, read_settings
from llm4top.progress import Progress
from llm4top.text import duration, thousands

if TYPE_CHECKING:
    from rich.table import Table

    from llm4top.training.config import TrainingConfig
    from llm4top.training.preflight import PreflightReport
    from llm4top.training.run import TrainingResult


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


def train(
    flags: Flags,
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check data, memory, disk and tokenizer, and exit.")
    ] = False,
    list_settings: ListSettingsOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    r"""Fine-tune a base model on a data set, and write a bundle to forecast with.

    Data, memory, disk and tokenizer are checked before any weights are loaded. After Ctrl-C or a
    crash, --resume continues from the last checkpoint. At the end the bundle is reloaded and must
    give the same probabilities. [bold]llm4top train --list-settings[/bold] describes every
    setting; KEY=VALUE is read as YAML.

    [bold]Examples[/bold]

        llm4top train --data data/top --base Qwen/Qwen3-8B --out runs/top --dry-run

        llm4top train --data data/top --base Qwen/Qwen3-8B --out runs/top --quantize 4bit

        llm4top train --config runs/top/config.yaml --resume

        llm4top train --config mine.yaml --set lora_rank=8 --set "sections=\[phase, criteria]"

        torchrun --nproc_per_node 2 -m llm4top train --config mine.yaml
    """
    from llm4top.training.config import make_config

    made = make_config(config, {**read_settings(settings), **given(flags)})
    _run(made.model_copy(update={"data": data_folder(made.data)}), resume=resume, dry_run=dry_run)


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


def _run(config: TrainingConfig, *, resume: bool, dry_run: bool) -> None:
    from llm4top.cli.register_run import registered
    from llm4top.cli.watch import watching
    from llm4top.training.preflight import preflight
    from llm4top.training.run import train as run

    is_main = is_main_process()
    report = None
    if is_main:
        report = preflight(config, resume=resume)
        _print_preflight(report)
        if not report.ok:
            note("The run would fail and was not started: see ✗ above.")
            raise typer.Exit(NOTHING_DONE)
    if dry_run:
        return
    try:
        with registered(config.out, is_main) as store, watching(quiet=not is_main) as show:

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
    console = standard_error()
    metrics = result.metrics
    if metrics:
        console.print(f"\nOn {metrics['n']} trials of the split {metrics['split']}:")
        console.print(metrics_table(metrics["forecasters"]))
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
