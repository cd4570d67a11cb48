"""``llm4top train``: fine-tune a base model on a data set, checked before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli.completion import dataset_names, presets
from llm4top.cli.console import clock, is_main_process, note, standard_error, thousands
from llm4top.cli.exit_codes import NOTHING_DONE
from llm4top.cli.settings_list import ListSettingsOption
from llm4top.forecasters.finetuning.settings import FinetuneSettings
from llm4top.progress import OnProgress, Progress

if TYPE_CHECKING:
    from rich.table import Table

    from llm4top.training.config import TrainingConfig
    from llm4top.training.preflight import PreflightReport
    from llm4top.training.run import TrainingResult


def setting_help(name: str) -> str:
    """What a setting of fine-tuning does, in the words of ``FinetuneSettings``."""
    text = str(FinetuneSettings.model_fields[name].description)
    return f"{text[:1].upper()}{text[1:]}."


DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a data set that `ingest` made, or the name of one of the Studio.",
        autocompletion=dataset_names,
    ),
]
BaseOption = Annotated[
    str | None, typer.Option(help="The base model: a downloaded one, or a folder.")
]
OutOption = Annotated[Path | None, typer.Option(help="Folder of the run and its bundle.")]
PresetOption = Annotated[
    str | None,
    typer.Option(
        help="quick, standard or thorough.",
        show_default="standard",
        metavar="PRESET",
        autocompletion=presets,
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option(help="A YAML file with settings; options override it.")
]
TuningOption = Annotated[str | None, typer.Option(help=setting_help("tuning"))]
EpochsOption = Annotated[float | None, typer.Option(help=setting_help("epochs"))]
LearningRateOption = Annotated[float | None, typer.Option(help=setting_help("learning_rate"))]
BatchSizeOption = Annotated[int | None, typer.Option(help=setting_help("batch_size"))]
MaxTokensOption = Annotated[int | None, typer.Option(help="Maximum tokens of a prompt.")]
QuantizeOption = Annotated[
    str | None, typer.Option(help="4bit keeps the base model in 4 bits, for less memory.")
]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")]
SeedOption = Annotated[int | None, typer.Option(help=setting_help("seed"))]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any other setting; may be repeated.", metavar="KEY=VALUE"),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Resume from the run's last checkpoint.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check data, memory, disk and tokenizer, and stop.")
]


def train(
    data: DataOption = None,
    base: BaseOption = None,
    out: OutOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    tuning: TuningOption = None,
    epochs: EpochsOption = None,
    learning_rate: LearningRateOption = None,
    batch_size: BatchSizeOption = None,
    max_tokens: MaxTokensOption = None,
    quantize: QuantizeOption = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    settings: SettingsOption = None,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    list_settings: ListSettingsOption = False,  # noqa: ARG001 - its callback acts
) -> None:
    r"""Fine-tune a base model on a data set, and write a bundle to forecast with.

    Everything is checked before a weight is loaded. Ctrl-C leaves a checkpoint; so does a killed
    process. At the end the bundle is loaded again and must give the same probabilities.
    [bold]llm4top train --list-settings[/bold] lists every setting with what it does; KEY=VALUE is
    read as YAML.

    [bold]Examples[/bold]

        llm4top train --data data/top --base Qwen/Qwen3-8B --out runs/top --dry-run

        llm4top train --data data/top --base Qwen/Qwen3-8B --out runs/top --quantize 4bit

        llm4top train --config runs/top/config.yaml --resume

        llm4top train --config mine.yaml --set lora_rank=8 --set "sections=\[phase, criteria]"

        torchrun --nproc_per_node 2 -m llm4top train --config mine.yaml
    """
    flags: dict[str, Any] = {
        "data": data,
        "base": base,
        "out": out,
        "preset": preset,
        "tuning": tuning,
    }
    flags |= {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size}
    flags |= {"max_tokens": max_tokens, "quantize": quantize, "device": device, "seed": seed}
    chosen = read_settings(settings or [])
    from llm4top.training.config import make_config

    made = make_config(config, {**chosen, **{k: v for k, v in flags.items() if v is not None}})
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


def read_settings(pairs: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` pairs with their values read as YAML."""
    import yaml

    chosen: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE.", param_hint="--set")
        try:
            chosen[key.strip().replace("-", "_")] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise typer.BadParameter(f"{text!r} is not a YAML value.", param_hint="--set") from None
    return chosen


def _run(config: TrainingConfig, *, resume: bool, dry_run: bool) -> None:
    from llm4top.cli.register_run import registered
    from llm4top.cli.watch import watching
    from llm4top.training.preflight import preflight
    from llm4top.training.run import train as run

    speaks = is_main_process()
    report = None
    if speaks:
        report = preflight(config, resume=resume)
        _print_preflight(report)
        if not report.ok:
            note("The run would fail and was not started: see ✗ above.")
            raise typer.Exit(NOTHING_DONE)
    if dry_run:
        return
    try:
        with registered(config.out, speaks) as tell, watching(speaks) as show:
            result = run(config, progress=_both(tell, show), resume=resume, checked=report)
    except KeyboardInterrupt:
        if speaks:
            note(f"Stopped. Resume with: llm4top train --config {config.out}/config.yaml --resume")
        raise
    if speaks:
        _print_result(result)


def _both(first: OnProgress, second: OnProgress) -> OnProgress:
    def report(progress: Progress) -> None:
        first(progress)
        second(progress)

    return report


def _print_preflight(report: PreflightReport) -> None:
    """Every check with what was found, and what to do about it."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, title="Before the start")
    table.title_justify = "left"
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in report.checks:
        found = escape(check.detail)
        if check.hint:
            found += f"\n[dim]→ {escape(check.hint)}[/]"
        table.add_row("[green]✓[/]" if check.ok else "[bold]✗[/]", check.name, found)
    standard_error().print(table)


def _print_result(result: TrainingResult) -> None:
    """The figures with their intervals beside the baselines', and where the bundle is."""
    console = standard_error()
    metrics = result.metrics
    if metrics:
        console.print(f"\nOn {metrics['n']} trials of the split {metrics['split']}:")
        console.print(metrics_table(metrics["forecasters"]))
    steps = f"{thousands(result.steps)} steps in {clock(result.seconds)}"
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
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("", min_width=12)
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
